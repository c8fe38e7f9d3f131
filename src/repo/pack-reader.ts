import { sha256 } from '../model/ids.js';
import type { PackId } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import { TarnError } from '../util/errors.js';
import { packKey } from './layout.js';
import { decodePackIndex, decodeTrailer, PACK_HEADER_BYTES, PACK_TRAILER_BYTES } from './pack.js';
import type { PackedContent } from './pack.js';

export interface PackIndex {
  /** Bytes of the pack object. */
  readonly size: number;
  readonly contents: readonly PackedContent[];
}

/**
 * What a pack holds, from its trailer and index alone; the contents are not read.
 * @throws TarnError not-found, corrupt, unsupported, io, aborted
 */
export async function readPackIndex(
  objects: ObjectStore,
  id: PackId,
  signal?: AbortSignal,
): Promise<PackIndex> {
  const key = packKey(id);
  const options = signal === undefined ? {} : { signal };
  const info = await objects.head(key, signal);
  if (info === undefined) {
    throw new TarnError('not-found', `pack '${key}' is missing in '${objects.url}'`);
  }
  const { size } = info;
  const trailerOffset = Math.max(PACK_HEADER_BYTES, size - PACK_TRAILER_BYTES);
  const trailerRange = { offset: trailerOffset, length: PACK_TRAILER_BYTES };
  const trailer = await objects.get(key, { ...options, range: trailerRange });
  const range = decodeTrailer(trailer, size, key);
  const index = await objects.get(key, { ...options, range });
  return { size, contents: decodePackIndex(index, range.offset, id, key) };
}

/** The first content that the bytes of the pack do not hold as its index says. */
export function wrongContent(
  contents: readonly PackedContent[],
  bytes: Uint8Array,
): PackedContent | undefined {
  return contents.find(
    ({ hash, offset, length }) => sha256(bytes.subarray(offset, offset + length)) !== hash,
  );
}

/** Whether the whole pack decodes and each content in it hashes to its name. */
export async function isPackIntact(
  objects: ObjectStore,
  id: PackId,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const { contents } = await readPackIndex(objects, id, signal);
    const bytes = await objects.get(packKey(id), signal === undefined ? {} : { signal });
    return wrongContent(contents, bytes) === undefined;
  } catch (error) {
    if (error instanceof TarnError && error.kind === 'corrupt') return false;
    throw error;
  }
}
