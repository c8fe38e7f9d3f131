import { BLOCK_BYTES, contentIdOf, HASH_BYTES, sha256 } from '../model/ids.js';
import type { ContentId, Hash } from '../model/ids.js';
import { TarnError } from '../util/errors.js';
import { CORRUPT_HINT } from './corrupt.js';

/**
 * The blocks of a file of more than one block. Canonical bytes, and so the content id, follow from
 * the file's bytes alone; repo/FORMAT.md, Manifests.
 */
export interface Manifest {
  /** Bytes in the file. */
  readonly size: number;
  /** SHA-256 of each block in order, 32 bytes each. */
  readonly blocks: Uint8Array;
}

/** Longest file, 8 TiB: its manifest is 256 MiB. */
export const FILE_BYTES_MAX = 2 ** 43;

const MAGIC = Buffer.from('tarnman\x01', 'latin1');
const HEADER_BYTES = 20;

export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_BYTES);
}

/** Bytes of the manifest of a file of `size` bytes. */
export function manifestBytes(size: number): number {
  return HEADER_BYTES + blockCount(size) * HASH_BYTES;
}

export function encodeManifest(manifest: Manifest): Buffer {
  const { size, blocks } = manifest;
  if (!(size > BLOCK_BYTES && size <= FILE_BYTES_MAX) || !Number.isSafeInteger(size)) {
    throw new TarnError('too-large', `a file of ${size} bytes cannot have a manifest`, {
      hint: `files may have up to ${FILE_BYTES_MAX} bytes`,
    });
  }
  if (blocks.length !== blockCount(size) * HASH_BYTES) {
    throw new TarnError('internal', `${blocks.length} bytes of block ids for ${size} bytes`);
  }
  const bytes = Buffer.allocUnsafe(manifestBytes(size));
  MAGIC.copy(bytes, 0);
  bytes.writeBigUInt64BE(BigInt(size), 8);
  bytes.writeUInt32BE(BLOCK_BYTES, 16);
  bytes.set(blocks, HEADER_BYTES);
  return bytes;
}

export function manifestId(size: number, bytes: Uint8Array): ContentId {
  return contentIdOf(size, sha256(bytes));
}

/**
 * Decodes bytes that were checked to hash to the manifest's id.
 * @param object its key, for messages
 * @throws TarnError corrupt, unsupported (a later version)
 */
export function decodeManifest(bytes: Uint8Array, object: string): Manifest {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < HEADER_BYTES) throw corrupt(object, `has only ${view.length} bytes`);
  if (!view.subarray(0, 7).equals(MAGIC.subarray(0, 7))) {
    throw corrupt(object, 'does not begin as a manifest');
  }
  if (view[7] !== MAGIC[7]) {
    throw new TarnError(
      'unsupported',
      `manifest '${object}' has version ${view[7] ?? 0}, this tarn knows version 1`,
      { hint: 'install a newer tarn' },
    );
  }
  const size = Number(view.readBigUInt64BE(8));
  const blockBytes = view.readUInt32BE(16);
  if (blockBytes !== BLOCK_BYTES) throw corrupt(object, `states blocks of ${blockBytes} bytes`);
  if (size <= BLOCK_BYTES || size > FILE_BYTES_MAX) throw corrupt(object, `states ${size} bytes`);
  if (view.length !== manifestBytes(size)) {
    throw corrupt(object, `has ${view.length} bytes, ${manifestBytes(size)} belong to its size`);
  }
  return { size, blocks: view.subarray(HEADER_BYTES) };
}

/** The id of block `index`. */
export function blockHash(manifest: Manifest, index: number): Hash {
  const start = index * HASH_BYTES;
  const { buffer, byteOffset } = manifest.blocks;
  return Buffer.from(buffer, byteOffset + start, HASH_BYTES).toString('hex') as Hash;
}

function corrupt(object: string, why: string): TarnError {
  return new TarnError('corrupt', `manifest '${object}' is corrupt: it ${why}`, {
    hint: CORRUPT_HINT,
  });
}
