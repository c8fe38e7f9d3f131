import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { FILE_BYTES_MAX } from '../../repo/manifest.js';
import { asTarnError, TarnError } from '../../util/errors.js';

/** The unit in which a partial file has bytes of its own. */
export const PAGE_BYTES = 4096;

/**
 * Where the bytes of a range come from: the staged file, the base, or nowhere, which are zeros.
 * [start, end) in bytes of the file.
 */
export interface Run {
  readonly from: 'staged' | 'base' | 'zeros';
  readonly start: number;
  readonly end: number;
}

const MAGIC = Buffer.from('tarnpag\x01', 'latin1');
const HEADER_BYTES = 4096;
const LIMIT_AT = 8;
const BASE_AT = 16;
/** Bytes of bits looked at together: 128 MiB of the file. */
const CHUNK_BYTES = 4096;

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = constants;

/**
 * Which pages of a partial file are its own; the format and the rules are in OVERLAY.md, Bytes. Bits
 * are read from the file each time, as drivers set them too. The limit changes only here, and one
 * process has one PageMap for a file.
 */
export class PageMap {
  readonly fd: number;
  /** Bytes. */
  readonly baseBytes: number;
  #limit: number;

  /** @throws TarnError exists, no-space, io */
  static create(path: string, baseBytes: number): PageMap {
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      return PageMap.#initialize(fd, baseBytes);
    } catch (error) {
      closeSync(fd);
      throw asTarnError(error, `making the page map '${path}'`);
    }
  }

  /**
   * @param length of the staged file: the limit is lowered to it
   * @param baseBytes of the base. A map that never reached the disk before a power cut is begun anew,
   *   as no page of the file was ever synced
   * @throws TarnError corrupt (it is left as it is), unsupported, not-found, io
   */
  static open(path: string, length: number, baseBytes: number): PageMap {
    const map = PageMap.#open(path, O_RDWR, baseBytes, PageMap.#initialize);
    if (length < map.#limit) map.setLimit(length);
    return map;
  }

  /** The same beside the process whose map it is: only to be asked. */
  static openToRead(path: string, length: number, baseBytes: number): PageMap {
    const asNew = (fd: number): PageMap => new PageMap(fd, baseBytes, baseBytes);
    const map = PageMap.#open(path, O_RDONLY, baseBytes, asNew);
    map.#limit = Math.min(map.#limit, length);
    return map;
  }

  static #open(
    path: string,
    flags: number,
    baseBytes: number,
    begin: (fd: number, baseBytes: number) => PageMap,
  ): PageMap {
    const fd = openSync(path, flags);
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      const count = readSync(fd, header, 0, HEADER_BYTES, 0);
      const isBegun = header.some((byte) => byte !== 0);
      if (!isBegun) return begin(fd, baseBytes);
      return PageMap.#decode(path, fd, header.subarray(0, count), baseBytes);
    } catch (error) {
      closeSync(fd);
      throw asTarnError(error, `opening the page map '${path}'`);
    }
  }

  static #initialize(fd: number, baseBytes: number): PageMap {
    ftruncateSync(fd, 0);
    ftruncateSync(fd, mapBytes(baseBytes));
    const header = Buffer.alloc(BASE_AT + 8);
    MAGIC.copy(header);
    header.writeBigUInt64LE(BigInt(baseBytes), LIMIT_AT);
    header.writeBigUInt64LE(BigInt(baseBytes), BASE_AT);
    writeSync(fd, header, 0, header.length, 0);
    return new PageMap(fd, baseBytes, baseBytes);
  }

  static #decode(path: string, fd: number, header: Buffer, expected: number): PageMap {
    if (header.length < HEADER_BYTES) throw corrupt(path, `it has only ${header.length} bytes`);
    if (!header.subarray(0, 7).equals(MAGIC.subarray(0, 7))) {
      throw corrupt(path, 'it does not begin as a page map');
    }
    if (header[7] !== MAGIC[7]) {
      throw new TarnError(
        'unsupported',
        `page map '${path}' has version ${header[7] ?? 0}, this tarn knows version 1`,
        { hint: 'install a newer tarn' },
      );
    }
    const limit = header.readBigUInt64LE(LIMIT_AT);
    const base = header.readBigUInt64LE(BASE_AT);
    if (base > FILE_BYTES_MAX) throw corrupt(path, `it states a base of ${base} bytes`);
    if (limit > base) throw corrupt(path, `it shows ${limit} bytes of a base of ${base}`);
    if (header.subarray(BASE_AT + 8).some((byte) => byte !== 0)) {
      throw corrupt(path, 'its header holds more than a header does');
    }
    if (Number(base) !== expected) {
      throw corrupt(path, `it is for a base of ${base} bytes, and the base has ${expected}`);
    }
    const length = fstatSync(fd).size;
    if (length !== mapBytes(Number(base))) {
      throw corrupt(path, `it has ${length} bytes, ${mapBytes(Number(base))} belong to its base`);
    }
    return new PageMap(fd, Number(base), Number(limit));
  }

  private constructor(fd: number, baseBytes: number, limit: number) {
    this.fd = fd;
    this.baseBytes = baseBytes;
    this.#limit = limit;
  }

  /** The base shows below it only; bytes. */
  get limit(): number {
    return this.#limit;
  }

  setLimit(limit: number): void {
    if (limit > this.baseBytes) throw new TarnError('internal', `a limit of ${limit} bytes`);
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(limit));
    writeSync(this.fd, bytes, 0, 8, LIMIT_AT);
    this.#limit = limit;
  }

  /** The runs that make up bytes [start, end), in order; neighbours differ in where they are from. */
  *runs(start: number, end: number): Generator<Run> {
    let last: Run | undefined;
    for (const run of this.#pieces(start, end)) {
      if (last === undefined) last = run;
      else if (last.from === run.from) last = { from: last.from, start: last.start, end: run.end };
      else {
        yield last;
        last = run;
      }
    }
    if (last !== undefined) yield last;
  }

  /** Whether the page that holds byte `offset` is in the staged file. */
  isStaged(offset: number): boolean {
    const page = Math.floor(offset / PAGE_BYTES);
    if (page >= this.#pages) return true;
    const byte = this.#bits(page >> 3, 1)[0] ?? 0;
    return (byte & (1 << (page & 7))) !== 0;
  }

  /** Of `blockBytes` each, a multiple of eight pages: how many have a page in the staged file. */
  stagedBlocks(blockBytes: number): number {
    const perBlock = blockBytes / PAGE_BYTES / 8;
    const total = Math.ceil(this.#pages / 8);
    let count = 0;
    for (let from = 0; from < total; from += CHUNK_BYTES) {
      const bits = this.#bits(from, Math.min(CHUNK_BYTES, total - from));
      for (let at = 0; at < bits.length; at += perBlock) {
        if (bits.subarray(at, at + perBlock).some((byte) => byte !== 0)) count += 1;
      }
    }
    return count;
  }

  /** From now on no page of which a byte lies in [start, end) is in the staged file. */
  setUnstaged(start: number, end: number): void {
    const first = Math.floor(start / PAGE_BYTES);
    const after = Math.min(pageCount(end), this.#pages);
    for (let page = first; page < after;) {
      const from = page >> 3;
      const bits = this.#bits(from, Math.min(CHUNK_BYTES, ((after - 1) >> 3) - from + 1));
      const stop = Math.min(after, (from + bits.length) * 8);
      // Mostly there are none, in a file that grows.
      if (bits.some((byte) => byte !== 0)) {
        for (let at = page; at < stop; at += 1) {
          const index = (at >> 3) - from;
          bits[index] = (bits[index] ?? 0) & ~(1 << (at & 7));
        }
        writeSync(this.fd, bits, 0, bits.length, HEADER_BYTES + from);
      }
      page = stop;
    }
  }

  /** From now on the pages that lie wholly in bytes [start, end) are in the staged file. */
  setStaged(start: number, end: number): void {
    const first = Math.ceil(start / PAGE_BYTES);
    const after = Math.min(Math.floor(end / PAGE_BYTES), this.#pages);
    if (first >= after) return;
    const from = first >> 3;
    const bits = this.#bits(from, ((after - 1) >> 3) - from + 1);
    const isFull = (index: number): boolean =>
      (from + index) * 8 >= first && (from + index) * 8 + 8 <= after;
    for (let index = 0; index < bits.length; index += 1) {
      if (isFull(index)) {
        bits[index] = 0xff;
        continue;
      }
      for (let bit = 0; bit < 8; bit += 1) {
        const page = (from + index) * 8 + bit;
        if (page >= first && page < after) bits[index] = (bits[index] ?? 0) | (1 << bit);
      }
    }
    writeSync(this.fd, bits, 0, bits.length, HEADER_BYTES + from);
  }

  close(): void {
    closeSync(this.fd);
  }

  get #pages(): number {
    return pageCount(this.baseBytes);
  }

  #bits(from: number, count: number): Buffer {
    const bits = Buffer.alloc(count);
    readSync(this.fd, bits, 0, count, HEADER_BYTES + from);
    return bits;
  }

  /** As runs, but neighbours may be alike. */
  *#pieces(start: number, end: number): Generator<Run> {
    const pagesEnd = this.#pages * PAGE_BYTES;
    for (let at = start; at < Math.min(end, pagesEnd);) {
      const firstByte = Math.floor(at / PAGE_BYTES / 8);
      const chunk = Math.min(
        CHUNK_BYTES,
        Math.ceil(Math.min(end, pagesEnd) / PAGE_BYTES / 8) - firstByte,
      );
      const bits = this.#bits(firstByte, chunk);
      const stop = Math.min(end, pagesEnd, (firstByte + chunk) * 8 * PAGE_BYTES);
      while (at < stop) {
        const page = Math.floor(at / PAGE_BYTES);
        const next = Math.min(stop, runEnd(bits, page - firstByte * 8, firstByte * 8) * PAGE_BYTES);
        if (isSet(bits, page - firstByte * 8)) yield { from: 'staged', start: at, end: next };
        else yield* this.#unstaged(at, next);
        at = next;
      }
    }
    if (end > Math.max(start, pagesEnd)) {
      yield { from: 'staged', start: Math.max(start, pagesEnd), end };
    }
  }

  *#unstaged(start: number, end: number): Generator<Run> {
    const middle = Math.min(Math.max(start, this.#limit), end);
    if (start < middle) yield { from: 'base', start, end: middle };
    if (middle < end) yield { from: 'zeros', start: middle, end };
  }
}

export function pageCount(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** Bytes of the page map of a base of `baseBytes`. */
export function mapBytes(baseBytes: number): number {
  return HEADER_BYTES + Math.ceil(pageCount(baseBytes) / 8);
}

function isSet(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

/** The first page after `index` whose bit is another, or the end of the bits; plus `offset`. */
function runEnd(bits: Uint8Array, index: number, offset: number): number {
  const set = isSet(bits, index);
  const same = set ? 0xff : 0;
  let at = index + 1;
  while (at < bits.length * 8) {
    if ((at & 7) === 0 && bits[at >> 3] === same) at += 8;
    else if (isSet(bits, at) === set) at += 1;
    else break;
  }
  return offset + at;
}

function corrupt(path: string, why: string): TarnError {
  return new TarnError('corrupt', `page map '${path}' is corrupt: ${why}`, {
    hint: "the bytes that were written lie in the file beside it and were left as they are; 'tarn reset --path' gives the committed file back",
  });
}
