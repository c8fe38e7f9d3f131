import { fstatSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { BLOCK_BYTES } from '../model/ids.js';
import type { KeptObject } from '../store/kept-object.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ReadTally } from '../store/traffic.js';
import type { TarnError } from '../util/errors.js';
import { unlessAborted } from '../util/abort.js';
import { isPromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { Backing } from './content.js';
import type { BlockSource, VerifiedBlocks } from './content-blocks.js';
import { fileIdentity } from './content-stamps.js';
import { hashBytes, shortObject, wrongBytes } from './content-verify.js';
import { wholeKey } from './layout.js';
import { blockCount } from './manifest.js';
import { RunBuffers } from './run-buffers.js';

/** Blocks of one request, at most: the SDK takes as long for a request as for a block's bytes. */
const REQUEST_BLOCKS_MAX = 8;
/** A reader who waits for no more than a block waits for halves of it that come at once. */
const WHOLE_BYTES_MAX = BLOCK_BYTES / 2;
/** Bits of closed files: 128 MiB of file for each byte. */
const REMEMBERED_BYTES_MAX = 1_048_576;

/** Blocks that were verified and lie in the file, while it was the file of this identity. */
interface Remembered {
  readonly identity: string;
  readonly bits: Uint8Array;
  readonly count: number;
}

interface Reading {
  readonly signal: AbortSignal | undefined;
  /** In place of the store's own. */
  readonly tally: ReadTally | undefined;
}

/** A block that is on its way. */
interface Loading {
  /** Verified. */
  readonly block: Promise<Uint8Array>;
  /** Settles when the file has it too, if there is room. */
  readonly kept: Promise<void>;
}

/** Files of a store that lies elsewhere, as far as they are kept here; opened once for all readers. */
export class CachedFiles {
  readonly blocks: VerifiedBlocks;
  readonly #keeper: Pick<ObjectStore, 'keep'>;
  readonly #open = new Map<string, CachedFile>();
  readonly #buffers = new RunBuffers(REQUEST_BLOCKS_MAX * BLOCK_BYTES);
  readonly #remembered = new LRUCache<string, Remembered>({
    maxSize: REMEMBERED_BYTES_MAX,
    sizeCalculation: ({ bits }) => bits.length + 128,
  });

  constructor(keeper: Pick<ObjectStore, 'keep'>, blocks: VerifiedBlocks) {
    this.#keeper = keeper;
    this.blocks = blocks;
  }

  /** To be released by the caller; undefined where the store keeps nothing. */
  acquire(source: BlockSource): CachedFile | undefined {
    const name = `${source.size}/${source.id}`;
    const found = this.#open.get(name);
    if (found !== undefined) {
      found.retain();
      return found;
    }
    const kept = this.#keeper.keep?.(wholeKey(source.id), source.size);
    if (kept === undefined) return undefined;
    const { blocks } = this;
    const shared = { blocks, buffers: this.#buffers };
    const file = new CachedFile(shared, source, kept, this.#remembered.get(name), (left) => {
      this.#open.delete(name);
      if (this.#open.size === 0) this.#buffers.clear();
      if (left !== undefined) this.#remembered.set(name, left);
    });
    this.#open.set(name, file);
    return file;
  }
}

/**
 * One file that lies elsewhere. A block is fetched when it is first asked for, once for all who ask
 * meanwhile; it is hashed before a byte of it is given out, and kept. What an earlier process kept
 * is hashed anew, unless all of the file was verified then and nobody has touched it since; a kept
 * block that is damaged is fetched again.
 */
export class CachedFile {
  readonly #blocks: VerifiedBlocks;
  readonly #buffers: RunBuffers;
  readonly #source: BlockSource;
  readonly #kept: KeptObject;
  readonly #onClose: (left: Remembered | undefined) => void;
  /** Verified, and in the file. */
  readonly #bits: Uint8Array;
  #count = 0;
  readonly #loading = new Map<number, Loading>();
  #users = 1;

  constructor(
    { blocks, buffers }: { readonly blocks: VerifiedBlocks; readonly buffers: RunBuffers },
    source: BlockSource,
    kept: KeptObject,
    remembered: Remembered | undefined,
    onClose: (left: Remembered | undefined) => void,
  ) {
    this.#blocks = blocks;
    this.#buffers = buffers;
    this.#source = source;
    this.#kept = kept;
    this.#onClose = onClose;
    const total = blockCount(source.size);
    if (remembered !== undefined && remembered.identity === this.#identity()) {
      this.#bits = remembered.bits;
      this.#count = remembered.count;
      return;
    }
    this.#bits = new Uint8Array(Math.ceil(total / 8));
    if (!kept.isVerified) return;
    this.#bits.fill(0xff);
    this.#count = total;
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    const identity = this.#identity();
    const isWorth = identity !== undefined && this.#count > 0;
    this.#onClose(isWorth ? { identity, bits: this.#bits, count: this.#count } : undefined);
    this.#kept.release();
  }

  backing(): Backing | undefined {
    const { fd } = this.#kept;
    if (fd === undefined || fstatSync(fd).size !== this.#source.size) return undefined;
    return {
      fd,
      offset: 0,
      exact: true,
      verified: this.#count === blockCount(this.#source.size),
      has: (start, end) => this.#areSet(blockOf(start), blockOf(end - 1)),
    };
  }

  /** Bytes [start, end), which lie in the file. */
  async read(start: number, end: number, reading: Reading): Promise<Uint8Array> {
    const { signal, tally = this.#kept.tally } = reading;
    this.retain();
    try {
      const first = blockOf(start);
      const last = blockOf(end - 1);
      if (this.#areSet(first, last)) {
        const bytes = await this.#kept.read(start, end);
        if (bytes !== undefined) {
          tally.hit(bytes.length);
          return bytes;
        }
        for (let i = first; i <= last; i += 1) this.#unset(i);
      }
      tally.miss();
      const out = Buffer.allocUnsafe(end - start);
      await unlessAborted(
        Promise.all(this.#fillAll(first, out, start, this.#load(first, last, tally, true))),
        signal,
      );
      return out;
    } finally {
      this.release();
    }
  }

  /** Gets the blocks that hold [start, end) into the file, many at a time. */
  async fetch(start: number, end: number, { signal, tally }: Reading): Promise<void> {
    this.retain();
    const running: Promise<void>[] = [];
    try {
      const first = blockOf(start);
      const last = blockOf(end - 1);
      for (let from = first; from <= last; from += REQUEST_BLOCKS_MAX) {
        const to = Math.min(last, from + REQUEST_BLOCKS_MAX - 1);
        if (this.#areSet(from, to)) continue;
        const giveBack = await this.#kept.reserve((to - from + 1) * BLOCK_BYTES, signal);
        const loads = this.#load(from, to, tally, false).map(({ kept }) => kept);
        const loaded = Promise.all(loads).then(() => undefined);
        running.push(loaded.finally(giveBack));
        // Heard of below, when the others are under way.
        running.at(-1)?.catch(() => undefined);
      }
      await Promise.all(running);
    } finally {
      await Promise.allSettled(running);
      this.release();
    }
  }

  /** @param blocks from the one with number `first` on */
  #fillAll(first: number, out: Buffer, start: number, blocks: readonly Loading[]): Promise<void>[] {
    return blocks.map(async (loading, i) => {
      const block = await loading.block;
      const blockStart = (first + i) * BLOCK_BYTES;
      const from = Math.max(start, blockStart);
      const to = Math.min(start + out.length, blockStart + BLOCK_BYTES);
      out.set(block.subarray(from - blockStart, to - blockStart), from - start);
    });
  }

  /**
   * The blocks first to last, verified; those that must be fetched and lie side by side, together.
   * @param isAwaited a reader has nothing to do until they are there
   */
  #load(first: number, last: number, tally: ReadTally | undefined, isAwaited: boolean): Loading[] {
    for (let i = first; i <= last; i += 1) {
      if (this.#loading.has(i)) continue;
      if (this.#kept.has(...this.#spanOf(i, i))) {
        void this.#start(i, this.#loadKept(i, tally));
        continue;
      }
      let to = i;
      while (to < last && to - i + 1 < REQUEST_BLOCKS_MAX && this.#isMissing(to + 1)) to += 1;
      this.#startRun(i, to, tally, isAwaited && first === last);
      i = to;
    }
    return Array.from(
      { length: last - first + 1 },
      (_, i) =>
        // It was started above, if it was not under way already.
        this.#loading.get(first + i) as Loading,
    );
  }

  #isMissing(index: number): boolean {
    return !this.#loading.has(index) && !this.#kept.has(...this.#spanOf(index, index));
  }

  /** Who waits for the block has it before it lies in the file. */
  #start(index: number, block: Promise<Uint8Array>): Promise<void> {
    this.retain();
    const kept = block
      .then((bytes) => this.#keep(index, bytes))
      .finally(() => {
        this.#loading.delete(index);
        this.release();
      });
    // Whoever waits for the block hears of it.
    kept.catch(() => undefined);
    this.#loading.set(index, { block, kept });
    return kept;
  }

  async #keep(index: number, block: Uint8Array): Promise<void> {
    if (this.#isSet(index)) return;
    if (await this.#kept.keep(index * BLOCK_BYTES, block)) this.#mark(index);
  }

  #startRun(first: number, last: number, tally: ReadTally | undefined, isUrgent: boolean): void {
    const [start, end] = this.#spanOf(first, last);
    const inHalves = isUrgent && end - start > WHOLE_BYTES_MAX;
    const buffer = last > first ? this.#buffers.take() : undefined;
    const fetching = inHalves
      ? this.#fetchInHalves(start, end, tally)
      : this.#fetch(start, end, tally, buffer);
    const using: Promise<unknown>[] = [fetching];
    for (let i = first; i <= last; i += 1) {
      const [from, to] = this.#spanOf(i, i);
      const cut = fetching.then((bytes) => bytes.subarray(from - start, to - start));
      using.push(this.#start(i, this.#accept(i, cut, tally)));
    }
    if (buffer !== undefined) void this.#giveBack(buffer, using);
  }

  /** Once the blocks lie in the file, and whoever waited for them has copied what he wanted. */
  async #giveBack(buffer: Buffer, using: readonly Promise<unknown>[]): Promise<void> {
    await Promise.allSettled(using);
    await giveWay();
    this.#buffers.give(buffer);
  }

  async #loadKept(index: number, tally: ReadTally | undefined): Promise<Uint8Array> {
    const [start, end] = this.#spanOf(index, index);
    const block = await this.#kept.read(start, end);
    if (block !== undefined) {
      if (this.#isSet(index)) return block;
      const { actual, expected } = await this.#hashes(index, block);
      if (actual === expected) {
        this.#mark(index);
        return block;
      }
      this.#unset(index);
      this.#kept.drop(start, end);
    }
    return this.#accept(index, this.#fetch(start, end, tally), tally);
  }

  /** A connection carries so much and no more: two bring a block sooner. */
  async #fetchInHalves(
    start: number,
    end: number,
    tally: ReadTally | undefined,
  ): Promise<Uint8Array> {
    const middle = start + Math.ceil((end - start) / 2);
    const [first, second] = await Promise.all([
      this.#fetch(start, middle, tally),
      this.#fetch(middle, end, tally),
    ]);
    return first.length < middle - start ? first : Buffer.concat([first, second]);
  }

  async #fetch(
    start: number,
    end: number,
    tally: ReadTally | undefined,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const { imported } = this.#source;
    if (imported === undefined) return this.#kept.fetch(start, end, { tally, into });
    const bytes = await imported.read(start, end, true);
    (tally ?? this.#kept.tally).fetched(bytes.length);
    return bytes;
  }

  /** The block, once it is known to be the right one; what comes wrong is fetched again, once. */
  async #accept(
    index: number,
    fetching: Promise<Uint8Array>,
    tally: ReadTally | undefined,
    isAgain = false,
  ): Promise<Uint8Array> {
    const [start, end] = this.#spanOf(index, index);
    // The manifest is fetched meanwhile.
    this.#expected(index).catch(() => undefined);
    const block = await fetching;
    const fault = await this.#faultOf(index, block);
    if (fault === undefined) return block;
    if (!isAgain) {
      (tally ?? this.#kept.tally).heal();
      return this.#accept(index, this.#fetch(start, end, tally), tally, true);
    }
    const { imported } = this.#source;
    throw imported === undefined ? fault : await imported.difference(start, end);
  }

  async #faultOf(index: number, block: Uint8Array): Promise<TarnError | undefined> {
    const [start, end] = this.#spanOf(index, index);
    const key = wholeKey(this.#source.id);
    if (block.length < end - start) {
      return shortObject(key, this.#source.size, start + block.length);
    }
    const { actual, expected } = await this.#hashes(index, block);
    if (actual === expected) return undefined;
    return wrongBytes(key, `bytes ${start} to ${end - 1}`, actual, expected);
  }

  async #hashes(index: number, block: Uint8Array) {
    const hashing = hashBytes(block);
    const expected = await this.#expected(index);
    return { expected, actual: isPromise(hashing) ? await hashing : hashing };
  }

  #expected(index: number) {
    return this.#blocks.expected(this.#source.id, this.#source.size, index);
  }

  #spanOf(first: number, last: number): [start: number, end: number] {
    return [first * BLOCK_BYTES, Math.min(this.#source.size, (last + 1) * BLOCK_BYTES)];
  }

  #mark(index: number): void {
    if (this.#isSet(index)) return;
    const byte = index >> 3;
    this.#bits[byte] = (this.#bits[byte] ?? 0) | (1 << (index & 7));
    this.#count += 1;
    if (this.#count === blockCount(this.#source.size)) void this.#markVerified();
  }

  async #markVerified(): Promise<void> {
    this.retain();
    await this.#kept.markVerified();
    this.release();
  }

  #unset(index: number): void {
    if (!this.#isSet(index)) return;
    const byte = index >> 3;
    this.#bits[byte] = (this.#bits[byte] ?? 0) & ~(1 << (index & 7));
    this.#count -= 1;
  }

  #isSet(index: number): boolean {
    return (((this.#bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
  }

  #areSet(first: number, last: number): boolean {
    for (let index = first; index <= last; index += 1) {
      if (!this.#isSet(index)) return false;
    }
    return true;
  }

  #identity(): string | undefined {
    const { fd } = this.#kept;
    return fd === undefined ? undefined : fileIdentity(fstatSync(fd, { bigint: true }));
  }
}

function blockOf(offset: number): number {
  return Math.floor(offset / BLOCK_BYTES);
}
