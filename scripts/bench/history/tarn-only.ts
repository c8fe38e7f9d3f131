import { mkdir } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Lab } from '../lab.js';
import { makeFolder } from './folder.js';
import { dayOf, FILES_IN_DAY, pathOf, scattered } from './layout.js';
import type { TarnPeer } from './tarn-peer.js';
import type { Report } from './workloads.js';
import { median, middle, timed } from './workloads.js';

const execute = promisify(execFile);
const COMMITS = fileURLToPath(
  new URL('../../../../scripts/bench/history/commits.mjs', import.meta.url),
);
const ORDINALS = fileURLToPath(
  new URL('../../../../scripts/bench/history/ordinals.mjs', import.meta.url),
);
const LOGGED_COMMITS = 10_000;
const DELETIONS = 100_000;

/** What tarn has and peers lack, or is asked for only once, on the repository that history() left. */
export async function tarnOnly(peer: TarnPeer, files: number, report: Report): Promise<void> {
  const figure = (operation: string, value: number, goal?: number): void =>
    report({ operation, files, value, unit: 'ms', ...(goal === undefined ? {} : { goal }) });
  report({
    operation: 'build, peak memory',
    files,
    value: peer.buildPeakMib,
    unit: 'MiB',
    goal: 400,
  });
  figure(
    'du of a directory of 1,000,000',
    await median(20, () => peer.call('du', { ref: 'main@', path: dayOf(0) })),
    1,
  );
  const { stdout } = await execute(process.execPath, [ORDINALS, peer.storage, String(files)]);
  const { rankMs, selectMs } = JSON.parse(stdout) as { rankMs: number; selectMs: number };
  figure('rank, in process', rankMs, 1);
  figure('select, in process', selectMs, 1);
  await mounting(peer.lab, figure);
}

export async function tarnAtFullSize(peer: TarnPeer, files: number, report: Report): Promise<void> {
  const figure = (operation: string, value: number, goal?: number): void =>
    report({ operation, files, value, unit: 'ms', ...(goal === undefined ? {} : { goal }) });
  await thousandCommits(peer, files, report);
  await replacedMillion(peer, figure);
  await logs(peer, files, figure);
  await findAll(peer, files, report);
}

type Show = (operation: string, value: number, goal?: number) => void;

async function mounting(lab: Lab, figure: Show): Promise<void> {
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
  figure('mount to the first ls (the command and ls)', middle(times), 100);
}

async function thousandCommits(peer: TarnPeer, files: number, report: Report): Promise<void> {
  await peer.createBranch('thousand', 'main');
  const before = await peer.metadataBytes();
  for (let round = 0; round < 1_000; round++) {
    await peer.stage('thousand', scattered(files, 1, 100 + round), 100 + round);
    await peer.commit('thousand', `round ${round}`);
  }
  const value = (await peer.metadataBytes()) - before;
  report({ operation: 'metadata of 1,000 commits of 1', files, value, unit: 'bytes', goal: 3e8 });
}

/** One side replaces every file of a day by another day's; the other changes files elsewhere. */
async function replacedMillion(peer: TarnPeer, figure: Show): Promise<void> {
  await peer.createBranch('replaced', 'main');
  await peer.createBranch('elsewhere', 'main');
  await peer.call('rm', { branch: 'replaced', paths: [dayOf(0)], recursive: true });
  await peer.call('cp', {
    fromRef: 'main@',
    from: dayOf(FILES_IN_DAY).slice(0, -1),
    branch: 'replaced',
    to: dayOf(0).slice(0, -1),
    force: false,
  });
  figure(
    'commit of a directory of 1,000,000 replaced',
    await timed(() => peer.commit('replaced', 'day 0')),
  );
  await peer.stage('elsewhere', [pathOf(5 * FILES_IN_DAY)], 1);
  await peer.commit('elsewhere', 'one file of day 5');
  figure(
    'merge, one side replaced 1,000,000 files',
    await timed(() => peer.merge('replaced', 'elsewhere')),
    20,
  );
}

