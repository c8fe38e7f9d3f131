import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeChanged, makeFolder } from './folder.js';
import { dayOf, FILES_IN_DAY, pathOf, scattered } from './layout.js';
import type { TarnPeer } from './tarn-peer.js';
import type { Bench, Workload } from './workloads.js';
import { median, middle, timed } from './workloads.js';

const execute = promisify(execFile);
const COMMITS = fileURLToPath(
  new URL('../../../../scripts/bench/history/commits.mjs', import.meta.url),
);
const ORDINALS = fileURLToPath(
  new URL('../../../../scripts/bench/history/ordinals.mjs', import.meta.url),
);
const LOGGED = 'logged';
const LOGGED_COMMITS = 10_000;
const DELETIONS = 100_000;
const REMOVED_AT_ONCE = 20_000;
/** Files of the local folder that is imported: as many as there are in the repository, at most so many. */
const IMPORTED_MAX = 1_000_000;

/** What tarn has and peers lack, by the name that `--only` takes. */
export const tarnOnly = { totals, mounting } satisfies Record<string, Workload<TarnPeer>>;

/** What is asked for once, at the largest size. */
export const atFullSize = {
  thousand,
  replaced,
  logs,
  find,
  deletions,
  import: localImport,
} satisfies Record<string, Workload<TarnPeer>>;

type TarnBench = Bench<TarnPeer>;

async function totals(bench: TarnBench): Promise<void> {
  const { peer, files } = bench;
  const du = (): Promise<unknown> => peer.call('du', { ref: 'main@', path: dayOf(0) });
  bench.figure('du of a directory of 1,000,000', await median(20, du), 1);
  const { stdout } = await execute(process.execPath, [ORDINALS, peer.storage, String(files)]);
  const { rankMs, selectMs } = JSON.parse(stdout) as { rankMs: number; selectMs: number };
  bench.figure('rank, in process', rankMs, 1);
  bench.figure('select, in process', selectMs, 1);
}

async function mounting(bench: TarnBench): Promise<void> {
  const { lab } = bench.peer;
  const directory = lab.path('mounted');
  await mkdir(directory, { recursive: true });
  const times: number[] = [];
  for (let round = 0; round < 7; round++) {
    times.push(
      await timed(async () => {
        await lab.tarn('mount', 'bench/main@', directory);
        await lab.run('ls', directory);
      }),
    );
    await lab.unmount();
  }
  bench.figure('mount to the first ls (the command and ls)', middle(times), 100);
}

async function thousand(bench: TarnBench): Promise<void> {
  const { peer, files } = bench;
  const branch = await bench.branch('thousand');
  const before = await peer.metadataBytes();
  for (let round = 0; round < 1_000; round++) {
    await peer.stage(branch, scattered(files, 1, 100 + round), 100 + round);
    await peer.commit(branch, `round ${round}`);
  }
  const value = (await peer.metadataBytes()) - before;
  const operation = 'metadata of 1,000 commits of 1';
  bench.report({ operation, value, unit: 'bytes', goal: 3e8 });
}

/** One side replaces every file of a day by another day's; the other changes one elsewhere. */
async function replaced(bench: TarnBench): Promise<void> {
  const { peer, files } = bench;
  if (files < 2 * FILES_IN_DAY + 1) throw new Error('a replaced million needs three days of files');
  const branch = await bench.branch('replaced');
  const elsewhere = await bench.branch('elsewhere');
  await peer.call('rm', { branch, paths: [dayOf(0)], recursive: true });
  await peer.call('cp', {
    fromRef: 'main@',
    from: dayOf(FILES_IN_DAY).slice(0, -1),
    branch,
    to: dayOf(0).slice(0, -1),
    force: false,
  });
  bench.figure(
    'commit of a directory of 1,000,000 replaced',
    await timed(() => peer.commit(branch, 'day 0')),
  );
  await peer.stage(elsewhere, [pathOf(files - 1)], 1);
  await peer.commit(elsewhere, 'one file of the last day');
  const merged = await timed(() => peer.merge(branch, elsewhere));
  bench.figure('merge, one side replaced 1,000,000 files', merged, 20);
}

