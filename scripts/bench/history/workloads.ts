import { directoryOf, pathOf, scattered } from './layout.js';
import type { Peer } from './peer.js';

/** One figure of one system at one size. */
export interface Figure {
  readonly operation: string;
  readonly files: number;
  readonly value: number;
  readonly unit: 'ms' | 's' | 'files/s' | 'bytes' | 'bytes/file' | 'MiB';
  /** The most it may be; for files/s the least. */
  readonly goal?: number;
}

export type Report = (figure: Figure) => void;

/** Milliseconds that `work` takes: the median of `rounds`. */
export async function median(
  rounds: number,
  work: (round: number) => Promise<unknown>,
): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await timed(() => work(round)));
  return middle(times);
}

/** The median, where the work between the timed pieces is not to count. */
export function middle(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The operations that every peer has, on a repository of `files` files, which it builds. */
export async function history(peer: Peer, files: number, report: Report): Promise<void> {
  const figure = (operation: string, value: number, goal?: number): void =>
    report({ operation, files, value, unit: 'ms', ...(goal === undefined ? {} : { goal }) });
  report({ operation: 'build', files, value: files / (await peer.build(files)), unit: 'files/s' });

  figure('create a branch', await median(20, (i) => peer.createBranch(`b${i}`, 'main')), 5);
  await commits(peer, files, figure, report);
  figure(
    'look up a file',
    await median(200, (i) => peer.lookUp('b0', pathOf((i * 7919) % files))),
    0.2,
  );
  figure(
    'list a directory of 1,000',
    await median(20, (i) => peer.list('b0', directoryOf((i * 104_729) % files))),
    5,
  );
  await merges(peer, files, figure);
  const mib = await peer.peakMib();
  if (mib !== undefined) report({ operation: 'peak memory', files, value: mib, unit: 'MiB' });
}

type Show = (operation: string, value: number, goal?: number) => void;

async function commits(peer: Peer, files: number, figure: Show, report: Report): Promise<void> {
  const before = await peer.metadataBytes();
  const rounds = 20;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await peer.stage('b0', scattered(files, 1, round), round);
    times.push(await timed(() => peer.commit('b0', `one file, round ${round}`)));
  }
  figure('commit of 1 changed file', middle(times), 15);
  const after = await peer.metadataBytes();
  if (before !== undefined && after !== undefined) {
    const value = (after - before) / rounds;
    report({ operation: 'metadata of a commit of 1', files, value, unit: 'bytes', goal: 300_000 });
  }
  for (const count of [1, 1_000, 10_000].filter((each) => each <= files / 10)) {
    const branch = `changed-${count}`;
    await peer.createBranch(branch, 'main');
    await peer.stage(branch, scattered(files, count, 50), 50);
    const took = await timed(() => peer.commit(branch, `${count} changes`));
    const named = count.toLocaleString('en');
    if (count > 1) figure(`commit of ${named} changes`, took, count === 10_000 ? 1_500 : undefined);
    const goal = { 1: 3, 1_000: 100, 10_000: 600 }[count];
    figure(`diff of ${named} changes, first`, await timed(() => expectDiff(peer, branch, count)));
    figure(
      `diff of ${named} changes`,
      await median(7, () => expectDiff(peer, branch, count)),
      goal,
    );
  }
}

async function expectDiff(peer: Peer, branch: string, count: number): Promise<void> {
  const found = await peer.diff('main', branch);
  if (found !== count) throw new Error(`${found} differences where there are ${count}`);
}

async function merges(peer: Peer, files: number, figure: Show): Promise<void> {
  const count = Math.min(1_000, files / 20);
  const rounds = 3;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const [ours, theirs] = [`ours-${round}`, `theirs-${round}`];
    await peer.createBranch(ours, 'main');
    await peer.createBranch(theirs, 'main');
    await peer.stage(ours, scattered(files, count, 60 + round), 60 + round);
    await peer.commit(ours, 'ours');
    await peer.stage(theirs, scattered(files, count, 70 + round), 70 + round);
    await peer.commit(theirs, 'theirs');
    times.push(await timed(() => peer.merge(theirs, ours)));
  }
  const named = count.toLocaleString('en');
  figure(`merge, ${named} changes on each side`, middle(times), count === 1_000 ? 300 : undefined);
  figure('revert of the newest commit', await timed(() => peer.revertNewest('theirs-0')));
}
