import { createHash, hash as hashOnce } from 'node:crypto';
import type { Hash } from '../model/ids.js';
import type { MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import { CORRUPT_HINT } from './corrupt.js';

/** Longer bytes are hashed while other events get their turn: 64 KiB take 40 µs. */
export const INLINE_BYTES_MAX = 65_536;
const PIECE_BYTES = 4 * INLINE_BYTES_MAX;

export function hashBytes(bytes: Uint8Array): MaybePromise<Hash> {
  if (bytes.length <= INLINE_BYTES_MAX) return hashOnce('sha256', bytes, 'hex') as Hash;
  return hashPieces(bytes);
}

/** The thread pool would copy the bytes first, which takes this thread longer than hashing them. */
async function hashPieces(bytes: Uint8Array): Promise<Hash> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) await giveWay();
    hash.update(bytes.subarray(at, at + PIECE_BYTES));
  }
  return hash.digest('hex') as Hash;
}

/** @param bytes says which bytes of the object: `bytes 0 to 99` */
export function wrongBytes(object: string, bytes: string, actual: Hash, expected: Hash): TarnError {
  return new TarnError(
    'corrupt',
    `object '${object}' is corrupt: ${bytes} hash to ${actual}, expected ${expected}`,
    { hint: CORRUPT_HINT },
  );
}

/** An object ends before bytes that it must hold. */
export function shortObject(object: string, expected: number, actual: number): TarnError {
  return new TarnError(
    'corrupt',
    `object '${object}' is corrupt: it ends at byte ${actual}, ${expected} bytes must be there`,
    { hint: CORRUPT_HINT },
  );
}