async function logs(bench: TarnBench): Promise<void> {
  const { peer, files } = bench;
  const path = pathOf(Math.floor(files / 3));
  const prefix = path.slice(0, path.lastIndexOf('/') + 1);
  if (!(await peer.hasBranch(LOGGED))) {
    const size = [String(LOGGED_COMMITS), String(files)];
    await execute(process.execPath, [COMMITS, peer.storage, LOGGED, ...size, path]);
  }
  for (const [what, place] of [
    ['a file', path],
    ['a prefix', prefix],
  ] as const) {
    const found = await peer.log(LOGGED, place);
    if (found < 4) throw new Error(`log of ${place}: ${found} commits`);
    const name = `log of ${what} through ${LOGGED_COMMITS.toLocaleString('en')} commits`;
    bench.figure(name, await median(3, () => peer.log(LOGGED, place)), 1_000);
  }
}

async function find(bench: TarnBench): Promise<void> {
  const { lab } = bench.peer;
  const mounted = await lab.mountCold('bench/main@');
  const pid = Number(
    (JSON.parse(await lab.tarn('daemon', 'status', '--json')) as { pid: number }).pid,
  );
  const before = await cpuSeconds(pid);
  const value = await lab.time(() => lab.run('sh', '-c', 'find "$0" -size +0 | wc -l', mounted));
  const daemon = (await cpuSeconds(pid)) - before;
  bench.report({ operation: 'find of all files, cold', value, unit: 's' });
  const operation = 'find of all files, processor time of the daemon';
  bench.report({ operation, value: daemon, unit: 's' });
  await lab.unmount();
}

async function cpuSeconds(pid: number): Promise<number> {
  const { stdout } = await execute('ps', ['-o', 'cputimes=', '-p', String(pid)]);
  return Number(stdout.trim());
}

/** A directory from which nearly all was removed, file by file, and nothing committed. */
async function deletions(bench: TarnBench): Promise<void> {
  const { peer } = bench;
  const folder = peer.lab.path('wide');
  const names = Array.from(
    { length: DELETIONS + 100 },
    (_, i) => `f-${String(i).padStart(6, '0')}`,
  );
  makeChanged(folder, names, 0);
  const branch = await bench.branch('wide');
  await peer.call('put', { branch, path: 'wide/', sources: [folder], recursive: true });
  await peer.commit(branch, 'a wide directory');
  const gone = names.slice(0, DELETIONS).map((name) => `wide/${name}`);
  const removed = await timed(async () => {
    for (let from = 0; from < gone.length; from += REMOVED_AT_ONCE) {
      const paths = gone.slice(from, from + REMOVED_AT_ONCE);
      await peer.call('rm', { branch, paths, recursive: false });
    }
  });
  const files = DELETIONS;
  bench.report({ operation: 'rm of 100,000 single paths', files, value: removed, unit: 'ms' });
  const args = { ref: branch, path: 'wide/', recursive: false, long: false };
  const { rows } = await peer.call('ls', args);
  if (rows.length !== 100) throw new Error(`${rows.length} names are left of 100`);
  const value = await median(9, () => peer.call('ls', args));
  const operation = 'list across 100,000 uncommitted deletions';
  bench.report({ operation, files, value, unit: 'ms', goal: 10 });
}

/** Zero-copy import of a local folder, and what its metadata take on the disk. */
async function localImport(bench: TarnBench): Promise<void> {
  const { peer } = bench;
  const files = Math.min(bench.files, IMPORTED_MAX);
  const source = peer.lab.path('import');
  if (!existsSync(source)) makeFolder(source, files);
  const branch = await bench.branch('imported');
  const before = await peer.metadataBytes();
  const plain = { verify: false, dryRun: false, anew: false, include: [], exclude: [] };
  const imported = await timed(() =>
    peer.call('import', { branch, path: 'imported/', source, ...plain }),
  );
  const committed = await timed(() => peer.commit(branch, 'import'));
  const speed = 'import of a local folder, walk included';
  const value = files / (imported / 1000);
  bench.report({ operation: speed, files, value, unit: 'files/s', goal: 100_000 });
  bench.report({ operation: 'commit of the import', files, value: committed, unit: 'ms' });
  const bytes = ((await peer.metadataBytes()) - before) / files;
  const size = 'metadata on the disk, imported files';
  bench.report({ operation: size, files, value: bytes, unit: 'bytes/file', goal: 60 });
}
