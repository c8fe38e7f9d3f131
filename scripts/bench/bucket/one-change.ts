import { execFile } from 'node:child_process';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pathOf } from '../history/layout.js';
import { DaemonSocket } from '../history/socket.js';
import { middle, timed } from '../history/workloads.js';
import type { Lab } from '../lab.js';
import type { Measurement } from '../report.js';
import { FarBucket } from './far-bucket.js';

const execute = promisify(execFile);
const BUILD = fileURLToPath(
  new URL('../../../../scripts/bench/history/build.mjs', import.meta.url),
);
const ROUNDS = 7;

/** One file is changed and committed in a repository of many, whose bytes are nowhere. */
export async function oneOfMany(lab: Lab, files: number): Promise<Measurement[]> {
  const bucket = await FarBucket.open(lab);
  try {
    await execute(process.execPath, [BUILD, bucket.storage, String(files)]);
    await bucket.forget();
    const step = Math.floor(files / (ROUNDS + 1));
    return await oneChange(bucket, files, (round) => pathOf((round + 1) * step));
  } finally {
    await bucket.close();
  }
}

/**
 * A small file that was looked at is written on a mounted branch, and committed. The first commit of a
 * daemon, whose threads read the branch and its tree first, is told for itself.
 */
export async function oneChange(
  bucket: FarBucket,
  count: number,
  pathInRound: (round: number) => string,
): Promise<Measurement[]> {
  const { lab, roundTripMs } = bucket;
  await lab.tarn('umount', '--all');
  const mounted = await bucket.mount('far', '--write');
  const socket = new DaemonSocket(lab.path('home', 'run', 'daemon.sock'));
  const times: number[] = [];
  const requests: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const path = join(mounted, pathInRound(round));
      await stat(path);
      const seen = await bucket.seen(async () => {
        await writeFile(path, `labelled anew ${round}\n`);
        times.push(await timed(() => commit(socket, `label ${round}`)));
      });
      requests.push(seen.requests);
    }
  } finally {
    socket.close();
  }
  const what = `commit of one changed file in ${count.toLocaleString('en')}, far`;
  const trips = (ms: number | undefined) => ({ tarn: (ms ?? 0) / roundTripMs });
  const [firstMs, ...later] = times;
  const [firstRequests = 0, ...laterRequests] = requests;
  return [
    await bucket.line(what, 'round trips', trips(middle(later)), 6),
    await bucket.line(`${what}, from its write on`, 'requests', { tarn: middle(laterRequests) }, 6),
    await bucket.line(`${what}, the first of a daemon`, 'round trips', trips(firstMs)),
    await bucket.line('of which requests', 'requests', { tarn: firstRequests }),
  ];
}

function commit(socket: DaemonSocket, message: string): Promise<unknown> {
  const what = { repository: 'far', branch: 'main', message };
  const rest = { metadata: {}, paths: [], wait: false, author: 'bench' };
  return socket.call('commit', { ...what, ...rest });
}
