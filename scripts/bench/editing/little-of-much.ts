import { closeSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dayOf, scattered } from '../history/layout.js';
import { median, middle, timed } from '../history/workloads.js';
import type { Lab } from '../lab.js';
import type { Measurement } from '../report.js';
import { Desk } from './desk.js';

const execute = promisify(execFile);
const BUILD = fileURLToPath(
  new URL('../../../../scripts/bench/history/build.mjs', import.meta.url),
);
const TOUCHED = 10;
const ROUNDS = 5;
const BLOCK_BYTES = 1_048_576;

/** Few changes among many files: what changed, and a directory of all of them renamed. */
export async function amongMany(lab: Lab, count: number): Promise<Measurement[]> {
  await execute(process.execPath, [BUILD, lab.path('storage'), String(count)]);
  await lab.tarn('repo', 'add', 'many', '--storage', lab.path('storage'));
  const desk = await Desk.open(lab, 'many');
  const among = `${TOUCHED} files among ${count.toLocaleString('en')}`;
  for (const path of scattered(count, TOUCHED, 0)) {
    writeFileSync(join(desk.mounted, path), `${path} was labelled again\n`);
  }
  const status = async (): Promise<void> => {
    const { rows } = await desk.call('status', { branch: 'main' });
    if (rows.length !== TOUCHED) throw new Error(`status told of ${rows.length} changes`);
  };
  const first = await timed(status);
  await desk.untilIdle();
  const later = await median(20, status);
  const results = [
    await desk.line(`status, first after ${among}`, 'ms', { tarn: first }),
    await desk.line(`status after ${among}`, 'ms', { tarn: later }, 10),
  ];
  await desk.commit('labels');
  const day = join(desk.mounted, dayOf(0));
  const renames: number[] = [];
  const commits: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [from, to] =
      round % 2 === 0 ? [day, `${day.slice(0, -1)}-glare`] : [`${day.slice(0, -1)}-glare`, day];
    renames.push(await timed(async () => renameSync(from, to)));
    commits.push(await timed(() => lab.tarn('commit', 'many/main', '-m', `rename ${round}`)));
  }
  const of = `a directory of ${count.toLocaleString('en')} files`;
  results.push(await desk.line(`rename of ${of}`, 'ms', { tarn: middle(renames) }, 50));
  results.push(await desk.line(`commit of the rename`, 's', { tarn: middle(commits) / 1000 }, 2));
  results.push(await desk.stallLine(among));
  await desk.close();
  return results;
}

/** One byte of a large committed file changed, and committed. */
export async function oneByte(lab: Lab, mib: number): Promise<Measurement[]> {
  const source = lab.path('run-8421.bag');
  await writeSparse(source, mib);
  await lab.tarn('repo', 'create', 'bag', '--storage', lab.path('storage'));
  await lab.tarn('put', source, 'bag/main/run-8421.bag');
  await lab.tarn('commit', 'bag/main', '-m', 'a bag');
  rmSync(source);
  const desk = await Desk.open(lab, 'bag');
  const file = join(desk.mounted, 'run-8421.bag');
  const times: number[] = [];
  const commits: number[] = [];
  const before = await storedBytes(lab);
  for (let round = 0; round < ROUNDS; round += 1) {
    const change = await timed(async () =>
      changeByte(file, mib * BLOCK_BYTES * ((round * 0.377) % 1), round),
    );
    commits.push(await timed(() => desk.commit(`byte ${round}`)));
    times.push(change + (commits.at(-1) ?? 0));
  }
  const stored = ((await storedBytes(lab)) - before) / ROUNDS / 2 ** 20;
  const what = `1 byte of a committed file of ${(mib / 1024).toFixed(0)} GiB`;
  const results = [
    await desk.line(`change ${what} and commit`, 'ms', { tarn: middle(times) }, 100),
    await desk.line(`change ${what} and commit, slowest of ${ROUNDS}`, 'ms', {
      tarn: Math.max(...times),
    }),
    await desk.line(`change ${what}, stored`, 'MiB', { tarn: stored }, 2),
    await desk.stallLine(`change of ${what}`),
  ];
  await desk.close();
  return results;
}

/** Every block of it is another one, though most of their bytes are a hole. */
async function writeSparse(path: string, mib: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(mib * BLOCK_BYTES);
  for (let block = 0; block < mib; block += 1) {
    await file.write(`message ${block}\n`, block * BLOCK_BYTES);
  }
  await file.sync();
  await file.close();
}

function changeByte(path: string, offset: number, value: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([value + 1]), 0, 1, Math.floor(offset) + 12_345);
  closeSync(fd);
}

async function storedBytes(lab: Lab): Promise<number> {
  const told = await lab.run('du', '-s', '--apparent-size', '--block-size=1', lab.path('storage'));
  return Number(told.split('\t')[0]);
}
