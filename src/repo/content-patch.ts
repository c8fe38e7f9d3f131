import { BLOCK_BYTES, contentHash, HASH_BYTES } from '../model/ids.js';
import type { ContentId, Hash } from '../model/ids.js';
import type { Address, Extent, ExtentSource, FileEntry } from '../model/entry.js';
import type { ObjectStore } from '../store/object-store.js';
import { TarnError } from '../util/errors.js';
import { cutPieces } from './content-pieces.js';
import { blockCount, blockHash, encodeManifest, manifestId } from './manifest.js';
import { readManifest } from './manifest-read.js';

/** A content of more than one block, most of which are another content's. */
export interface PatchedContent {
  readonly content: ContentId;
  /** Pieces of what the other content lies in and of where the new blocks lie. */
  readonly address: Address;
  /** To be durable before an entry refers to the content. */
  readonly manifest: Buffer;
}

/**
 * Makes a content of another one's blocks and new ones, without reading the other one. Every block that
 * does not have the same bytes must be set.
 */
export class ContentPatch {
  readonly #base: FileEntry;
  readonly #extents: readonly Extent[];
  readonly #size: number;
  readonly #hashes: Buffer;
  readonly #set = new Map<number, Extent>();

  /**
   * Undefined where parts of the base cannot be referred to: it lies outside of the repository.
   * @param size of the new content, more than BLOCK_BYTES
   * @throws TarnError not-found, corrupt (the base's manifest), io
   */
  static async of(
    objects: ObjectStore,
    base: FileEntry,
    size: number,
  ): Promise<ContentPatch | undefined> {
    const extents = extentsOf(base);
    if (extents === undefined) return undefined;
    const hashes = Buffer.alloc(blockCount(size) * HASH_BYTES);
    if (base.size > BLOCK_BYTES) {
      const manifest = await readManifest(objects, base.content, base.size);
      hashes.set(manifest.blocks.subarray(0, hashes.length));
    } else if (base.size > 0) {
      hashes.write(contentHash(base.content), 'hex');
    }
    return new ContentPatch(base, extents, size, hashes);
  }

  private constructor(base: FileEntry, extents: readonly Extent[], size: number, hashes: Buffer) {
    this.#base = base;
    this.#extents = extents;
    this.#size = size;
    this.#hashes = hashes;
  }

  /** The hash that block `index` has so far. */
  hashOf(index: number): Hash {
    return blockHash({ size: this.#size, blocks: this.#hashes }, index);
  }

  /** @param offset where the block begins in `source` */
  set(index: number, hash: Hash, source: ExtentSource, offset: number): void {
    this.#hashes.write(hash, index * HASH_BYTES, 'hex');
    this.#set.set(index, { source, offset, length: this.#blockEnd(index) - index * BLOCK_BYTES });
  }

  /** Extents that there are if these blocks, in order, lie elsewhere, each run of them together. */
  extentCount(blocks: Iterable<number>, areTogether: boolean): number {
    let count = 0;
    let next = 0;
    for (const index of blocks) {
      if (index > next || !areTogether || count === 0) count += 1;
      if (index > next) count += this.#cut(next, index).length;
      next = index + 1;
    }
    return count + this.#cut(next, blockCount(this.#size)).length;
  }

  complete(): PatchedContent {
    const manifest = encodeManifest({ size: this.#size, blocks: this.#hashes });
    const content = manifestId(this.#size, manifest);
    if (content === this.#base.content) return { content, address: this.#base.address, manifest };
    return { content, address: { kind: 'extents', extents: this.#joined() }, manifest };
  }

  #joined(): Extent[] {
    const joined: Extent[] = [];
    const indexes = [...this.#set.keys()].sort((a, b) => a - b);
    let next = 0;
    for (const index of indexes) {
      for (const extent of this.#cut(next, index)) append(joined, extent);
      append(joined, this.#set.get(index) as Extent);
      next = index + 1;
    }
    for (const extent of this.#cut(next, blockCount(this.#size))) append(joined, extent);
    const total = joined.reduce((sum, { length }) => sum + length, 0);
    if (total === this.#size) return joined;
    throw new TarnError('internal', `extents of ${total} bytes for a file of ${this.#size}`);
  }

  /** Where blocks [first, end) of the base lie. */
  #cut(first: number, end: number): Extent[] {
    if (first >= end) return [];
    return cutPieces(this.#extents, first * BLOCK_BYTES, this.#blockEnd(end - 1));
  }

  #blockEnd(index: number): number {
    return Math.min(this.#size, (index + 1) * BLOCK_BYTES);
  }
}

function extentsOf({ address, content, size }: FileEntry): readonly Extent[] | undefined {
  switch (address.kind) {
    case 'none':
      return [];
    case 'whole':
      return [{ source: { kind: 'whole', content }, offset: 0, length: size }];
    case 'packed':
      return [
        { source: { kind: 'pack', pack: address.pack }, offset: address.offset, length: size },
      ];
    case 'extents':
      return address.extents;
    case 'imported':
      return undefined;
  }
}

/** Makes one extent of two that lie one after the other. */
function append(extents: Extent[], next: Extent): void {
  const last = extents.at(-1);
  const isNext =
    last !== undefined &&
    nameOf(last.source) === nameOf(next.source) &&
    last.offset + last.length === next.offset;
  if (isNext) extents[extents.length - 1] = { ...last, length: last.length + next.length };
  else extents.push(next);
}

function nameOf(source: ExtentSource): string {
  return source.kind === 'pack' ? source.pack : source.content;
}
