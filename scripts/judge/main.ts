/**
 * npm run judge -- [--dir DIR | --mount] [--driver NAME] [--only NAME]… [--full] [--json]
 *
 * Programs by others judge a directory as a file system. Without --dir and --mount the disk alone is
 * judged; with --mount the disk and a branch mounted for writing are, in the same run, and speeds are
 * compared. --parent names the folder that holds the temporary directories.
 */
import { parseArgs } from 'node:util';
import { fio } from './fio.js';
import { fsx } from './fsx.js';
import { git, npm } from './git.js';
import { missing, type Judge, type Verdict } from './judge.js';
import { pjdfstest } from './pjdfstest.js';
import { inDirectory, onDisk, onMount, type OpenPlace } from './places.js';
import { sqlite } from './sqlite.js';
import { stressNg } from './stress-ng.js';

const JUDGES: readonly Judge[] = [pjdfstest, fsx, fio, sqlite, git, npm, stressNg];

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    mount: { type: 'boolean', default: false },
    parent: { type: 'string' },
    driver: { type: 'string', default: 'native' },
    only: { type: 'string', multiple: true },
    full: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

interface Result extends Verdict {
  readonly judge: string;
  readonly place: string;
  readonly seconds: number;
}

type Opener = readonly [name: string, open: () => Promise<OpenPlace>];

function places(): Opener[] {
  const { dir, mount, parent, driver } = values;
  if (dir !== undefined) return [[dir, () => inDirectory(dir)]];
  const disk: Opener = ['disk', () => onDisk(parent)];
  return mount ? [disk, [`tarn, ${driver}`, () => onMount(parent, driver)]] : [disk];
}

async function main(): Promise<void> {
  const names = values.only ?? JUDGES.map((judge) => judge.name);
  const unknown = names.filter((name) => !JUDGES.some((judge) => judge.name === name));
  if (unknown.length > 0) {
    const known = JUDGES.map((judge) => judge.name).join(', ');
    throw new Error(`no judge ${unknown.join(', ')}; there are ${known}`);
  }
  if (!values.json) console.log('| judge | place | passed | failed | skipped | seconds |');
  if (!values.json) console.log('|---|---|---|---|---|---|');
  const results: Result[] = [];
  for (const judge of JUDGES.filter(({ name }) => names.includes(name))) {
    const absent = missing(judge);
    if (absent.length > 0) {
      throw new Error(`${judge.name} needs ${absent.join(', ')}: scripts/judge/install`);
    }
    for (const [name, open] of places()) {
      const place = await open();
      try {
        const start = performance.now();
        const verdict = await judge.run(place, values.full);
        const seconds = (performance.now() - start) / 1000;
        results.push({ judge: judge.name, place: name, seconds, ...verdict });
      } finally {
        await place.close();
      }
      if (!values.json) console.log(row(results.at(-1)));
    }
  }
  if (values.json) console.log(JSON.stringify(results, null, 2));
  else tellMore(results);
  if (results.some((result) => count(result, 'failed') > 0)) process.exitCode = 1;
}

function count(verdict: Verdict, outcome: string): number {
  return verdict.checks.filter((check) => check.outcome === outcome).length;
}

function row(result: Result | undefined): string {
  if (result === undefined) return '';
  const counts = ['passed', 'failed', 'skipped'].map((outcome) => count(result, outcome));
  return `| ${[result.judge, result.place, ...counts, result.seconds.toFixed(1)].join(' | ')} |`;
}

function tellMore(results: readonly Result[]): void {
  for (const { judge, place, checks } of results) {
    for (const check of checks.filter(({ outcome }) => outcome === 'failed')) {
      console.log(`\n${judge} on ${place} failed ${check.name}\n    ${check.reason ?? ''}`);
    }
  }
  for (const result of results) {
    const disk = results.find((one) => one.judge === result.judge && one.place === 'disk');
    if (disk === undefined || disk === result || result.speeds === undefined) continue;
    console.log(`\n| ${result.judge} | disk | ${result.place} | ratio |\n|---|---|---|---|`);
    for (const [what, speed] of Object.entries(result.speeds)) {
      const other = disk.speeds?.[what];
      const ratio = other === undefined || other === 0 ? '' : (speed / other).toFixed(2);
      console.log(`| ${what} | ${other ?? ''} | ${speed} | ${ratio} |`);
    }
  }
}

main().catch((error: unknown) => {
  console.error(`judge: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
