import { close, fstatSync, open } from 'node:fs';
import { promisify } from 'node:util';
import { LRUCache } from 'lru-cache';
import { BLOCK_BYTES } from '../model/ids.js';
import { throwIfAborted } from '../util/abort.js';
import { isPromise } from '../util/async.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { readAt, readInto } from '../util/files.js';
import type { Backing } from './content.js';
import type { BlockSource, VerifiedBlocks } from './content-blocks.js';
import { fileIdentity } from './content-stamps.js';
import type { VerifiedStamps } from './content-stamps.js';
import { hashBytes, shortObject, wrongBytes } from './content-verify.js';
import { wholeKey } from './layout.js';
import { blockCount } from './manifest.js';

const openFile = promisify(open);
const closeFile = promisify(close);

/** Blocks read at a time by one call. */
export const PARALLEL_BLOCKS = 4;
/** How often a file may change while one range of it is read. */
const CHANGES_MAX = 3;
/** Bits of closed files: 128 MiB of file for each byte. */
const REMEMBERED_BYTES_MAX = 1_048_576;

/** Which blocks of a file were verified, while it was the file of this identity. */
interface Verified {
  identity: string;
  readonly bits: Uint8Array;
  count: number;
}

/** Object files of this machine that hold one content each, opened once for all their readers. */
export class LocalFiles {
  readonly blocks: VerifiedBlocks;
  readonly stamps: VerifiedStamps | undefined;
  readonly #open = new Map<string, LocalFile>();
  readonly #remembered = new LRUCache<string, Verified>({
    maxSize: REMEMBERED_BYTES_MAX,
    sizeCalculation: ({ bits }) => bits.length + 128,
  });

  constructor(blocks: VerifiedBlocks, stamps: VerifiedStamps | undefined) {
    this.blocks = blocks;
    this.stamps = stamps;
  }

  /** To be released by the caller. */
  acquire(source: BlockSource, path: string): LocalFile {
    const name = `${source.size}/${source.id}`;
    const found = this.#open.get(name);
    if (found !== undefined) {
      found.retain();
      return found;
    }
    const file = new LocalFile(this, source, path, this.#remembered.get(name), (verified) => {
      this.#open.delete(name);
      if (verified !== undefined) this.#remembered.set(name, verified);
    });
    this.#open.set(name, file);
    return file;
  }
}

/**
 * One local object file. Blocks are hashed when they are first touched; after that the kernel's
 * word that the file is unchanged is enough.
 */
export class LocalFile {
  readonly #files: LocalFiles;
  readonly #source: BlockSource;
  readonly #path: string;
  readonly #onClose: (verified: Verified | undefined) => void;
  readonly #verifying = new Map<number, Promise<Uint8Array>>();
  #verified: Verified | undefined;
  #users = 1;
  #opening: Promise<number> | undefined;

  constructor(
    files: LocalFiles,
    source: BlockSource,
    path: string,
    verified: Verified | undefined,
    onClose: (verified: Verified | undefined) => void,
  ) {
    this.#files = files;
    this.#source = source;
    this.#path = path;
    this.#verified = verified;
    this.#onClose = onClose;
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#onClose(this.#verified);
    const closing = this.#opening?.then((fd) => closeFile(fd));
    // A file that did not open was reported to whoever wanted it open.
    closing?.catch(() => undefined);
  }