async function logs(peer: TarnPeer, files: number, figure: Show): Promise<void> {
  const path = pathOf(Math.floor(files / 3));
  const prefix = path.slice(0, path.lastIndexOf('/') + 1);
  await execute(process.execPath, [
    COMMITS,
    peer.storage,
    'logged',
    String(LOGGED_COMMITS),
    String(files),
    path,
  ]);
  for (const [what, place] of [
    ['a file', path],
    ['a prefix', prefix],
  ] as const) {
    const found = await peer.log('logged', place);
    if (found < 4) throw new Error(`log of ${place}: ${found} commits`);
    const name = `log of ${what} through ${LOGGED_COMMITS.toLocaleString('en')} commits`;
    figure(name, await median(3, () => peer.log('logged', place)), 1_000);
  }
}

async function findAll(peer: TarnPeer, files: number, report: Report): Promise<void> {
  const mounted = await peer.lab.mountCold('bench/main@');
  const pid = Number(
    (JSON.parse(await peer.lab.tarn('daemon', 'status', '--json')) as { pid: number }).pid,
  );
  const before = await cpuSeconds(pid);
  const seconds = await peer.lab.time(() =>
    peer.lab.run('sh', '-c', 'find "$0" -size +0 | wc -l', mounted),
  );
  const daemon = (await cpuSeconds(pid)) - before;
  report({ operation: 'find of all files, cold', files, value: seconds, unit: 's' });
  report({
    operation: 'find of all files, processor time of the daemon',
    files,
    value: daemon,
    unit: 's',
  });
  await peer.lab.unmount();
}

async function cpuSeconds(pid: number): Promise<number> {
  const { stdout } = await execute('ps', ['-o', 'cputimes=', '-p', String(pid)]);
  return Number(stdout.trim());
}

/** A directory from which nearly all was removed, file by file, and nothing committed. */
export async function deletions(peer: TarnPeer, report: Report): Promise<void> {
  const folder = peer.lab.path('wide');
  const names = Array.from(
    { length: DELETIONS + 100 },
    (_, i) => `f-${String(i).padStart(6, '0')}`,
  );
  const { makeChanged } = await import('./folder.js');
  makeChanged(folder, names, 0);
  await peer.createBranch('wide', 'main');
  await peer.call('put', { branch: 'wide', path: 'wide/', sources: [folder], recursive: true });
  await peer.commit('wide', 'a wide directory');
  const gone = names.slice(0, DELETIONS).map((name) => `wide/${name}`);
  const started = performance.now();
  for (let from = 0; from < gone.length; from += 20_000) {
    await peer.call('rm', {
      branch: 'wide',
      paths: gone.slice(from, from + 20_000),
      recursive: false,
    });
  }
  const files = DELETIONS;
  report({
    operation: 'rm of 100,000 single paths',
    files,
    value: performance.now() - started,
    unit: 'ms',
  });
  const args = { ref: 'wide', path: 'wide/', recursive: false, long: false };
  const { rows } = await peer.call('ls', args);
  if (rows.length !== 100) throw new Error(`${rows.length} names are left of 100`);
  const value = await median(9, () => peer.call('ls', args));
  report({
    operation: 'list across 100,000 uncommitted deletions',
    files,
    value,
    unit: 'ms',
    goal: 10,
  });
}

/** Zero-copy import of a local folder, and what its metadata take on the disk. */
export async function localImport(peer: TarnPeer, files: number, report: Report): Promise<void> {
  const folder = peer.lab.path('import');
  makeFolder(folder, files);
  await peer.createBranch('imported', 'main');
  const before = await peer.metadataBytes();
  const ms = await timed(() =>
    peer.call('import', {
      branch: 'imported',
      path: 'imported/',
      source: folder,
      verify: false,
      dryRun: false,
      include: [],
      exclude: [],
    }),
  );
  const committed = await timed(() => peer.commit('imported', 'import'));
  report({
    operation: 'import of a local folder, walk included',
    files,
    value: files / (ms / 1000),
    unit: 'files/s',
    goal: 100_000,
  });
  report({ operation: 'commit of the import', files, value: committed, unit: 'ms' });
  const value = ((await peer.metadataBytes()) - before) / files;
  report({
    operation: 'metadata on the disk, imported files',
    files,
    value,
    unit: 'bytes/file',
    goal: 60,
  });
}
