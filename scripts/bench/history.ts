/**
 * npm run bench:history -- [--files N]… [--plotted] [--json] [--svg FILE] [--dir FOLDER]
 *   [--lakefs http://127.0.0.1:8000 --lakefs-key KEY --lakefs-secret SECRET]
 *
 * Versioning at each size of repository, through the daemon's socket, and the same workload on a
 * running lakeFS if one is named. Without --files: 10,000, 100,000, 1,000,000 and 10,000,000. With
 * --plotted only what the SVG shows, which takes minutes less at the largest size.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Series } from './history/chart.js';
import { chart } from './history/chart.js';
import { LakefsPeer } from './history/lakefs-peer.js';
import type { Peer } from './history/peer.js';
import { deletions, localImport, tarnAtFullSize, tarnOnly } from './history/tarn-only.js';
import { TarnPeer } from './history/tarn-peer.js';
import type { Figure } from './history/workloads.js';
import { history } from './history/workloads.js';
import { Lab, cannotRun, machine } from './lab.js';

const { values } = parseArgs({
  options: {
    files: { type: 'string', multiple: true, default: ['10000', '100000', '1000000', '10000000'] },
    plotted: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    svg: { type: 'string' },
    dir: { type: 'string' },
    lakefs: { type: 'string' },
    'lakefs-key': { type: 'string', default: '' },
    'lakefs-secret': { type: 'string', default: '' },
  },
});

/** Files of the local folder that is imported: as many as there are in the repository, at most so many. */
const IMPORTED_MAX = 1_000_000;
/** From here on everything is measured, also what is asked for once. */
const FULL_SIZE = 10_000_000;

type Measured = Figure & { readonly peer: string };

async function main(): Promise<void> {
  const obstacle = cannotRun();
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
  for (const files of values.files.map(Number)) {
    const lab = await Lab.open(values.dir, 'native');
    const peer = new TarnPeer(lab);
    try {
      await history(peer, files, report(peer));
      await tarnOnly(peer, files, report(peer));
      if (files >= FULL_SIZE && !values.plotted) {
        await tarnAtFullSize(peer, files, report(peer));
        await deletions(peer, report(peer));
        await localImport(peer, IMPORTED_MAX, report(peer));
      }
    } finally {
      await peer.close();
    }
    if (values.lakefs !== undefined) await alsoLakefs(values.lakefs, files, report);
  }
  if (values.svg !== undefined)
    await writeFile(values.svg, chart('Cost against size', seriesOf(figures)));
  if (values.json) console.log(JSON.stringify({ machine: machine(), figures }, null, 2));
}

async function alsoLakefs(
  address: string,
  files: number,
  report: (peer: Peer) => (figure: Figure) => void,
): Promise<void> {
  const lab = await Lab.open(values.dir, 'native');
  const [key, secret] = [values['lakefs-key'], values['lakefs-secret']];
  const peer = new LakefsPeer({ address, key, secret, folder: lab.path('lakefs') });
  try {
    await history(peer, files, report(peer));
  } finally {
    await peer.close();
    await lab.close();
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
