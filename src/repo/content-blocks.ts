import { LRUCache } from 'lru-cache';
import { BLOCK_BYTES, contentHash } from '../model/ids.js';
import type { ContentId, Hash } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ReadTally } from '../store/traffic.js';
import { isPromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { cutPieces } from './content-pieces.js';
import type { Piece } from './content-pieces.js';
import { hashBytes, INLINE_BYTES_MAX, wrongBytes } from './content-verify.js';
import { ObjectWindows } from './content-windows.js';
import type { ImportedBytes } from './imported-bytes.js';
import { manifestKey } from './layout.js';
import { blockHash } from './manifest.js';
import type { Manifest } from './manifest.js';
import { readManifest } from './manifest-read.js';

/** Holds the manifest of a file of 2 TiB; a longer one's is loaded for each block. */
const MANIFEST_CACHE_BYTES_MAX = 67_108_864;
const BLOCK_CACHE_BYTES_MAX = 8_388_608;

/** What a block is read from: one content and where its bytes lie. */
export interface BlockSource {
  readonly id: ContentId;
  readonly size: number;
  readonly pieces: readonly Piece[];
  /** Holds the bytes in place of the pieces. */
  readonly imported?: ImportedBytes | undefined;
}

/**
 * Verified blocks of any content. A block is read and hashed once for all who ask meanwhile, and
 * the last few are kept for readers that take a block in small steps.
 */
export class VerifiedBlocks {
  readonly #objects: ObjectStore;
  readonly #windows: ObjectWindows;
  readonly #manifests = new LRUCache<ContentId, Manifest>({
    maxSize: MANIFEST_CACHE_BYTES_MAX,
    sizeCalculation: (manifest) => manifest.blocks.length,
  });
  readonly #loadingManifests = new Map<ContentId, Promise<Manifest>>();
  readonly #blocks = new LRUCache<string, Uint8Array>({
    maxSize: BLOCK_CACHE_BYTES_MAX,
    sizeCalculation: (block) => block.length,
  });
  readonly #loadingBlocks = new Map<string, Promise<Uint8Array>>();

  constructor(objects: ObjectStore) {
    this.#objects = objects;
    this.#windows = new ObjectWindows(objects);
  }

  /** What block `index` must hash to. */
  async expected(id: ContentId, size: number, index: number): Promise<Hash> {
    if (size <= BLOCK_BYTES) return contentHash(id);
    const manifest = this.#manifests.get(id) ?? (await this.#manifest(id, size));
    if (manifest.size === size) return blockHash(manifest, index);
    const key = manifestKey(id);
    throw new TarnError(
      'corrupt',
      `an entry of ${size} bytes names manifest '${key}', which is of ${manifest.size} bytes`,
    );
  }

  /**
   * Block `index`, verified. Shared: not to be changed.
   * @param keep whether the block will be asked for again soon
   * @param tally counts what a cache has of it
   */
  async block(
    source: BlockSource,
    index: number,
    keep: boolean,
    tally?: ReadTally,
  ): Promise<Uint8Array> {
    // Also by size: an entry that lies about it must not be served from what a true one left.
    const name = `${index}/${source.size}/${source.id}/${source.imported?.url ?? ''}`;
    const kept = this.#blocks.get(name);
    if (kept !== undefined) return kept;
    let loading = this.#loadingBlocks.get(name);
    if (loading === undefined) {
      loading = this.#load(source, index, tally).finally(() => this.#loadingBlocks.delete(name));
      this.#loadingBlocks.set(name, loading);
    }
    const block = await loading;
    // A copy where the block is part of more, which it would keep in memory.
    const alone = block.length === block.buffer.byteLength;
    if (keep) this.#blocks.set(name, alone ? block : new Uint8Array(block));
    return block;
  }

  /**
   * All of a small file, verified, if it lies in what was read for its neighbours; shared. Undefined
   * also where the bytes are wrong: block() then says how.
   */
  atHand({ id, size, pieces }: BlockSource): Uint8Array | undefined {
    const [piece] = pieces;
    if (piece === undefined || pieces.length > 1 || size > INLINE_BYTES_MAX) return undefined;
    const bytes = this.#windows.atHand(piece);
    return bytes !== undefined && hashBytes(bytes) === contentHash(id) ? bytes : undefined;
  }

  /** @param isAgain that what was kept on this machine turned out damaged, and is gone */
  async #load(
    source: BlockSource,
    index: number,
    tally: ReadTally | undefined,
    isAgain = false,
  ): Promise<Uint8Array> {
    const { id, size, imported } = source;
    const start = index * BLOCK_BYTES;
    const end = Math.min(size, start + BLOCK_BYTES);
    const pieces = cutPieces(source.pieces, start, end);
    const [expected, block] = await Promise.all([
      this.expected(id, size, index),
      imported === undefined ? this.#read(pieces, tally) : imported.read(start, end, false),
    ]);
    const hashing = hashBytes(block);
    const actual = isPromise(hashing) ? await hashing : hashing;
    if (actual === expected) return block;
    if (imported !== undefined) throw await imported.difference(start, end);
    for (const { object } of pieces) this.#windows.forget(object);
    if (this.#forgetKept(pieces) && !isAgain) return this.#load(source, index, tally, true);
    throw wrongBytes(whereOf(pieces), rangesOf(pieces), actual, expected);
  }

  #forgetKept(pieces: readonly Piece[]): boolean {
    const objects = new Set(pieces.map(({ object }) => object));
    return [...objects].filter((object) => this.#objects.forget?.(object) === true).length > 0;
  }

  async #read(pieces: readonly Piece[], tally: ReadTally | undefined): Promise<Uint8Array> {
    const [first] = pieces;
    if (first !== undefined && pieces.length === 1) return this.#windows.read(first, tally);
    return Buffer.concat(
      await Promise.all(pieces.map((piece) => this.#windows.read(piece, tally))),
    );
  }

  /** @param size that the file is thought to have */
  #manifest(id: ContentId, size: number): Promise<Manifest> {
    let loading = this.#loadingManifests.get(id);
    if (loading === undefined) {
      loading = this.#loadManifest(id, size).finally(() => this.#loadingManifests.delete(id));
      this.#loadingManifests.set(id, loading);
    }
    return loading;
  }

  async #loadManifest(id: ContentId, size: number): Promise<Manifest> {
    const manifest = await readManifest(this.#objects, id, size);
    this.#manifests.set(id, manifest);
    return manifest;
  }
}

function whereOf(pieces: readonly Piece[]): string {
  return [...new Set(pieces.map(({ object }) => object))].join("', '");
}

function rangesOf(pieces: readonly Piece[]): string {
  const ranges = pieces.map(({ offset, length }) => `${offset} to ${offset + length - 1}`);
  return `bytes ${ranges.join(', ')}`;
}
