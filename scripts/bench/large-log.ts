import { randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Lab } from './lab.js';
import type { Measurement } from './report.js';

const ROUNDS = 9;

/** Writes `bytes` of data that does not compress, in pieces of 1 MiB. */
export async function writeLog(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  const piece = Buffer.alloc(1_048_576);
  for (let written = 0; written < bytes; written += piece.length) {
    randomFillSync(piece);
    await file.write(piece);
  }
  await file.sync();
  await file.close();
}

/** Sequential and random reads of one large log, page cache cold and warm. */
export async function largeLog(lab: Lab, mib: number): Promise<Measurement[]> {
  const plain = lab.path('plain/run-8421.mcap');
  await lab.run('mkdir', '-p', lab.path('plain'));
  await writeLog(plain, mib * 1_048_576);
  await lab.tarn('repo', 'create', 'log');
  await lab.tarn('put', plain, 'log/main/run-8421.mcap');
  await lab.tarn('commit', 'log/main', '-m', 'a log');
  const mounted = `${await lab.mountCold('log/main')}/run-8421.mcap`;

  const read = (path: string) =>
    lab.time(() => lab.run('dd', `if=${path}`, 'of=/dev/null', 'bs=1M'));
  await lab.dropCaches();
  const coldDisk = (mib * 1.048576) / (await read(plain));
  await lab.dropCaches();
  const coldTarn = (mib * 1.048576) / (await read(mounted));
  const warm = await bestOf(
    ROUNDS,
    plain,
    mounted,
    async (path) => (mib * 1.048576) / (await read(path)),
  );

  await lab.dropCaches();
  const randomCold = { disk: await randomReads(lab, plain, 3), tarn: 0 };
  await lab.dropCaches();
  randomCold.tarn = await randomReads(lab, mounted, 3);
  await read(plain);
  await read(mounted);
  const random = await bestOf(3, plain, mounted, (path) => randomReads(lab, path, 3));

  const daemonMib = await lab.daemonPeakMib();
  await lab.unmount();
  const line = (
    workload: string,
    unit: 'MB/s' | 'IOPS',
    disk: number,
    tarn: number,
    goal?: number,
  ) => ({
    workload,
    driver: lab.driver,
    unit,
    disk,
    tarn,
    daemonMib,
    ...(goal === undefined || lab.driver !== 'native' ? {} : { goal }),
  });
  return [
    line(`sequential read, ${mib} MiB, cold`, 'MB/s', coldDisk, coldTarn),
    line(`sequential read, ${mib} MiB, in the page cache`, 'MB/s', warm.disk, warm.tarn, 0.95),
    line('random 4 KiB reads, cold', 'IOPS', randomCold.disk, randomCold.tarn),
    line('random 4 KiB reads, in the page cache', 'IOPS', random.disk, random.tarn, 0.7),
  ];
}

/** Alternates between the two, so that a slow moment of the machine meets both. */
export async function bestOf(
  rounds: number,
  plain: string,
  mounted: string,
  measure: (path: string) => Promise<number>,
): Promise<{ disk: number; tarn: number }> {
  const best = { disk: 0, tarn: 0 };
  for (let round = 0; round < rounds; round++) {
    best.disk = Math.max(best.disk, await measure(plain));
    best.tarn = Math.max(best.tarn, await measure(mounted));
  }
  return best;
}

async function randomReads(lab: Lab, path: string, seconds: number): Promise<number> {
  const output = await lab.run(
    'fio',
    '--name=random',
    `--filename=${path}`,
    '--readonly',
    '--rw=randread',
    '--bs=4k',
    '--ioengine=psync',
    '--invalidate=0',
    '--time_based',
    `--runtime=${seconds}`,
    '--output-format=json',
  );
  const result = JSON.parse(output.slice(output.indexOf('{'))) as {
    jobs: { read: { iops: number } }[];
  };
  return result.jobs[0]?.read.iops ?? 0;
}
