/**
 * npm run bench:history -- [--files N]… [--plotted] [--json] [--svg FILE] [--dir FOLDER]
 *   [--keep FOLDER] [--only NAME]…
 *   [--lakefs http://127.0.0.1:8000 --lakefs-key KEY --lakefs-secret SECRET]
 *
 * Versioning at each size of repository, through the daemon's socket, and the same workload on a
 * running lakeFS if one is named. Without --files: 10,000, 100,000, 1,000,000 and 10,000,000. With
 * --plotted only what the SVG shows, which takes minutes less at the largest size. --keep builds one
 * repository in a folder that stays, or measures the one that is there, and --only picks workloads:
 * so that one of them can be measured again in seconds.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Series } from './history/chart.js';
import { chart } from './history/chart.js';
import { LakefsPeer } from './history/lakefs-peer.js';
import type { Peer } from './history/peer.js';
import { atFullSize, tarnOnly } from './history/tarn-only.js';
import { TarnPeer } from './history/tarn-peer.js';
import type { Figure, Report, Workload } from './history/workloads.js';
import { Bench, workloads } from './history/workloads.js';
import { Lab, cannotRun, machine } from './lab.js';

const { values } = parseArgs({
  options: {
    files: { type: 'string', multiple: true, default: ['10000', '100000', '1000000', '10000000'] },
    plotted: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    svg: { type: 'string' },
    dir: { type: 'string' },
    keep: { type: 'string' },
    only: { type: 'string', multiple: true },
    lakefs: { type: 'string' },
    'lakefs-key': { type: 'string', default: '' },
    'lakefs-secret': { type: 'string', default: '' },
  },
});

/** From here on everything is measured, also what is asked for once. */
const FULL_SIZE = 10_000_000;

type Measured = Figure & { readonly peer: string };

async function main(): Promise<void> {
  const obstacle = cannotRun(['find']) ?? unknownName();
  if (obstacle !== undefined) throw new Error(obstacle);
  const figures: Measured[] = [];
  if (!values.json)
    console.log(
      `${machine()}\n\n| operation | system | files | figure | goal |\n|---|---|---|---|---|`,
    );
  const report = (peer: Peer) => (figure: Figure) => {
    const measured = { ...figure, peer: peer.name };
    figures.push(measured);
    if (!values.json) console.log(row(measured));
  };
  const sizes = values.files.map(Number);
  for (const files of values.keep === undefined ? sizes : sizes.slice(0, 1)) {
    await onTarn(files, report);
    if (values.lakefs !== undefined) await onLakefs(values.lakefs, files, report);
  }
  if (values.svg !== undefined)
    await writeFile(values.svg, chart('Cost against size', seriesOf(figures)));
  if (values.json) console.log(JSON.stringify({ machine: machine(), figures }, null, 2));
}

function unknownName(): string | undefined {
  const names = Object.keys({ ...workloads, ...tarnOnly, ...atFullSize });
  const unknown = (values.only ?? []).filter((name) => !names.includes(name));
  if (unknown.length === 0) return undefined;
  return `no workload ${unknown.join(', ')}; there are ${names.join(', ')}`;
}

async function onTarn(files: number, report: (peer: Peer) => Report): Promise<void> {
  const lab =
    values.keep === undefined
      ? await Lab.open(values.dir, 'native')
      : await Lab.kept(values.keep, 'native');
  const peer = new TarnPeer(lab);
  try {
    const isThere = values.keep !== undefined && existsSync(peer.storage);
    const size = isThere ? await peer.reopen() : files;
    const bench = new Bench(peer, size, report(peer));
    if (!isThere) await build(bench);
    await run(workloads, bench);
    bench.report({ operation: 'peak memory', value: await peer.peakMib(), unit: 'MiB' });
    await run(tarnOnly, bench);
    const isFull = size >= FULL_SIZE && !values.plotted;
    if (isFull || values.only !== undefined) await run(atFullSize, bench);
  } finally {
    await peer.close();
  }
}

async function onLakefs(
  address: string,
  files: number,
  report: (peer: Peer) => Report,
): Promise<void> {
  const lab = await Lab.open(values.dir, 'native');
  const [key, secret] = [values['lakefs-key'], values['lakefs-secret']];
  const peer = new LakefsPeer({ address, key, secret, folder: lab.path('lakefs') });
  try {
    const bench = new Bench(peer, files, report(peer));
    await build(bench);
    await run(workloads, bench);
  } finally {
    await peer.close();
    await lab.close();
  }
}

async function build(bench: Bench): Promise<void> {
  const { seconds, peakMib } = await bench.peer.build(bench.files);
  const value = bench.files / seconds;
  bench.report({ operation: 'build', value, unit: 'files/s', goal: 500_000 });
  if (peakMib === undefined) return;
  bench.report({ operation: 'build, peak memory', value: peakMib, unit: 'MiB', goal: 400 });
}

async function run<P extends Peer>(
  named: Readonly<Record<string, Workload<P>>>,
  bench: Bench<P>,
): Promise<void> {
  for (const [name, workload] of Object.entries(named)) {
    if (values.only?.includes(name) ?? true) await workload(bench);
  }
}

/** What was measured in milliseconds at more than one size. */
function seriesOf(figures: readonly Measured[]): Series[] {
  const names = [
    ...new Set(figures.filter((one) => one.unit === 'ms').map((one) => one.operation)),
  ];
  return names
    .map((name) => ({
      name,
      points: figures
        .filter((one) => one.operation === name && one.peer === 'tarn')
        .map(({ files, value }) => ({ files, ms: value })),
    }))
    .filter(({ points }) => points.length > 1);
}

function row({ operation, peer, files, value, unit, goal }: Measured): string {
  const isSpeed = unit === 'files/s';
  const reached = goal === undefined || (isSpeed ? value >= goal : value <= goal);
  const bound =
    goal === undefined ? '' : `${isSpeed ? '≥' : '≤'} ${goal.toLocaleString('en')} ${unit}`;
  const shown = value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
  const verdict = reached ? bound : `${bound}, missed`;
  return `| ${operation} | ${peer} | ${files.toLocaleString('en')} | ${shown} ${unit} | ${verdict} |`;
}

main().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
