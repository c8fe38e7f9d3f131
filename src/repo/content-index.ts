import type { Hash, PackId } from '../model/ids.js';
import { parsePackId } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import { TarnError } from '../util/errors.js';
import { PACKS_PREFIX } from './layout.js';
import type { PackedContent } from './pack.js';
import { readPackIndex } from './pack-reader.js';

/**
 * Which small contents a repository holds, and in which pack: what lets equal content be stored
 * once. A cache of the packs' own indexes, so whoever uses a row checks that its pack exists.
 */
export interface ContentIndex {
  /** Of these contents, those that are known. */
  find(hashes: readonly Hash[]): Map<Hash, IndexedContent>;
  /** Records what a durable pack of `packBytes` holds. */
  add(pack: PackId, packBytes: number, contents: readonly PackedContent[]): void;
  /** Forgets a pack that is gone, and what was known to be in it. */
  drop(pack: PackId): void;
  has(pack: PackId): boolean;
  /** Lets others see what was added; until then only this index may know of it. */
  flush(): void;
}

export interface IndexedContent {
  readonly pack: PackId;
  /** Bytes of the pack object. */
  readonly packBytes: number;
  /** Of the content, from the start of the object. */
  readonly offset: number;
}

/**
 * Adds the packs that the index lacks (it is new, was lost, or another machine wrote them); reads
 * only their indexes. What is no pack, or a damaged one, is left out: nothing will refer to it.
 */
export async function refreshContentIndex(
  objects: ObjectStore,
  index: ContentIndex,
  signal?: AbortSignal,
): Promise<void> {
  for await (const { key } of objects.list(PACKS_PREFIX, signal === undefined ? {} : { signal })) {
    try {
      const pack = parsePackId(key.slice(key.lastIndexOf('/') + 1));
      if (index.has(pack)) continue;
      const { size, contents } = await readPackIndex(objects, pack, signal);
      index.add(pack, size, contents);
    } catch (error) {
      if (!(error instanceof TarnError) || !SKIPPED.has(error.kind)) throw error;
    }
  }
  index.flush();
}

const SKIPPED: ReadonlySet<string> = new Set(['invalid', 'corrupt', 'unsupported', 'not-found']);
