import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { middle, timed } from '../history/workloads.js';
import type { Lab } from '../lab.js';
import { writeLog } from '../large-log.js';
import { makeFiles } from '../many-files.js';
import type { Measurement } from '../report.js';
import { FarBucket, type Reach } from './far-bucket.js';
import { PIECE_BYTES, readPiece } from './pieces.js';

export const LOG = 'run-8421.mcap';
/** So many files beside the log that its tree is longer than what is read of it first. */
const LABELS = 40_000;
const MIB = 1_048_576;
const LOG_BYTES = 64 * MIB;
const ROUNDS = 5;
/** After which a daemon has nothing of its start left to do. */
const WHILE_MS = 2_000;

/** Commits a log among many files; where it lies on the disk. */
export async function putLog({ lab }: FarBucket, bytes: number): Promise<string> {
  const plain = lab.path(LOG);
  await writeLog(plain, bytes);
  makeFiles(lab.path('labels'), LABELS, 64);
  await lab.tarn('put', plain, `near/main/${LOG}`);
  await lab.tarn('put', '-r', lab.path('labels'), 'near/main/labels');
  await lab.tarn('commit', 'near/main', '-m', 'a log');
  return plain;
}

/** The first byte, and a piece of the middle, each of a mount that has read nothing yet. */
export async function firstBytes(lab: Lab): Promise<Measurement[]> {
  const bucket = await FarBucket.open(lab);
  try {
    await putLog(bucket, LOG_BYTES);
    const opened: number[] = [];
    const requests: number[] = [];
    const mounted = { far: [] as number[], near: [] as number[] };
    const mountedLater: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await forgetAndWait(bucket, WHILE_MS);
      const file = join(await bucket.mount('far'), LOG);
      opened.push(await timed(() => readPiece(file, 0, 1)));
      const other = join(await bucket.mountCold('far'), LOG);
      const middleOfIt = Math.floor(LOG_BYTES / (2 + round)) + 77;
      const seen = await bucket.seen(() => readPiece(other, middleOfIt, PIECE_BYTES));
      requests.push(seen.requests);
      for (const reach of ['far', 'near'] as const) {
        mounted[reach].push(await fromMount(bucket, reach, 0));
      }
      mountedLater.push(await fromMount(bucket, 'far', WHILE_MS));
    }
    const trips = (ms: number) => ({ tarn: ms / bucket.roundTripMs });
    const waited = middle(mounted.far) - middle(mounted.near);
    const line = bucket.line.bind(bucket);
    const all = 'tarn mount to the first byte, cold';
    return [
      await line('a round trip', 'ms', { tarn: bucket.roundTripMs }),
      await line('first byte in an open mount, cold', 'round trips', trips(middle(opened)), 2.5),
      await line(all, 'round trips', trips(middle(mounted.far)), 6),
      await line('of which more than on loopback', 'round trips', trips(waited)),
      await line('the same on loopback', 'ms', { tarn: middle(mounted.near) }),
      await line(
        `${all}, of a daemon that has run for ${WHILE_MS / 1000} s`,
        'round trips',
        trips(middle(mountedLater)),
        6,
      ),
      await line('4 KiB of a cold file', 'requests', { tarn: Math.max(...requests) }, 3),
    ];
  } finally {
    await bucket.close();
  }
}

/** Milliseconds from the command to the first byte, of a daemon that has run for so long. */
async function fromMount(bucket: FarBucket, reach: Reach, ranMs: number): Promise<number> {
  await forgetAndWait(bucket, ranMs);
  return timed(async () => readPiece(join(await bucket.mount(reach), LOG), 0, 1));
}

/** Leaves a daemon that has nothing in its cache and has run for so long. */
async function forgetAndWait(bucket: FarBucket, ranMs: number): Promise<void> {
  await bucket.forget();
  await delay(ranMs);
}
