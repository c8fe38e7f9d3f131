import { BLOCK_BYTES } from '../model/ids.js';
import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import type { Backing, Content } from '../repo/content.js';
import type { DriverEvents, Handle, OpenedFile } from './filesystem.js';
import { ReadAhead } from './read-ahead.js';

/**
 * Blocks verified ahead of a sequential reader, so that the driver finds the next ones granted and
 * answers without us. Small: verifying costs a hash of each block, wanted or not.
 */
const AHEAD_BYTES = 4 * BLOCK_BYTES;

/** Blocks that are granted together, at most: the reader waits for no more than these. */
const FETCH_BLOCKS_MAX = 8;

const NO_BYTES = new Uint8Array(0);

/** One open file: reads what the driver cannot, and grants it the blocks that were verified. */
export class OpenFile {
  readonly #handle: Handle;
  readonly #content: Content;
  readonly #backing: Backing | undefined;
  readonly #driver: () => DriverEvents | undefined;
  #isReleased = false;
  /** Ends the verifying ahead. */
  #stopAhead: AbortController | undefined;
  /** Reads in flight; the content stays open until they end, because they use its descriptors. */
  #reading = 0;
  /** End of the run of blocks that sequential reading has asked for, wanted or ahead; bytes. */
  #frontier = -1;
  /** Where verifying ahead goes on; bytes. It runs while this is below the frontier. */
  #ahead = 0;
  #verifyingAhead = false;
  /** Of a content that is fetched from elsewhere. */
  readonly #readAhead: ReadAhead | undefined;

  constructor(
    handle: Handle,
    content: Content,
    backing: Backing | undefined,
    driver: () => DriverEvents | undefined,
  ) {
    this.#handle = handle;
    this.#content = content;
    this.#backing = backing;
    this.#driver = driver;
    this.#readAhead = content.fetch === undefined ? undefined : new ReadAhead(content.size);
  }

  get opened(): OpenedFile {
    const backing = this.#backing;
    if (backing === undefined) return { handle: this.#handle };
    return {
      handle: this.#handle,
      backing: {
        fd: backing.fd,
        offset: backing.offset,
        length: this.#content.size,
        exact: backing.exact,
        verified: backing.verified,
      },
    };
  }

  read(offset: number, length: number, signal: AbortSignal): MaybePromise<Uint8Array> {
    if (offset >= this.#content.size || length <= 0) return NO_BYTES;
    this.#fetchAhead(blockStart(offset), this.#blockEnd(offset + length));
    return andThen(this.#readContent(offset, length, signal), (bytes) => {
      if (this.#backing?.verified === false && bytes.length > 0) {
        const start = blockStart(offset);
        const end = this.#blockEnd(offset + bytes.length);
        this.#grant(start, end);
        if (this.#readAhead === undefined) this.#follow(start, end);
      }
      return bytes;
    });
  }

  release(): void {
    this.#isReleased = true;
    this.#stopAhead?.abort();
    if (this.#reading === 0) this.#content.close();
  }

  #readContent(offset: number, length: number, signal: AbortSignal): MaybePromise<Uint8Array> {
    const bytes = this.#content.read(offset, length, signal);
    if (!isPromise(bytes)) return bytes;
    this.#reading += 1;
    return bytes.finally(() => {
      this.#reading -= 1;
      if (this.#reading === 0 && this.#isReleased) this.#content.close();
    });
  }

  /** Starts what the reads so far let expect; the read of [start, end) goes on meanwhile. */
  #fetchAhead(start: number, end: number): void {
    for (const ahead of this.#readAhead?.note(start, end) ?? []) {
      const blocks = (ahead.end - ahead.start) / BLOCK_BYTES;
      const step = BLOCK_BYTES * Math.min(FETCH_BLOCKS_MAX, Math.ceil(blocks / ahead.requests));
      for (let from = ahead.start; from < ahead.end; from += step) {
        const to = Math.min(ahead.end, from + step);
        // The first block is not granted.
        const grantFrom = from === ahead.start ? from + BLOCK_BYTES : from;
        void this.#fetch(from, to, ahead.isRun ? grantFrom : to);
      }
    }
  }

  async #fetch(start: number, end: number, grantFrom: number): Promise<void> {
    this.#stopAhead ??= new AbortController();
    this.#reading += 1;
    try {
      await this.#content.fetch?.(start, end - start, this.#stopAhead.signal);
      if (this.#backing?.verified === false && grantFrom < end) this.#grant(grantFrom, end);
    } catch {
      // The reader who gets there meets the same fault, and hears of it.
    } finally {
      this.#reading -= 1;
      if (this.#reading === 0 && this.#isReleased) this.#content.close();
    }
  }

  #grant(start: number, end: number): void {
    if (this.#isReleased || this.#backing?.has?.(start, end) === false) return;
    this.#driver()?.grant(this.#handle, start, end);
  }

  /** Takes note of a read of the blocks [start, end): a jump, or the next step of a long walk. */
  #follow(start: number, end: number): void {
    if (this.#frontier < 0 || start > this.#frontier) {
      this.#frontier = end;
      this.#ahead = end;
      return;
    }
    const target = Math.min(end + AHEAD_BYTES, this.#blockEnd(this.#content.size));
    if (target <= this.#frontier) return;
    this.#ahead = Math.max(this.#ahead, end);
    this.#frontier = target;
    if (!this.#verifyingAhead) void this.#verifyAhead();
  }

  async #verifyAhead(): Promise<void> {
    this.#verifyingAhead = true;
    this.#stopAhead ??= new AbortController();
    const { signal } = this.#stopAhead;
    try {
      while (this.#ahead < this.#frontier && !this.#isReleased) {
        const start = this.#ahead;
        this.#ahead = start + BLOCK_BYTES;
        // One byte is enough: no byte is given out before its whole block was verified.
        await this.#readContent(start, 1, signal);
        this.#grant(start, this.#blockEnd(start + 1));
      }
    } catch {
      // The reader who gets there meets the same fault, and hears of it.
      this.#ahead = this.#frontier;
    } finally {
      this.#verifyingAhead = false;
    }
  }

  #blockEnd(offset: number): number {
    return Math.min(this.#content.size, blockStart(offset + BLOCK_BYTES - 1));
  }
}

function blockStart(offset: number): number {
  return offset - (offset % BLOCK_BYTES);
}
