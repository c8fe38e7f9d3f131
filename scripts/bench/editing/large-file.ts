import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../lab.js';
import { bestOf, writeLog } from '../large-log.js';
import type { Measurement } from '../report.js';
import { Desk } from './desk.js';

const ROUNDS = 3;
const SECONDS = 4;
const HYDRATE_MS_MAX = 30_000;
const ENGINES = [
  ['pwrite', 'psync'],
  ['mmap', 'mmap'],
] as const;

/** Writing a large file from its beginning to its end. */
export async function largeWrite(lab: Lab, mib: number): Promise<Measurement[]> {
  await lab.tarn('repo', 'create', 'record');
  const desk = await Desk.open(lab, 'record');
  const write = (more: readonly string[]) => async (folder: string) => {
    const file = join(folder, 'run-8421.mcap');
    await lab.run('sync');
    const args = ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${mib}`, ...more];
    const seconds = await lab.time(() => lab.run('dd', ...args));
    rmSync(file);
    return (mib * 1.048576) / seconds;
  };
  const closed = await bestOf(ROUNDS, desk.plain, desk.mounted, write([]));
  const synced = await bestOf(1, desk.plain, desk.mounted, write(['conv=fsync']));
  const results = [
    await desk.line(`sequential write, ${mib} MiB and close`, 'MB/s', closed, 0.8),
    await desk.line(`sequential write, ${mib} MiB, fsync and close`, 'MB/s', synced),
  ];
  await desk.close();
  return results;
}

/** 4 KiB overwrites at random places of a large file: staged, just opened, and hydrated. */
export async function overwrites(lab: Lab, mib: number): Promise<Measurement[]> {
  const source = lab.path('source');
  await lab.run('mkdir', '-p', source);
  for (const [how] of ENGINES) await writeLog(join(source, `${how}.mcap`), mib * 1_048_576);
  await lab.tarn('repo', 'create', 'log');
  await lab.tarn('put', '-r', source, 'log/main');
  await lab.tarn('commit', 'log/main', '-m', 'logs');
  await lab.run('rm', '-r', source);
  const desk = await Desk.open(lab, 'log');
  await writeLog(join(desk.plain, 'staged'), mib * 1_048_576);
  await writeLog(join(desk.mounted, 'staged'), mib * 1_048_576);
  await desk.untilIdle();
  const results: Measurement[] = [];
  const disk: Record<string, number> = {};
  for (const [how, engine] of ENGINES) {
    const best = await bestOf(ROUNDS, desk.plain, desk.mounted, (folder) =>
      overwrite(lab, join(folder, 'staged'), engine),
    );
    disk[how] = best.disk;
    results.push(await desk.line(`4 KiB overwrites by ${how}, staged`, 'IOPS', best, 0.6));
  }
  rmSync(join(desk.mounted, 'staged'));
  for (const [how, engine] of ENGINES) {
    const file = join(desk.mounted, `${how}.mcap`);
    const line = async (when: string, goal: number): Promise<void> => {
      const figures = { disk: disk[how] ?? 0, tarn: await overwrite(lab, file, engine) };
      const workload = `4 KiB overwrites by ${how}, committed ${mib} MiB, ${when}`;
      results.push(await desk.line(workload, 'IOPS', figures, goal));
    };
    // As warm as the file on the disk.
    await lab.run('dd', `if=${file}`, 'of=/dev/null', 'bs=1M');
    await line('first opening', 0.1);
    await untilWhole(lab);
    await line('hydrated', 0.6);
    rmSync(file);
  }
  results.push(await desk.stallLine('overwrites'));
  await desk.close();
  return results;
}

async function overwrite(lab: Lab, file: string, engine: string): Promise<number> {
  await lab.run('sync');
  const output = await lab.run(
    'fio',
    '--name=overwrite',
    `--filename=${file}`,
    '--rw=randwrite',
    '--bs=4k',
    `--ioengine=${engine}`,
    '--overwrite=1',
    '--fallocate=none',
    '--invalidate=0',
    '--time_based',
    `--runtime=${SECONDS}`,
    '--output-format=json',
  );
  const result = JSON.parse(output.slice(output.indexOf('{'))) as {
    jobs: { write: { iops: number } }[];
  };
  return result.jobs[0]?.write.iops ?? 0;
}

/** Until no staged file has a page map: then it holds all its bytes. */
async function untilWhole(lab: Lab): Promise<void> {
  const deadline = performance.now() + HYDRATE_MS_MAX;
  const folder = lab.path('home', 'workspaces');
  const isPartial = (): boolean =>
    readdirSync(folder, { recursive: true }).some((name) => String(name).endsWith('.pages'));
  while (isPartial()) {
    if (performance.now() > deadline) return;
    await delay(100);
  }
}
