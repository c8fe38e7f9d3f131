/**
 * npm run bench -- [--json] [--quick] [--driver native|fuse-native]… [--only NAME]… [--dir FOLDER]
 *   [--peer NAME=MOUNTPOINT]… [--seconds N]
 *
 * Each workload runs on the plain disk, or on what its name says, and on tarn in the same run; the table
 * gives the ratio. Peers read the small files of `bucket:small` where somebody mounts them when asked;
 * `bucket:commits` goes on for so many seconds.
 */
import { parseArgs } from 'node:util';
import { imports } from './bucket/imports.js';
import { racingCommits } from './bucket/commits.js';
import { firstBytes } from './bucket/first-byte.js';
import { largeFile } from './bucket/large-file.js';
import { oneOfMany } from './bucket/one-change.js';
import { smallFiles as smallObjects } from './bucket/small-files.js';
import { inserts } from './editing/database.js';
import { largeWrite, overwrites } from './editing/large-file.js';
import { amongMany, oneByte } from './editing/little-of-much.js';
import { smallFiles, sourceTree } from './editing/many-files.js';
import { ingest } from './ingest.js';
import { Lab, cannotRun, machine } from './lab.js';
import { largeLog } from './large-log.js';
import { listings, oneByOne } from './many-files.js';
import { type Measurement, ratioOf, reached, tableHead, tableRow } from './report.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    driver: { type: 'string', multiple: true, default: ['native', 'fuse-native'] },
    only: { type: 'string', multiple: true },
    dir: { type: 'string' },
    seconds: { type: 'string' },
    peer: { type: 'string', multiple: true, default: [] },
    aws: { type: 'string' },
  },
});

const scale = values.quick ? 0.1 : 1;
const workloads: Record<string, (lab: Lab) => Promise<Measurement[]>> = {
  log: (lab) => largeLog(lab, 1024 * scale),
  list: (lab) => listings(lab, 100_000 * scale),
  'list-million': (lab) => listings(lab, 1_000_000 * scale),
  small: (lab) => oneByOne(lab, 10_000),
  ingest: (lab) => ingest(lab, 100_000 * scale, 1024 * scale),
  'edit:write': (lab) => largeWrite(lab, Math.round(2048 * scale)),
  'edit:overwrite': (lab) => overwrites(lab, Math.round(1024 * scale)),
  'edit:create': (lab) => smallFiles(lab, 10_000 * scale),
  'edit:source': (lab) => sourceTree(lab, 50_000 * scale),
  'edit:sqlite': (lab) => inserts(lab, 20_000 * scale),
  'edit:million': (lab) => amongMany(lab, 1_000_000 * scale),
  'edit:byte': (lab) => oneByte(lab, 10_240 * scale),
  'bucket:log': (lab) => largeFile(lab, Math.round(1024 * scale)),
  'bucket:first': (lab) => firstBytes(lab),
  'bucket:import': (lab) => imports(lab, 1_000_000 * scale),
  'bucket:commits': (lab) => racingCommits(lab, Number(values.seconds ?? 20 * scale)),
  'bucket:small': (lab) => smallObjects(lab, 10_000 * scale, peers(), values.aws),
  'bucket:many': (lab) => oneOfMany(lab, 10_000_000 * scale),
};

function peers(): Record<string, string> {
  return Object.fromEntries(
    values.peer.map((text) => {
      const [, name, directory] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (name === undefined || directory === undefined) {
        throw new Error(
          `'${text}' is no peer: give its name and where it is mounted, as s3fs=/mnt/s3fs`,
        );
      }
      return [name, directory];
    }),
  );
}

/** Each name that was given stands for itself, and `edit` and `bucket` for all that begin so. */
function chosen(only: readonly string[] | undefined): string[] {
  const all = Object.keys(workloads);
  if (only === undefined) return all;
  const fits = (name: string, wanted: string): boolean =>
    name === wanted || name.startsWith(`${wanted}:`);
  const unknown = only.filter((wanted) => !all.some((name) => fits(name, wanted)));
  if (unknown.length > 0) {
    throw new Error(`no workload ${unknown.join(', ')}; there are ${all.join(', ')}`);
  }
  return all.filter((name) => only.some((wanted) => fits(name, wanted)));
}

async function main(): Promise<void> {
  const obstacle = cannotRun(['fio', 'find']);
  if (obstacle !== undefined) throw new Error(obstacle);
  const names = chosen(values.only);
  if (!values.json) console.log(`${machine()}\n\n${tableHead()}`);
  const all: Measurement[] = [];
  for (const driver of values.driver) {
    for (const name of names) {
      const isMounting = name !== 'ingest' && name !== 'bucket:import';
      if (driver !== values.driver[0] && (!isMounting || name === 'list-million')) continue;
      const lab = await Lab.open(values.dir, driver);
      try {
        const results = (await workloads[name]?.(lab)) ?? [];
        if (!values.json) for (const result of results) console.log(tableRow(result));
        all.push(...results);
      } finally {
        await lab.close();
      }
    }
  }
  if (values.json) {
    const results = all.map((one) => ({ ...one, ratio: ratioOf(one), reached: reached(one) }));
    console.log(JSON.stringify({ machine: machine(), results }, null, 2));
  }
}

main().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
