import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.js';
import type { Measurement } from './report.js';

/** Makes `count` files of `bytes` bytes each, 1,000 in a directory, no two alike. */
export function makeFiles(folder: string, count: number, bytes: number): void {
  const body = Buffer.alloc(bytes, 'label ');
  for (let number = 0; number < count; number++) {
    const directory = join(folder, `frames-${String(Math.floor(number / 1000)).padStart(4, '0')}`);
    if (number % 1000 === 0) mkdirSync(directory, { recursive: true });
    body.write(`${number}\n`, 0);
    writeFileSync(join(directory, `${String(number).padStart(7, '0')}.json`), body);
  }
}

/** Listing many small files with their attributes, cold; mounting to the first listing. */
export async function listings(lab: Lab, count: number): Promise<Measurement[]> {
  const plain = lab.path(`labels-${count}`);
  const repository = `labels-${count}`;
  makeFiles(plain, count, 64);
  await lab.tarn('repo', 'create', repository);
  await lab.tarn('put', '-r', plain, `${repository}/main`);
  await lab.tarn('commit', `${repository}/main`, '-m', 'labels');

  const results: Measurement[] = [];
  const find = (folder: string) => lab.run('sh', '-c', 'find "$0" -size +0 | wc -l', folder);
  const list = (folder: string) => lab.run('sh', '-c', 'ls -lR "$0" | wc -l', folder);
  for (const [name, walk, goal] of [
    ['find -size +0', find, count > 100_000 ? 1.5 : 1],
    ['ls -lR', list, undefined],
  ] as const) {
    await lab.dropCaches();
    const disk = await lab.time(() => walk(plain));
    const mounted = await lab.mountCold(`${repository}/main`);
    const tarn = await lab.time(() => walk(mounted));
    results.push({
      workload: `${name}, ${count.toLocaleString('en')} files, cold`,
      driver: lab.driver,
      unit: 's',
      disk,
      tarn,
      daemonMib: await lab.daemonPeakMib(),
      ...(goal === undefined || lab.driver !== 'native' ? {} : { goal }),
    });
    await lab.unmount();
  }
  results.push(await firstListing(lab, repository, count));
  await lab.run('rm', '-rf', plain);
  return results;
}

async function firstListing(lab: Lab, repository: string, count: number): Promise<Measurement> {
  const directory = lab.path('mounted');
  await lab.tarn('daemon', 'stop');
  await lab.tarn('daemon', 'start');
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const seconds = await lab.time(async () => {
      await lab.tarn('mount', `${repository}/main`, directory, '--driver', lab.driver);
      await lab.run('ls', directory);
    });
    best = Math.min(best, seconds);
    await lab.unmount();
  }
  return {
    workload: `mount ${count.toLocaleString('en')} files to the first listing (the command and ls)`,
    driver: lab.driver,
    unit: 'ms',
    tarn: best * 1000,
    daemonMib: await lab.daemonPeakMib(),
    ...(lab.driver === 'native' ? { goal: 100 } : {}),
  };
}

/** 10,000 files of 4 KiB read one by one, cold. */
export async function oneByOne(lab: Lab, count: number): Promise<Measurement[]> {
  const plain = lab.path('small');
  makeFiles(plain, count, 4096);
  await lab.tarn('repo', 'create', 'small');
  await lab.tarn('put', '-r', plain, 'small/main');
  await lab.tarn('commit', 'small/main', '-m', 'small files');
  const names = lab.path('names');
  await lab.run('sh', '-c', 'cd "$0" && find . -type f -print0 | sort -z > "$1"', plain, names);
  const read = (folder: string) =>
    lab.run('sh', '-c', 'cd "$0" && xargs -0 -a "$1" cat | wc -c', folder, names);
  await lab.dropCaches();
  const disk = await lab.time(() => read(plain));
  const mounted = await lab.mountCold('small/main');
  const tarn = await lab.time(() => read(mounted));
  const daemonMib = await lab.daemonPeakMib();
  await lab.unmount();
  return [
    {
      workload: `${count.toLocaleString('en')} × 4 KiB files one by one, cold`,
      driver: lab.driver,
      unit: 's',
      disk,
      tarn,
      daemonMib,
      ...(lab.driver === 'native' ? { goal: 4 } : {}),
    },
  ];
}
