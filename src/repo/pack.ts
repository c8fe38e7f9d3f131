import { BLOCK_BYTES, HASH_BYTES, sha256 } from '../model/ids.js';
import type { Hash, PackId } from '../model/ids.js';
import { TarnError } from '../util/errors.js';
import { CORRUPT_HINT } from './corrupt.js';

/**
 * Many small contents in one object: header, contents one after the other, index, trailer;
 * repo/FORMAT.md, Packs. The pack's id is the hash of its index, which names every content by its
 * own hash, so that packing hashes no byte twice.
 */
export interface PackedContent {
  /** SHA-256 of the bytes. */
  readonly hash: Hash;
  /** From the start of the object. */
  readonly offset: number;
  /** 1 to BLOCK_BYTES. */
  readonly length: number;
}

/** Contents in a pack, in bytes, at most; writers close a pack before it would hold more. */
export const PACK_CONTENT_BYTES_MAX = 16_777_216;
export const PACK_ENTRIES_MAX = 65_536;
export const PACK_HEADER_BYTES = 8;
export const PACK_TRAILER_BYTES = 20;

const MAGIC = Buffer.from('tarnpak\x01', 'latin1');
const INDEX_MAGIC = Buffer.from('tarnidx\x01', 'latin1');
const INDEX_HEADER_BYTES = 12;
const INDEX_ENTRY_BYTES = HASH_BYTES + 4;

/** Bytes of a pack of `entries` contents that have `contentBytes` together. */
export function packBytes(entries: number, contentBytes: number): number {
  return PACK_HEADER_BYTES + contentBytes + indexBytes(entries) + PACK_TRAILER_BYTES;
}

function indexBytes(entries: number): number {
  return INDEX_HEADER_BYTES + entries * INDEX_ENTRY_BYTES;
}

/**
 * Completes a pack in place: `buffer` holds the contents from PACK_HEADER_BYTES on, in order and
 * without gaps, and has room for packBytes. Returns the pack's id and bytes.
 */
export function sealPack(
  buffer: Buffer,
  contents: readonly { readonly hash: Hash; readonly length: number }[],
): { id: PackId; bytes: Buffer } {
  const contentBytes = contents.reduce((sum, { length }) => sum + length, 0);
  const indexOffset = PACK_HEADER_BYTES + contentBytes;
  MAGIC.copy(buffer, 0);
  INDEX_MAGIC.copy(buffer, indexOffset);
  buffer.writeUInt32BE(contents.length, indexOffset + 8);
  let at = indexOffset + INDEX_HEADER_BYTES;
  for (const { hash, length } of contents) {
    buffer.write(hash, at, 'hex');
    buffer.writeUInt32BE(length, at + HASH_BYTES);
    at += INDEX_ENTRY_BYTES;
  }
  const id = sha256(buffer.subarray(indexOffset, at)) as PackId;
  buffer.writeBigUInt64BE(BigInt(indexOffset), at);
  buffer.writeUInt32BE(at - indexOffset, at + 8);
  MAGIC.copy(buffer, at + 12);
  return { id, bytes: buffer.subarray(0, at + PACK_TRAILER_BYTES) };
}

/** Where the index lies, as the trailer of a pack of `size` bytes says. */
export function decodeTrailer(
  trailer: Uint8Array,
  size: number,
  object: string,
): { offset: number; length: number } {
  const bytes = Buffer.from(trailer.buffer, trailer.byteOffset, trailer.length);
  if (bytes.length !== PACK_TRAILER_BYTES) throw corrupt(object, `has only ${size} bytes`);
  checkMagic(bytes.subarray(12), MAGIC, object, 'does not end as a pack');
  const offset = Number(bytes.readBigUInt64BE(0));
  const length = bytes.readUInt32BE(8);
  if (length > indexBytes(PACK_ENTRIES_MAX)) {
    throw corrupt(object, `states an index of ${length} bytes`);
  }
  if (offset + length + PACK_TRAILER_BYTES !== size) {
    throw corrupt(object, `has ${size} bytes, its trailer tells of ${offset + length} before it`);
  }
  return { offset, length };
}

/**
 * Decodes the index that lies at `indexOffset` of the pack `id` and checks that it is its own.
 * @throws TarnError corrupt (naming the object), unsupported
 */
export function decodePackIndex(
  index: Uint8Array,
  indexOffset: number,
  id: PackId,
  object: string,
): PackedContent[] {
  const actual = sha256(index);
  if (actual !== id) throw corrupt(object, `has an index that hashes to ${actual}`);
  const bytes = Buffer.from(index.buffer, index.byteOffset, index.length);
  checkMagic(bytes, INDEX_MAGIC, object, 'has no index where its trailer says');
  const count = bytes.length < INDEX_HEADER_BYTES ? 0 : bytes.readUInt32BE(8);
  if (count === 0 || count > PACK_ENTRIES_MAX || bytes.length !== indexBytes(count)) {
    throw corrupt(object, `states ${count} contents in an index of ${bytes.length} bytes`);
  }
  const contents: PackedContent[] = [];
  const seen = new Set<string>();
  let offset = PACK_HEADER_BYTES;
  for (let at = INDEX_HEADER_BYTES; at < bytes.length; at += INDEX_ENTRY_BYTES) {
    const hash = bytes.toString('hex', at, at + HASH_BYTES) as Hash;
    const length = bytes.readUInt32BE(at + HASH_BYTES);
    if (length === 0 || length > BLOCK_BYTES) {
      throw corrupt(object, `states ${length} bytes for content ${hash}`);
    }
    if (seen.has(hash)) throw corrupt(object, `lists content ${hash} twice`);
    seen.add(hash);
    contents.push({ hash, offset, length });
    offset += length;
  }
  if (offset !== indexOffset) {
    throw corrupt(object, `has its index at ${indexOffset}, its contents end at ${offset}`);
  }
  return contents;
}

function checkMagic(bytes: Buffer, magic: Buffer, object: string, why: string): void {
  if (!bytes.subarray(0, 7).equals(magic.subarray(0, 7)) || bytes.length < 8) {
    throw corrupt(object, why);
  }
  if (bytes[7] === magic[7]) return;
  throw new TarnError(
    'unsupported',
    `pack '${object}' has version ${bytes[7] ?? 0}, this tarn knows version 1`,
    { hint: 'install a newer tarn' },
  );
}

function corrupt(object: string, why: string): TarnError {
  return new TarnError('corrupt', `pack '${object}' is corrupt: it ${why}`, {
    hint: CORRUPT_HINT,
  });
}
