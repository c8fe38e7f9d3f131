import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { middle } from '../history/workloads.js';
import type { Lab } from '../lab.js';
import { makeFiles } from '../many-files.js';
import type { Measurement } from '../report.js';
import { Desk } from './desk.js';

const ROUNDS = 3;
const IDLE_MS = 3_000;
const FILES_IN_DIRECTORY = 20;
const SOURCE_BYTES_MAX = 16_384;

/** Creating many small files, and committing them. */
export async function smallFiles(lab: Lab, count: number): Promise<Measurement[]> {
  await lab.tarn('repo', 'create', 'labels');
  const desk = await Desk.open(lab, 'labels');
  const create = async (folder: string): Promise<number> => {
    await lab.run('sync');
    return lab.time(async () => makeFiles(join(folder, 'labels'), count, 4096));
  };
  const times = { disk: [] as number[], tarn: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [where, folder] of [
      ['disk', desk.plain],
      ['tarn', desk.mounted],
    ] as const) {
      rmSync(join(folder, 'labels'), { recursive: true, force: true });
      if (where === 'tarn') await desk.untilIdle();
      times[where].push(await create(folder));
    }
  }
  await desk.untilIdle();
  await delay(IDLE_MS);
  const commit = await lab.time(() => lab.tarn('commit', 'labels/main', '-m', 'labels'));
  const what = `${count.toLocaleString('en')} × 4 KiB files`;
  const figures = { disk: middle(times.disk), tarn: middle(times.tarn) };
  const results = [
    await desk.line(`create ${what}`, 's', figures, 5),
    await desk.line(`commit of ${what} that were idle`, 's', { tarn: commit }, 1),
    await desk.stallLine(what),
  ];
  await desk.close();
  return results;
}

/** A source tree with its git repository: unpacked by tar, then asked for its state. */
export async function sourceTree(lab: Lab, count: number): Promise<Measurement[]> {
  const archive = lab.path('source.tar');
  await pack(lab, count, archive);
  await lab.tarn('repo', 'create', 'source');
  const desk = await Desk.open(lab, 'source');
  const measured = async (folder: string) => {
    await lab.run('sync');
    const untar = await lab.time(() => lab.run('tar', 'xf', archive, '-C', folder));
    const status = () =>
      lab.time(async () => {
        const told = await lab.run('git', '-C', join(folder, 'source'), 'status', '--porcelain');
        if (told !== '') throw new Error(`git finds changes that nobody made: ${told}`);
      });
    const first = await status();
    const later: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) later.push(await status());
    return { untar, first, later: middle(later) };
  };
  const disk = await measured(desk.plain);
  const tarn = await measured(desk.mounted);
  const of = (name: keyof typeof disk) => ({ disk: disk[name], tarn: tarn[name] });
  const what = `a source tree of ${count.toLocaleString('en')} files`;
  const results = [
    await desk.line(`untar ${what}`, 's', of('untar'), 4),
    await desk.line(`git status in ${what}, first`, 's', of('first')),
    await desk.line(`git status in ${what}`, 's', of('later'), 2),
  ];
  const commit = await lab.time(() => lab.tarn('commit', 'source/main', '-m', 'a source tree'));
  results.push(await desk.line(`commit of ${what}`, 's', { tarn: commit }));
  results.push(await desk.stallLine(`untar, git status and commit of ${what}`));
  await desk.close();
  return results;
}

async function pack(lab: Lab, count: number, archive: string): Promise<void> {
  const source = lab.path('pack', 'source');
  const body = Buffer.alloc(SOURCE_BYTES_MAX, 'const frame = label.at(0);\n');
  for (let number = 0; number < count; number += 1) {
    const directory = `${source}/part-${Math.floor(number / 1000)}/unit-${Math.floor(number / FILES_IN_DIRECTORY)}`;
    if (number % FILES_IN_DIRECTORY === 0) mkdirSync(directory, { recursive: true });
    body.write(`// file ${number}\n`, 0);
    // Sizes of a source tree: most of them small.
    const bytes = 200 + Math.floor((SOURCE_BYTES_MAX - 200) * ((number * 0.618_034) % 1) ** 3);
    writeFileSync(join(directory, `file-${number}.ts`), body.subarray(0, bytes));
  }
  const git = (...args: string[]) => lab.run('git', '-C', source, ...args);
  await git('init', '--quiet');
  await git('config', 'gc.auto', '0');
  await git('add', '.');
  const author = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.com'];
  await git(...author, 'commit', '--quiet', '-m', 'source');
  await git('repack', '--quiet', '-a', '-d');
  await lab.run('tar', 'cf', archive, '-C', lab.path('pack'), 'source');
  await lab.run('rm', '-r', lab.path('pack'));
}
