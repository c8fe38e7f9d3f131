import { fstatSync, ftruncateSync, futimesSync, readSync, writeSync } from 'node:fs';
import type { Timestamp } from '../../vfs/writable.js';

/** What fallocate(2) is asked for; others are not supported. */
export const FALLOCATE_KEEP_SIZE = 1;
export const FALLOCATE_PUNCH_HOLE = 2;
export const FALLOCATE_ZERO_RANGE = 16;

/**
 * System calls on open files that Node has no function for. All are made at once, on the calling
 * thread; those that fail throw an error with the `code` of their errno.
 */
export interface FileCalls {
  fallocate(fd: number, mode: number, offset: number, length: number): void;
  /** Where the next data or hole from `offset` on begins; ENXIO behind the last data. */
  seek(fd: number, offset: number, to: 'data' | 'hole'): number | 'ENXIO';
  /** Bytes copied, maybe fewer than asked; 0 at the end of the source. */
  copyRange(from: number, fromOffset: number, to: number, toOffset: number, length: number): number;
  /** What is undefined stays as it is. */
  setTimes(
    fd: number,
    atime: Timestamp | 'now' | undefined,
    mtime: Timestamp | 'now' | undefined,
  ): void;
  /**
   * Whether another open file, or a map of one, can write the file that is open as `fd`, for writing
   * and nowhere else in this process. The kernel releases a file that passes through when it is
   * closed, while maps of it live on. Absent where it cannot be told.
   */
  readonly isWrittenElsewhere?: (fd: number) => boolean;
  /**
   * Does `work` while no thread of a driver writes the file that this is the page map of, changes its
   * bits or its length. Drivers hold the same lock from looking at the bits of a page until they have
   * written it and set its bit. `work` waits for nothing.
   */
  alone<T>(mapFd: number, work: () => T): T;
}

const ZEROS = Buffer.alloc(1_048_576);

/** Without an addon: holes are written as zeros and never found, and times are rounded to 1 µs. */
export const PORTABLE_CALLS: FileCalls = {
  fallocate(fd, mode, offset, length) {
    const size = fstatSync(fd).size;
    const end = offset + length;
    const isZeroing = (mode & (FALLOCATE_PUNCH_HOLE | FALLOCATE_ZERO_RANGE)) !== 0;
    if (isZeroing) writeZeros(fd, offset, Math.min(end, size));
    if ((mode & FALLOCATE_KEEP_SIZE) === 0 && end > size) ftruncateSync(fd, end);
  },

  seek(fd, offset, to) {
    const { size } = fstatSync(fd);
    if (offset >= size) return 'ENXIO';
    return to === 'data' ? offset : size;
  },

  copyRange(from, fromOffset, to, toOffset, length) {
    const bytes = Buffer.allocUnsafe(Math.min(length, ZEROS.length));
    const count = readSync(from, bytes, 0, bytes.length, fromOffset);
    return count === 0 ? 0 : writeSync(to, bytes, 0, count, toOffset);
  },

  setTimes(fd, atime, mtime) {
    const old = fstatSync(fd);
    futimesSync(fd, seconds(atime) ?? old.atimeMs / 1000, seconds(mtime) ?? old.mtimeMs / 1000);
  },

  alone: (_mapFd, work) => work(),
};

function seconds(time: Timestamp | 'now' | undefined): number | undefined {
  if (time === 'now') return Date.now() / 1000;
  if (time === undefined) return undefined;
  // Node cuts off what is below 1 µs, and the next number to a whole one may lie below it.
  return time.sec + (Math.floor(time.nsec / 1000) + 0.5) / 1e6;
}

/** Fills [start, end) with zeros. */
export function writeZeros(fd: number, start: number, end: number): void {
  for (let at = start; at < end;) {
    at += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, end - at), at);
  }
}
