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

/** One run of workloads on a peer whose `main` has `files` files. */
export class Bench<P extends Peer = Peer> {
  readonly peer: P;
  readonly files: number;
  readonly #report: Report;
  /** Sets the branches of this run apart from those that an earlier one left in the repository. */
  readonly #run = Date.now().toString(36);

  constructor(peer: P, files: number, report: Report) {
    this.peer = peer;
    this.files = files;
    this.#report = report;
  }

  report(figure: Omit<Figure, 'files'> & { readonly files?: number }): void {
    this.#report({ files: this.files, ...figure });
  }

  /** A figure in milliseconds. */
  figure(operation: string, value: number, goal?: number): void {
    this.report({ operation, value, unit: 'ms', ...(goal === undefined ? {} : { goal }) });
  }

  /** The name of a branch that no other run has. */
  named(branch: string): string {
    return `${branch}-${this.#run}`;
  }

  /** Makes a branch from main; its name. */
  async branch(branch: string): Promise<string> {
    const name = this.named(branch);
    await this.peer.createBranch(name, 'main');
    return name;
  }
}

export type Workload<P extends Peer = Peer> = (bench: Bench<P>) => Promise<void>;

/** What every peer has, by the name that `--only` takes. */
export const workloads = {
  branches,
  commits,
  changes,
  lookups,
  lists,
  merges,
} satisfies Record<string, Workload>;

async function branches(bench: Bench): Promise<void> {
  bench.figure('create a branch', await median(20, (i) => bench.branch(`b${i}`)), 5);
}

async function commits(bench: Bench): Promise<void> {
  const { peer, files } = bench;
  const branch = await bench.branch('commits');
  const before = await peer.metadataBytes();
  const rounds = 20;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await peer.stage(branch, scattered(files, 1, round), round);
    times.push(await timed(() => peer.commit(branch, `one file, round ${round}`)));
  }
  bench.figure('commit of 1 changed file', middle(times), 15);
  const after = await peer.metadataBytes();
  if (before === undefined || after === undefined) return;
  const value = (after - before) / rounds;
  bench.report({ operation: 'metadata of a commit of 1', value, unit: 'bytes', goal: 300_000 });
}

async function changes(bench: Bench): Promise<void> {
  const { peer, files } = bench;
  for (const count of [1, 1_000, 10_000].filter((each) => each <= files / 10)) {
    const branch = await bench.branch(`changed-${count}`);
    const named = count.toLocaleString('en');
    const staged = await timed(() => peer.stage(branch, scattered(files, count, 50), 50));
    if (count > 1) bench.figure(`put of ${named} files`, staged);
    const took = await timed(() => peer.commit(branch, `${count} changes`));
    const goal = count === 10_000 ? 1_500 : undefined;
    if (count > 1) bench.figure(`commit of ${named} changes`, took, goal);
    const differ = (): Promise<void> => expectDiff(peer, branch, count);
    bench.figure(`diff of ${named} changes, first`, await timed(differ));
    const most = { 1: 3, 1_000: 100, 10_000: 600 }[count];
    bench.figure(`diff of ${named} changes`, await median(7, differ), most);
  }
}

async function expectDiff(peer: Peer, branch: string, count: number): Promise<void> {
  const found = await peer.diff('main', branch);
  if (found !== count) throw new Error(`${found} differences where there are ${count}`);
}

/** Scattered files, each once and then again. */
async function lookups(bench: Bench): Promise<void> {
  const { peer, files } = bench;
  const scattered = 200;
  const lookUp = (i: number): Promise<void> =>
    peer.lookUp('main', pathOf(((i % scattered) * 7919) % files));
  bench.figure('look up a file, first', await median(scattered, lookUp));
  bench.figure('look up a file', await median(5 * scattered, lookUp), 0.2);
}

async function lists(bench: Bench): Promise<void> {
  const { peer, files } = bench;
  const list = (i: number): Promise<number> =>
    peer.list('main', directoryOf((i * 104_729) % files));
  bench.figure('list a directory of 1,000', await median(100, list), 5);
}

async function merges(bench: Bench): Promise<void> {
  const { peer, files } = bench;
  const count = Math.min(1_000, files / 20);
  const rounds = 5;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const ours = await bench.branch(`ours-${round}`);
    const theirs = await bench.branch(`theirs-${round}`);
    await peer.stage(ours, scattered(files, count, 60 + round), 60 + round);
    await peer.commit(ours, 'ours');
    await peer.stage(theirs, scattered(files, count, 70 + round), 70 + round);
    await peer.commit(theirs, 'theirs');
    times.push(await timed(() => peer.merge(theirs, ours)));
  }
  const named = count.toLocaleString('en');
  const goal = count === 1_000 ? 300 : undefined;
  bench.figure(`merge, ${named} changes on each side`, middle(times), goal);
  const theirs = bench.named('theirs-0');
  bench.figure('revert of the newest commit', await timed(() => peer.revertNewest(theirs)));
}
