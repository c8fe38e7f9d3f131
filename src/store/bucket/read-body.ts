import type { Readable } from 'node:stream';
import type { BucketGet } from './bucket.js';
import { progressed } from './deadline.js';
import { FilledBody } from './direct/filled-body.js';
import type { Doing } from './faults.js';
import { truncatedFault } from './faults.js';

/**
 * All bytes of an answer whose length is known; each that comes is progress.
 * @throws TransientFault when fewer come; whatever the stream fails with
 */
export async function readBody(
  body: Readable,
  length: number,
  doing: Doing,
  { into, signal }: Pick<BucketGet, 'into' | 'signal'>,
): Promise<Uint8Array> {
  if (body instanceof FilledBody) return wholeOf(body.bytes, length, doing);
  const hasRoom = into !== undefined && into.length >= length;
  const bytes = hasRoom ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
  let filled = 0;
  await new Promise<void>((resolve, reject) => {
    body.on('data', (chunk: Buffer) => {
      // Nobody waits any more, and the room may be another's.
      if (signal?.aborted === true) return;
      chunk.copy(bytes, filled, 0, Math.min(chunk.length, length - filled));
      filled += chunk.length;
      progressed(signal);
    });
    body.on('end', resolve);
    body.on('error', reject);
    body.on('close', resolve);
  });
  if (filled !== length) throw truncatedFault(doing, filled, length);
  return bytes;
}

function wholeOf(bytes: Uint8Array, length: number, doing: Doing): Uint8Array {
  if (bytes.length !== length) throw truncatedFault(doing, bytes.length, length);
  return bytes;
}

/** What a header `Content-Range: bytes 0-9/100` says the whole object has. */
export function wholeSize(contentRange: string | undefined | null): number | undefined {
  const size = /\/(\d+)$/.exec(contentRange ?? '')?.[1];
  return size === undefined ? undefined : Number(size);
}

/** The value of the header Range. */
export function rangeHeader(
  range: { readonly offset: number; readonly length: number } | { readonly last: number },
): string {
  if ('last' in range) return `bytes=-${range.last}`;
  const end = Math.min(Number.MAX_SAFE_INTEGER, range.offset + range.length - 1);
  return `bytes=${range.offset}-${end}`;
}

export function withoutQuotes(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1');
}
