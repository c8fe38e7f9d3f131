import { join } from 'node:path';
import { bestOf } from '../large-log.js';
import type { Lab } from '../lab.js';
import type { Measurement } from '../report.js';
import type { Reach } from './far-bucket.js';
import { FarBucket } from './far-bucket.js';
import { LOG, putLog } from './first-byte.js';
import { PIECE_BYTES, readPiece } from './pieces.js';

const MIB = 1_048_576;
const AT_ONCE = 8;

/** One large log in a bucket: replayed, read here and there, read again from the cache. */
export async function largeFile(lab: Lab, mib: number): Promise<Measurement[]> {
  const bucket = await FarBucket.open(lab);
  try {
    const plain = await putLog(bucket, mib * MIB);
    const replayed = await replays(bucket, mib, ['near', 'far'], '');
    await bucket.answerFromMemory(plain);
    const fromMemory = ['near-memory', 'far-memory'] as const;
    return [
      ...replayed,
      ...(await replays(bucket, mib, fromMemory, ', from memory')),
      ...(await again(bucket, plain, mib)),
      ...(await pieces(bucket, mib * MIB)),
    ];
  } finally {
    await bucket.close();
  }
}

/** From the first byte to the last, cold, beside a client that only reads ranges. */
async function replays(
  bucket: FarBucket,
  mib: number,
  [near, far]: readonly [Reach, Reach],
  from: string,
): Promise<Measurement[]> {
  const speed = (seconds: number): number => (mib * 1.048576) / seconds;
  const nearest = { raw: 0, tarn: 0, daemon: Infinity };
  const farthest = { raw: 0, tarn: 0 };
  const onePieceMib = Math.min(mib, 128);
  for (let round = 0; round < 3; round += 1) {
    nearest.raw = Math.max(nearest.raw, speed(await bucket.rawRead(near, mib * MIB, AT_ONCE)));
    const replayed = await coldRead(bucket, near);
    nearest.tarn = Math.max(nearest.tarn, speed(replayed.seconds));
    nearest.daemon = Math.min(nearest.daemon, replayed.daemonSeconds);
    const one = await bucket.rawRead(far, onePieceMib * MIB, 1);
    farthest.raw = Math.max(farthest.raw, (onePieceMib * 1.048576) / one);
    farthest.tarn = Math.max(farthest.tarn, speed((await coldRead(bucket, far)).seconds));
  }
  const many = speed(await bucket.rawRead(far, mib * MIB, 2 * AT_ONCE));
  const what = `sequential read, ${mib} MiB, cold${from}`;
  const on = async (place: string, disk: number, tarn: number, goal?: number) =>
    bucket.line(`${what}, ${place}`, 'MB/s', { disk, tarn }, goal);
  return [
    await on(`loopback; beside ${AT_ONCE} raw ranges at once`, nearest.raw, nearest.tarn, 0.8),
    await bucket.line('of which processor time of the daemon', 's', { tarn: nearest.daemon }),
    await on('far; beside one raw connection', farthest.raw, farthest.tarn, 8),
    await on(`far; beside ${2 * AT_ONCE} raw ranges at once`, many, farthest.tarn),
  ];
}

interface Replayed {
  readonly seconds: number;
  /** Processor time. */
  readonly daemonSeconds: number;
}

async function coldRead(bucket: FarBucket, reach: Reach): Promise<Replayed> {
  const { lab } = bucket;
  const file = join(await bucket.mountCold(reach), LOG);
  const before = await lab.daemonSeconds();
  const seconds = await readThrough(lab, file);
  return { seconds, daemonSeconds: (await lab.daemonSeconds()) - before };
}

function readThrough(lab: Lab, file: string): Promise<number> {
  return lab.time(() => lab.run('dd', `if=${file}`, 'of=/dev/null', 'bs=1M'));
}

/** After the daemon was started again: the cache has it all. Both are in the page cache. */
async function again(bucket: FarBucket, plain: string, mib: number): Promise<Measurement[]> {
  const { lab } = bucket;
  await lab.tarn('umount', '--all');
  await lab.tarn('daemon', 'stop');
  await lab.tarn('daemon', 'start');
  const mounted = join(await bucket.mount('far'), LOG);
  const best = { disk: 0, tarn: 0 };
  const { bytes } = await bucket.seen(async () => {
    await readThrough(lab, mounted);
    const read = async (path: string) => (mib * 1.048576) / (await readThrough(lab, path));
    Object.assign(best, await bestOf(9, plain, mounted, read));
  });
  const what = `sequential read, ${mib} MiB, after a restart; beside the plain file`;
  return [
    await bucket.line(what, 'MB/s', best, 0.95),
    await bucket.line('of which fetched', 'MiB', { tarn: bytes / MIB }),
  ];
}

/** Readers here and there: what was fetched over what was asked for, and over the blocks it lies in. */
async function pieces(bucket: FarBucket, size: number): Promise<Measurement[]> {
  const results: Measurement[] = [];
  for (const [length, count] of [
    [PIECE_BYTES, 64],
    [MIB, 64],
    [4 * MIB, 32],
  ] as const) {
    const file = join(await bucket.mountCold('far'), LOG);
    await readPiece(file, 0, 1);
    const blocks = new Set<number>();
    const { bytes } = await bucket.seen(async () => {
      for (let i = 1; i <= count; i += 1) {
        const offset = Math.floor(((i * 0.618_034) % 1) * (size - length));
        const last = Math.floor((offset + length - 1) / MIB);
        for (let block = Math.floor(offset / MIB); block <= last; block += 1) blocks.add(block);
        await readPiece(file, offset, length);
      }
    });
    const what = `${count} random reads of ${length / 1024} KiB`;
    const times = async (over: string, asked: number, goal?: number) =>
      bucket.line(`fetched over ${over}, ${what}`, 'times', { tarn: bytes / asked }, goal);
    results.push(
      await times('asked for', count * length),
      await times('the blocks asked for', blocks.size * MIB, 1.3),
    );
  }
  return results;
}
