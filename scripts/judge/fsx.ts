import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkOf, run, type Check, type Judge, type Place } from './judge.js';

const WEIGHTS = {
  close_open: 1,
  invalidate: 1,
  mapread: 10,
  mapwrite: 10,
  read: 10,
  write: 10,
  truncate: 3,
  fsync: 0.5,
  fdatasync: 0.5,
  posix_fallocate: 2,
  punch_hole: 3,
  sendfile: 2,
  posix_fadvise: 1,
  copy_file_range: 3,
};

/** A kind of run: the greatest length of the file in bytes, and what it leaves out. */
const KINDS: readonly (readonly [string, number, readonly (keyof typeof WEIGHTS)[]])[] = [
  ['everything', 256 * 1024, []],
  ['a large file', 8 * 1024 * 1024, []],
  ['no maps', 512 * 1024, ['mapread', 'mapwrite', 'invalidate']],
  [
    'only reads, writes and truncation',
    256 * 1024,
    ['posix_fallocate', 'punch_hole', 'copy_file_range', 'sendfile', 'posix_fadvise'],
  ],
];

/** Random changes of one file, each read compared with a copy in memory. */
export const fsx: Judge = {
  name: 'fsx',
  needs: ['fsx'],
  async run(place, isFull) {
    const steps = isFull ? 20_000 : 2_000;
    const checks: Check[] = [];
    for (const [kind, length, without] of KINDS) {
      for (const seed of isFull ? [1, 2, 3, 4, 5] : [8421]) {
        checks.push(await exercise(place, { kind, length, without, seed, steps }));
      }
    }
    return { checks };
  },
};

async function exercise(
  { directory, scratch, lacks = [] }: Place,
  how: {
    kind: string;
    length: number;
    without: readonly (keyof typeof WEIGHTS)[];
    seed: number;
    steps: number;
  },
): Promise<Check> {
  const configuration = join(scratch, 'fsx.toml');
  const weights = Object.entries(WEIGHTS).map(([name, weight]) => {
    const isLeftOut = lacks.includes(name) || how.without.includes(name as keyof typeof WEIGHTS);
    return `${name} = ${isLeftOut ? '0.0' : weight.toFixed(1)}`;
  });
  writeFileSync(configuration, `flen = ${how.length}\n[weights]\n${weights.join('\n')}\n`);
  const folder = join(directory, 'fsx');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${how.kind.replaceAll(/\W+/g, '-')}-${how.seed}`);
  const ran = await run(
    'fsx',
    ['-f', configuration, '-N', `${how.steps}`, '-S', `${how.seed}`, '-P', scratch, file],
    { seconds: 1200 },
  );
  return checkOf(`${how.kind}, seed ${how.seed}, ${how.steps} steps`, ran);
}