  async backing(): Promise<Backing> {
    const fd = await this.#descriptor();
    const verified = this.#current(fd);
    return {
      fd,
      offset: 0,
      exact: fstatSync(fd).size === this.#source.size,
      verified: verified.count === blockCount(this.#source.size),
    };
  }

  /** Bytes [start, end), which lie in the file. */
  async read(start: number, end: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    this.retain();
    try {
      const fd = await this.#descriptor();
      for (let changes = 0; changes <= CHANGES_MAX; changes += 1) {
        const verified = this.#current(fd);
        const bytes = await this.#readOnce(fd, verified, start, end, signal);
        if (bytes !== undefined && this.#current(fd) === verified) return bytes;
      }
      throw new TarnError('io', `object '${this.#key}' changes while it is being read`, {
        hint: 'nothing but tarn may write below a repository',
      });
    } finally {
      this.release();
    }
  }

  get #key(): string {
    return wholeKey(this.#source.id);
  }

  #descriptor(): Promise<number> {
    this.#opening ??= openFile(this.#path, 'r').catch((error: unknown) => {
      this.#opening = undefined;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        throw new TarnError('not-found', `object '${this.#key}' is missing: '${this.#path}'`, {
          hint: 'restore it from a copy of the repository',
          cause: error,
        });
      }
      throw asTarnError(error, `opening object '${this.#key}'`);
    });
    return this.#opening;
  }

  /** What is verified of the file as it is now; another object after each change. */
  #current(fd: number): Verified {
    const stats = fstatSync(fd, { bigint: true });
    const identity = fileIdentity(stats);
    if (this.#verified?.identity === identity) return this.#verified;
    const count = blockCount(this.#source.size);
    const fresh = { identity, bits: new Uint8Array(Math.ceil(count / 8)), count: 0 };
    if (this.#files.stamps?.get(this.#path) === identity) {
      fresh.bits.fill(0xff);
      fresh.count = count;
    }
    this.#verified = fresh;
    return fresh;
  }

  /** Undefined when the file ended before bytes that had been verified: it changed meanwhile. */
  async #readOnce(
    fd: number,
    verified: Verified,
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const first = Math.floor(start / BLOCK_BYTES);
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    if (allSet(verified, first, last)) {
      const bytes = await readAt(fd, start, end - start);
      return bytes.length === end - start ? bytes : undefined;
    }
    const out = Buffer.allocUnsafe(end - start);
    for (let index = first; index <= last; index += PARALLEL_BLOCKS) {
      throwIfAborted(signal);
      const group: Promise<boolean>[] = [];
      for (let i = index; i <= Math.min(last, index + PARALLEL_BLOCKS - 1); i += 1) {
        group.push(this.#fill(fd, verified, i, out, start));
      }
      if ((await Promise.all(group)).includes(false)) return undefined;
    }
    return out;
  }

  /** Copies what block `index` has of the bytes from `start` into `out`; false when cut short. */
  async #fill(
    fd: number,
    verified: Verified,
    index: number,
    out: Buffer,
    start: number,
  ): Promise<boolean> {
    const blockStart = index * BLOCK_BYTES;
    const from = Math.max(start, blockStart);
    const to = Math.min(start + out.length, blockStart + BLOCK_BYTES);
    const target = out.subarray(from - start, to - start);
    if (isSet(verified, index)) return (await readInto(fd, target, from)) === target.length;
    const block = await this.#verify(fd, verified, index);
    target.set(block.subarray(from - blockStart, to - blockStart));
    return true;
  }

  /** Reads and hashes a block, once for all who ask meanwhile. */
  #verify(fd: number, verified: Verified, index: number): Promise<Uint8Array> {
    let verifying = this.#verifying.get(index);
    if (verifying === undefined) {
      verifying = this.#readBlock(fd, verified, index).finally(() => {
        this.#verifying.delete(index);
      });
      this.#verifying.set(index, verifying);
    }
    return verifying;
  }

  async #readBlock(fd: number, verified: Verified, index: number): Promise<Uint8Array> {
    const { id, size } = this.#source;
    const start = index * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, size - start);
    const [expected, block] = await Promise.all([
      this.#files.blocks.expected(id, size, index),
      readAt(fd, start, length),
    ]);
    if (block.length < length) throw shortObject(this.#key, size, start + block.length);
    const hashing = hashBytes(block);
    const actual = isPromise(hashing) ? await hashing : hashing;
    if (actual !== expected) {
      throw wrongBytes(this.#key, `bytes ${start} to ${start + length - 1}`, actual, expected);
    }
    // The bytes in hand are right in any case; the file's are if it is still the same file.
    if (this.#current(fd) === verified) this.#mark(fd, verified, index);
    return block;
  }

  #mark(fd: number, verified: Verified, index: number): void {
    if (isSet(verified, index)) return;
    const byte = index >> 3;
    verified.bits[byte] = (verified.bits[byte] ?? 0) | (1 << (index & 7));
    verified.count += 1;
    const whole = verified.count === blockCount(this.#source.size);
    if (whole && fstatSync(fd).size === this.#source.size) {
      this.#files.stamps?.set(this.#path, verified.identity);
    }
  }
}

function isSet({ bits }: Verified, index: number): boolean {
  return (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

function allSet(verified: Verified, first: number, last: number): boolean {
  for (let index = first; index <= last; index += 1) {
    if (!isSet(verified, index)) return false;
  }
  return true;
}
