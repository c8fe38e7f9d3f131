import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, mkdirSync } from 'node:fs';
import { openSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { readAt } from '../util/files.js';
import type { KeptRow } from './kept-index.js';
import { RangeSet } from './range-set.js';

const writeFile = promisify(write);
const syncFile = promisify(fdatasync);

/** How often it is looked for what other threads have written. */
const REFRESH_MS = 1_000;
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** What an object of the cache tells the cache that it belongs to. */
export interface ObjectEvents {
  /** Whether so many bytes more may be written. */
  hasRoom(bytes: number): boolean;
  /** Bytes are on their way to the file; never rejects. */
  writing(done: Promise<unknown>): void;
  /** Bytes were written; `added` is to be saved. */
  written(object: CachedObject, bytes: number): void;
  /** The disk refused bytes. */
  refused(error: unknown): void;
  dropped(object: CachedObject, start: number, end: number): void;
  find(name: string): KeptRow | undefined;
  stamp(object: CachedObject, identity: string): void;
}

/** A fetch that is under way, for all who want what lies in it. */
export interface Flight {
  readonly start: number;
  readonly end: number;
  /** The bytes from `start`: fewer than asked for where the object ends. */
  readonly bytes: Promise<Uint8Array>;
}

/** One object of the cache, open: the file with what is there of it, and what that is. */
export class CachedObject {
  readonly name: string;
  readonly file: string | undefined;
  /** Bytes of the object, once they are known. */
  size: number | undefined;
  /** Written and not in the index yet. */
  added = RangeSet.empty();
  readonly flights = new Set<Flight>();
  users = 0;
  /** When its use was last recorded. */
  notedMs = 0;
  readonly #events: ObjectEvents;
  readonly #present: RangeSet;
  #fd: number | undefined;
  #stamp: string | undefined;
  #refreshedMs = performance.now();

  /** @param path of the file; without one nothing is kept */
  constructor(name: string, row: KeptRow | undefined, path: string, events: ObjectEvents) {
    this.name = name;
    this.#events = events;
    this.size = row?.size;
    this.#stamp = row?.stamp;
    this.#present = row?.ranges ?? RangeSet.empty();
    this.#fd = row === undefined ? undefined : openOrNot(path);
    this.file = this.#fd === undefined ? undefined : row?.file;
    if (this.#fd === undefined) this.#present.remove(0, Infinity);
    else this.#dropBeyond(fstatSync(this.#fd).size);
  }

  get fd(): number | undefined {
    return this.#fd;
  }

  /** Bytes of it that are there. */
  get presentBytes(): number {
    return this.#present.bytes;
  }

  /** Makes the file as long as the object, so that it can stand for it. */
  setSize(size: number): void {
    this.size = size;
    if (this.#fd === undefined || fstatSync(this.#fd).size === size) return;
    try {
      ftruncateSync(this.#fd, size);
    } catch (error) {
      this.#events.refused(error);
    }
  }

  has(start: number, end: number): boolean {
    return this.#present.has(start, end);
  }

  /** The parts of [start, end) that are not there, also by what other threads have written. */
  gaps(start: number, end: number): [start: number, end: number][] {
    const gaps = this.#present.gaps(start, end);
    if (gaps.length === 0 || this.file === undefined) return gaps;
    if (performance.now() - this.#refreshedMs < REFRESH_MS) return gaps;
    this.refresh();
    return this.#present.gaps(start, end);
  }

  /** Learns what other threads have told. */
  refresh(): void {
    this.#refreshedMs = performance.now();
    const row = this.#events.find(this.name);
    if (row === undefined || row.file !== this.file) return;
    this.size ??= row.size;
    this.#present.addAll(row.ranges);
  }

  async read(start: number, end: number): Promise<Uint8Array | undefined> {
    if (this.#fd === undefined || !this.has(start, end)) return undefined;
    try {
      const bytes = await readAt(this.#fd, start, end - start);
      if (bytes.length === end - start) return bytes;
    } catch {
      // A disk that cannot give the bytes back does not have them.
    }
    this.drop(start, end);
    return undefined;
  }

  /** Resolves to whether the file has them. The bytes must stay as they are until then. */
  write(start: number, bytes: Uint8Array): Promise<boolean> {
    const written = this.#write(start, bytes);
    this.#events.writing(written);
    return written;
  }

  async #write(start: number, bytes: Uint8Array): Promise<boolean> {
    const end = start + bytes.length;
    if (this.#fd === undefined || !this.#events.hasRoom(bytes.length)) return false;
    try {
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await writeFile(
          this.#fd,
          bytes,
          at,
          bytes.length - at,
          start + at,
        );
        at += bytesWritten;
      }
    } catch (error) {
      this.#events.refused(error);
      return false;
    }
    this.#present.add(start, end);
    this.added.add(start, end);
    this.#events.written(this, bytes.length);
    return true;
  }

  drop(start: number, end: number): void {
    this.#present.remove(start, end);
    this.added.remove(start, end);
    this.#stamp = undefined;
    this.#events.dropped(this, start, end);
  }

  /** Whether all of it was verified in the file as it is now. */
  get isVerified(): boolean {
    return (
      this.#fd !== undefined && this.#stamp !== undefined && this.#stamp === identityOf(this.#fd)
    );
  }

  async markVerified(): Promise<void> {
    if (this.#fd === undefined || this.isVerified) return;
    const identity = identityOf(this.#fd);
    try {
      await syncFile(this.#fd);
    } catch {
      // What may not have reached the disk is verified again by the next process.
      return;
    }
    this.#stamp = identity;
    this.#events.stamp(this, identity);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** What the index tells of and the file, cut short or gone, does not have. */
  #dropBeyond(size: number): void {
    const last = [...this.#present].at(-1);
    if (last !== undefined && last[1] > size) this.drop(size, Infinity);
  }
}

function openOrNot(path: string): number | undefined {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openSync(path, OPEN_FLAGS, 0o600);
  } catch {
    return undefined;
  }
}

/** Differs after any write to the file: the kernel alone sets ctime. */
function identityOf(fd: number): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
