import { hash as hashOnce, webcrypto } from 'node:crypto';
import type { Hash } from '../model/ids.js';
import type { MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { CORRUPT_HINT } from './corrupt.js';

/** Longer bytes are hashed on the thread pool, so that the event loop goes on: 64 KiB take 50 µs. */
export const INLINE_BYTES_MAX = 65_536;

export function hashBytes(bytes: Uint8Array): MaybePromise<Hash> {
  if (bytes.length <= INLINE_BYTES_MAX) return hashOnce('sha256', bytes, 'hex') as Hash;
  return webcrypto.subtle
    .digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
    .then((digest) => Buffer.from(digest).toString('hex') as Hash);
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
