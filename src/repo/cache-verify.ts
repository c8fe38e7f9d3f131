import type { CachedObject } from '../cache/cached-object.js';
import type { ObjectCache } from '../cache/object-cache.js';
import { BLOCK_BYTES, HASH_BYTES, sha256 } from '../model/ids.js';
import type { Hash, PackId } from '../model/ids.js';
import { throwIfAborted } from '../util/abort.js';
import { asTarnError } from '../util/errors.js';
import { hashBytes } from './content-verify.js';
import { UNIT_BYTES } from './content-pinned.js';
import { blockCount, blockHash, decodeManifest } from './manifest.js';
import { decodePackIndex, decodeTrailer, PACK_TRAILER_BYTES } from './pack.js';

export interface CacheVerified {
  objects: number;
  /** Bytes that were checked. */
  bytes: number;
  /** Bytes of which the cache does not have what they could be checked by: they are when read. */
  unchecked: number;
  /** Bytes that were wrong and are gone from the cache. */
  damaged: number;
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly hash: Hash;
}

/**
 * Checks what is cached against its hashes, as far as these are cached too; what is damaged is dropped
 * from the cache, and fetched again by who reads it next.
 * @throws TarnError aborted
 */
export async function verifyCache(
  cache: ObjectCache,
  onProgress: (soFar: CacheVerified) => void,
  signal: AbortSignal,
): Promise<CacheVerified> {
  const counts: CacheVerified = { objects: 0, bytes: 0, unchecked: 0, damaged: 0 };
  for (const { name } of [...cache.rows()]) {
    throwIfAborted(signal);
    // They are checked with what they are the hashes of.
    if (name.startsWith('imported-sums/')) continue;
    const object = cache.acquire(name);
    try {
      await verifyObject(cache, object, counts, signal);
    } finally {
      cache.release(object);
    }
    counts.objects += 1;
    onProgress(counts);
  }
  return counts;
}

async function verifyObject(
  cache: ObjectCache,
  object: CachedObject,
  counts: CacheVerified,
  signal: AbortSignal,
): Promise<void> {
  const before = object.presentBytes;
  let checked = 0;
  for (const { start, end, hash } of await spansOf(cache, object)) {
    throwIfAborted(signal);
    const bytes = object.has(start, end) ? await object.read(start, end) : undefined;
    if (bytes === undefined) continue;
    checked += bytes.length;
    if ((await hashBytes(bytes)) === hash) continue;
    counts.damaged += bytes.length;
    object.drop(start, end);
  }
  counts.bytes += checked;
  counts.unchecked += before - checked;
}

/** The parts of an object that can be checked by themselves; none where it is not known what they are. */
async function spansOf(cache: ObjectCache, object: CachedObject): Promise<Span[]> {
  const [kind, , name] = object.name.split('/');
  const { size } = object;
  if (size === undefined || kind === undefined || name === undefined) return [];
  // Of these kinds the last part of the name is a hash; of others nothing is checked.
  const hash = name as Hash;
  switch (kind) {
    case 'manifests':
    case 'commits':
      return [{ start: 0, end: size, hash }];
    case 'files':
      return blocksOf(cache, hash, size);
    case 'imported':
      return unitsOf(cache, hash, size);
    case 'packs':
      return contentsOf(object, hash as string as PackId, size);
    default:
      return [];
  }
}

async function blocksOf(cache: ObjectCache, hash: Hash, size: number): Promise<Span[]> {
  const name = `manifests/${hash.slice(0, 2)}/${hash}`;
  const kept = cache.acquire(name);
  try {
    const bytes = kept.size === undefined ? undefined : await kept.read(0, kept.size);
    if (bytes === undefined || sha256(bytes) !== hash) return [];
    const manifest = decodeManifest(bytes, name);
    if (manifest.size !== size) return [];
    return Array.from({ length: blockCount(size) }, (_, i) => ({
      start: i * BLOCK_BYTES,
      end: Math.min(size, (i + 1) * BLOCK_BYTES),
      hash: blockHash(manifest, i),
    }));
  } finally {
    cache.release(kept);
  }
}

/** What was imported is checked by the hashes that were taken when it was fetched. */
async function unitsOf(cache: ObjectCache, hash: Hash, size: number): Promise<Span[]> {
  const kept = cache.acquire(`imported-sums/${hash.slice(0, 2)}/${hash}`);
  try {
    const spans: Span[] = [];
    for (let start = 0; start < size; start += UNIT_BYTES) {
      const at = (start / UNIT_BYTES) * HASH_BYTES;
      const sum = await kept.read(at, at + HASH_BYTES);
      if (sum === undefined) continue;
      const end = Math.min(size, start + UNIT_BYTES);
      spans.push({ start, end, hash: Buffer.from(sum).toString('hex') as Hash });
    }
    return spans;
  } finally {
    cache.release(kept);
  }
}

async function contentsOf(object: CachedObject, id: PackId, size: number): Promise<Span[]> {
  const trailer = await object.read(Math.max(0, size - PACK_TRAILER_BYTES), size);
  if (trailer === undefined) return [];
  try {
    const { offset, length } = decodeTrailer(trailer, size, object.name);
    const index = await object.read(offset, offset + length);
    if (index === undefined) return [];
    return decodePackIndex(index, offset, id, object.name).map((content) => ({
      start: content.offset,
      end: content.offset + content.length,
      hash: content.hash,
    }));
  } catch (error) {
    if (asTarnError(error).kind !== 'corrupt') throw error;
    return [];
  }
}
