import { BLOCK_BYTES, contentHash, contentIdOf } from '../model/ids.js';
import type { ContentId } from '../model/ids.js';
import type { FileEntry } from '../model/entry.js';
import type { ObjectStore } from '../store/object-store.js';
import { isPinned } from '../model/imported.js';
import { throwIfAborted, unlessAborted } from '../util/abort.js';
import type { ByteBudget } from '../cache/byte-budget.js';
import { ForeignBuckets } from '../store/foreign-buckets.js';
import type { ReadTally } from '../store/traffic.js';
import type { MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import type { Backing, Content } from './content.js';
import type { FetchBytes } from './content-ahead.js';
import { aheadBudget, AheadSpans } from './content-ahead.js';
import { VerifiedBlocks } from './content-blocks.js';
import type { BlockSource } from './content-blocks.js';
import { CachedFiles } from './content-cached.js';
import type { CachedFile } from './content-cached.js';
import { LocalFiles, PARALLEL_BLOCKS } from './content-file.js';
import type { LocalFile } from './content-file.js';
import { checkPieces, piecesOf } from './content-pieces.js';
import type { PinnedFile } from './content-pinned.js';
import { PinnedFiles } from './content-pinned.js';
import type { VerifiedStamps } from './content-stamps.js';
import type { ImportedBytes } from './imported-bytes.js';
import { importedBytes } from './open-imported.js';

/**
 * Opens files of a repository for reading. Nothing that an opened file gives out is unverified: a
 * block is checked by its hash before a byte of it is handed on, and a file that was imported without
 * reading it by how it looks, before and after.
 */
export class ContentReader {
  readonly #objects: ObjectStore;
  readonly #blocks: VerifiedBlocks;
  readonly #files: LocalFiles;
  readonly #cached: CachedFiles;
  readonly #pinned: PinnedFiles;
  readonly #foreign: ForeignBuckets;
  readonly #ahead = aheadBudget();

  /**
   * @param stamps of this machine's object files; without them each process verifies anew
   * @param foreign the buckets that imported objects lie in; closed by the caller
   * @param keeper keeps what was read of them
   */
  constructor(
    objects: ObjectStore,
    stamps?: VerifiedStamps,
    foreign = new ForeignBuckets(),
    keeper: Pick<ObjectStore, 'keep'> = objects,
  ) {
    this.#objects = objects;
    this.#foreign = foreign;
    this.#blocks = new VerifiedBlocks(objects);
    this.#files = new LocalFiles(this.#blocks, stamps);
    this.#cached = new CachedFiles(keeper, this.#blocks);
    this.#pinned = new PinnedFiles(keeper);
  }

  /**
   * Reads nothing yet: a missing object is found by the first read.
   * @param tally counts what is read of it elsewhere, and found here
   * @throws TarnError corrupt when the entry contradicts itself, unsupported
   */
  open(entry: FileEntry, tally?: ReadTally): Content {
    const { content: id, size } = entry;
    const imported = importedBytes(entry, this.#foreign);
    if (imported !== undefined && isPinned(id)) {
      if (!imported.isFar) return new PinnedContent(id, size, imported);
      const file = size === 0 ? undefined : this.#pinned.acquire(id, size, imported);
      if (file !== undefined) return new CachedContent({ id, size }, file, tally);
      return new FarPinnedContent(id, size, imported, this.#ahead, tally);
    }
    const pieces = piecesOf(entry);
    if (imported === undefined) checkPieces(pieces, size);
    if (size > 0 && contentIdOf(size, contentHash(id)) !== id) {
      throw new TarnError('corrupt', `an entry of ${size} bytes has the content id '${id}'`);
    }
    const source = { id, size, pieces, imported };
    const [first] = pieces;
    if (entry.address.kind === 'whole' && first !== undefined) {
      const path = this.#objects.localPath?.(first.object);
      if (path !== undefined) return new FileContent(source, this.#files.acquire(source, path));
    }
    if (entry.address.kind === 'whole' || imported?.isFar === true) {
      const file = this.#cached.acquire(source);
      if (file !== undefined) return new CachedContent(source, file, tally);
    }
    const isFar = this.#objects.keep !== undefined && imported === undefined && size > BLOCK_BYTES;
    return isFar
      ? new FarContent(source, this.#blocks, tally)
      : new BlockContent(source, this.#blocks, tally);
  }
}

/** An imported file whose bytes nobody has read: that it looks as it did is all that can be checked. */
class PinnedContent implements Content {
  readonly id: ContentId;
  readonly size: number;
  readonly #file: ImportedBytes;

  constructor(id: ContentId, size: number, file: ImportedBytes) {
    this.id = id;
    this.size = size;
    this.#file = file;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    return unlessAborted(this.#file.read(offset, end, true), signal);
  }

  backing(): undefined {
    return undefined;
  }

  close(): void {}
}

/** The same of an object in a bucket of which nothing can be kept here. */
class FarPinnedContent implements Content {
  readonly id: ContentId;
  readonly size: number;
  readonly #spans: AheadSpans;

  constructor(
    id: ContentId,
    size: number,
    object: ImportedBytes,
    budget: ByteBudget,
    tally: ReadTally | undefined,
  ) {
    this.id = id;
    this.size = size;
    const fetch: FetchBytes = async (start, end, signal) => {
      const bytes = await object.read(start, end, true, signal);
      tally?.fetched(bytes.length);
      return bytes;
    };
    this.#spans = new AheadSpans(fetch, budget);
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    return this.#spans.read(offset, end, signal);
  }

  async fetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const end = Math.min(this.size, offset + length);
    if (offset < end) await this.#spans.ahead(offset, end, signal);
  }

  backing(): undefined {
    return undefined;
  }

  close(): void {
    this.#spans.close();
  }
}

/** A content that is a local object file. */
class FileContent implements Content {
  readonly id: ContentId;
  readonly size: number;
  #file: LocalFile | undefined;

  constructor({ id, size }: BlockSource, file: LocalFile) {
    this.id = id;
    this.size = size;
    this.#file = file;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    return unlessAborted(this.#opened().read(offset, end, signal), signal);
  }

  backing(): Promise<Backing> {
    return this.#opened().backing();
  }

  close(): void {
    this.#file?.release();
    this.#file = undefined;
  }

  #opened(): LocalFile {
    if (this.#file !== undefined) return this.#file;
    throw new TarnError('internal', `content ${this.id} is closed`);
  }
}

/** What this machine has of one that lies on another. */
type KeptFile = Pick<CachedFile | PinnedFile, 'read' | 'fetch' | 'backing' | 'release'>;

/** A content that is an object on another machine, of which a file of this one has what was read. */
class CachedContent implements Content {
  readonly id: ContentId;
  readonly size: number;
  readonly #tally: ReadTally | undefined;
  #file: KeptFile | undefined;

  constructor(
    { id, size }: Pick<BlockSource, 'id' | 'size'>,
    file: KeptFile,
    tally: ReadTally | undefined,
  ) {
    this.id = id;
    this.size = size;
    this.#file = file;
    this.#tally = tally;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    return this.#opened().read(offset, end, { signal, tally: this.#tally });
  }

  async fetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const end = Math.min(this.size, offset + length);
    if (offset < end) await this.#opened().fetch(offset, end, { signal, tally: this.#tally });
  }

  backing(): Backing | undefined {
    return this.#opened().backing();
  }

  close(): void {
    this.#file?.release();
    this.#file = undefined;
  }

  #opened(): KeptFile {
    if (this.#file !== undefined) return this.#file;
    throw new TarnError('internal', `content ${this.id} is closed`);
  }
}

/** A content that lies in parts of objects, in a file that others may write, or on another machine. */
class BlockContent implements Content {
  readonly id: ContentId;
  readonly size: number;
  readonly #source: BlockSource;
  readonly #blocks: VerifiedBlocks;
  readonly #tally: ReadTally | undefined;

  constructor(source: BlockSource, blocks: VerifiedBlocks, tally: ReadTally | undefined) {
    this.id = source.id;
    this.size = source.size;
    this.#source = source;
    this.#blocks = blocks;
    this.#tally = tally;
  }

  read(offset: number, length: number, signal?: AbortSignal): MaybePromise<Uint8Array> {
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    const small = signal?.aborted === true ? undefined : this.#blocks.atHand(this.#source);
    // Copied, as the result is the caller's to keep.
    if (small !== undefined) return Buffer.from(small.subarray(offset, end));
    return this.readBlocks(offset, end, signal);
  }

  protected async readBlocks(
    offset: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const out = Buffer.allocUnsafe(end - offset);
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    for (let index = Math.floor(offset / BLOCK_BYTES); index <= last; index += PARALLEL_BLOCKS) {
      throwIfAborted(signal);
      const group: Promise<void>[] = [];
      for (let i = index; i <= Math.min(last, index + PARALLEL_BLOCKS - 1); i += 1) {
        group.push(this.#fill(i, out, offset));
      }
      await unlessAborted(Promise.all(group), signal);
    }
    return out;
  }

  backing(): undefined {
    return undefined;
  }

  close(): void {}

  /** Copies what block `index` has of the bytes from `start` into `out`. */
  async #fill(index: number, out: Buffer, start: number): Promise<void> {
    const blockStart = index * BLOCK_BYTES;
    const blockEnd = Math.min(this.size, blockStart + BLOCK_BYTES);
    const from = Math.max(start, blockStart);
    const to = Math.min(start + out.length, blockEnd);
    const inPart = from > blockStart || to < blockEnd;
    const block = await this.#blocks.block(this.#source, index, inPart, this.#tally);
    out.set(block.subarray(from - blockStart, to - blockStart), from - start);
  }
}

/** A large content in parts of objects on another machine: what was fetched of them is kept here. */
class FarContent extends BlockContent {
  async fetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    const end = Math.min(this.size, offset + length);
    if (offset < end) await this.readBlocks(offset, end, signal);
  }
}
