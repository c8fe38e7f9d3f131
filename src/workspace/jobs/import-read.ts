import { hash as hashOnce } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { FileEntry } from '../../model/entry.js';
import type { ContentId, Hash } from '../../model/ids.js';
import { BLOCK_BYTES, contentIdOf } from '../../model/ids.js';
import { fileIdentity } from '../../repo/content-stamps.js';
import { manifestKey } from '../../repo/layout.js';
import { encodeManifest, manifestId } from '../../repo/manifest.js';
import { putNamed } from '../../repo/objects.js';
import type { ForeignBucket, ForeignPin } from '../../store/foreign.js';
import type { ObjectStore } from '../../store/object-store.js';
import { throwIfAborted } from '../../util/abort.js';
import { giveWay } from '../../util/give-way.js';
import { importedFile } from './import-walk.js';
import type { DiskPath } from './walk.js';
import { forSystem, NOT_HELD } from './walk.js';

/** Never follows a symlink that took a file's place, nor hangs on a pipe that did. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** How often a file may change while it is read. */
const CHANGES_MAX = 3;
/** Asked for at once of an object, whole blocks. */
const OBJECT_PIECE_BYTES = 8 * BLOCK_BYTES;

const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);

/**
 * The entry of a file that is imported, with the id of its content, which is read for that: on this
 * thread, and never in the pool that all of the process shares (repo/content-large.ts).
 * @throws Error of the system, or when the file changes again and again; TarnError aborted
 */
export async function readImported(
  path: DiskPath,
  objects: ObjectStore,
  signal: AbortSignal,
): Promise<FileEntry> {
  const fd = openSync(forSystem(path), OPEN_FLAGS);
  try {
    for (let changes = 0; changes <= CHANGES_MAX; changes += 1) {
      const before = fstatSync(fd, { bigint: true });
      if (!before.isFile()) throw new Error(NOT_HELD);
      const entry = importedFile(path, before);
      if (entry.size === 0) return entry;
      const content = await contentOf(fd, before, objects, signal);
      const isSame = fileIdentity(fstatSync(fd, { bigint: true })) === fileIdentity(before);
      if (content !== undefined && isSame) return { ...entry, content };
    }
    throw new Error('it changes while it is being read');
  } finally {
    closeSync(fd);
  }
}

/** Undefined when the file ends before its size; the manifest of a longer one is stored. */
async function contentOf(
  fd: number,
  stats: BigIntStats,
  objects: ObjectStore,
  signal: AbortSignal,
): Promise<ContentId | undefined> {
  const size = Number(stats.size);
  if (size <= BLOCK_BYTES) {
    const bytes = readBlock(fd, 0, size);
    return bytes && contentIdOf(size, hashOnce('sha256', bytes) as Hash);
  }
  const hashes: Buffer[] = [];
  for (let at = 0; at < size; at += BLOCK_BYTES) {
    throwIfAborted(signal);
    const bytes = readBlock(fd, at, Math.min(BLOCK_BYTES, size - at));
    if (bytes === undefined) return undefined;
    hashes.push(hashOnce('sha256', bytes, 'buffer'));
    await giveWay();
  }
  return storeManifest(size, hashes, objects, signal);
}

/**
 * The id of an object's content, which is read for that.
 * @throws TarnError corrupt (it has changed), denied (also archived), unavailable, aborted
 */
export async function contentOfObject(
  bucket: ForeignBucket,
  pin: ForeignPin,
  objects: ObjectStore,
  signal: AbortSignal,
): Promise<ContentId> {
  const { size } = pin;
  if (size <= BLOCK_BYTES) {
    return contentIdOf(size, hashOnce('sha256', await bucket.read(pin, 0, size, signal)) as Hash);
  }
  const hashes: Buffer[] = [];
  for (let at = 0; at < size; at += OBJECT_PIECE_BYTES) {
    const piece = await bucket.read(pin, at, Math.min(size, at + OBJECT_PIECE_BYTES), signal);
    for (let from = 0; from < piece.length; from += BLOCK_BYTES) {
      hashes.push(hashOnce('sha256', piece.subarray(from, from + BLOCK_BYTES), 'buffer'));
    }
  }
  return storeManifest(size, hashes, objects, signal);
}

async function storeManifest(
  size: number,
  hashes: readonly Buffer[],
  objects: ObjectStore,
  signal: AbortSignal,
): Promise<ContentId> {
  const manifest = encodeManifest({ size, blocks: Buffer.concat(hashes) });
  const id = manifestId(size, manifest);
  await putNamed(objects, manifestKey(id), manifest, signal);
  return id;
}

/** Shared by all reads of this thread; undefined when there are fewer bytes. */
function readBlock(fd: number, offset: number, length: number): Buffer | undefined {
  for (let filled = 0; filled < length;) {
    const count = readSync(fd, block, filled, length - filled, offset + filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return block.subarray(0, length);
}
