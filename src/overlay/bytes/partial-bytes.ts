import { fdatasync, fstatSync, ftruncateSync, writeSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { BLOCK_BYTES } from '../../model/ids.js';
import { throwIfAborted } from '../../util/abort.js';
import type { MaybePromise } from '../../util/async.js';
import { asTarnError } from '../../util/errors.js';
import type { TarnError } from '../../util/errors.js';
import { readInto } from '../../util/files.js';
import { giveWay } from '../../util/give-way.js';
import type { BaseBytes } from './base-bytes.js';
import { readBase } from './base-bytes.js';
import type { FileCalls } from './file-calls.js';
import { FALLOCATE_KEEP_SIZE, FALLOCATE_PUNCH_HOLE, writeZeros } from './file-calls.js';
import type { PageMap, Run } from './page-map.js';
import { PAGE_BYTES } from './page-map.js';
import { timestampOf } from './times.js';

const syncData = promisify(fdatasync);

/** Bytes zeroed between two turns of the event loop. */
const ZERO_BYTES_MAX = 16 * BLOCK_BYTES;
/** Bytes that hydrating lets wait for the disk: with more, writers would wait for it too. */
const HYDRATE_UNSYNCED_MAX = 8 * BLOCK_BYTES;

/** Bytes of the base, read ahead of the change that needs them. */
interface Gathered {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * The bytes of a partial file. A change first reads what it needs of the base, then looks again and
 * changes the file in one step (FileCalls.alone), so that changes by several at once do not mix.
 */
export class PartialBytes {
  readonly map: PageMap;
  readonly #fd: number;
  readonly #calls: FileCalls;

  constructor(fd: number, map: PageMap, calls: FileCalls) {
    this.#fd = fd;
    this.map = map;
    this.#calls = calls;
  }

  read(
    offset: number,
    length: number,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array> {
    const end = Math.min(offset + length, this.#size);
    if (offset >= end) return new Uint8Array(0);
    const runs = [...this.map.runs(offset, end)];
    if (runs.length === 1 && runs[0]?.from === 'base') return readBase(base, offset, end, signal);
    return this.#readRuns(runs, offset, end, base, signal);
  }

  /** Bytes taken: all of them, or as many as there was room for. */
  write(
    offset: number,
    bytes: Uint8Array,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): MaybePromise<number> {
    if (bytes.length === 0) return 0;
    const done = this.#calls.alone(this.map.fd, () => this.#put(offset, bytes, []));
    if (typeof done === 'number') return done;
    return this.#gatherAndPut(done, offset, bytes, base, signal);
  }

  truncate(size: number): void {
    this.#calls.alone(this.map.fd, () => {
      ftruncateSync(this.#fd, size);
      if (size < this.map.limit) this.map.setLimit(size);
    });
  }

  /**
   * Bytes from `start` on become those of the base, which has all up to `end`. Of what shares a page with
   * other bytes nothing does. How many bytes, from `start` on.
   */
  share(start: number, end: number): number {
    return this.#calls.alone(this.map.fd, () => {
      const size = this.#size;
      // What lies between would show the base as well.
      if (start > this.map.limit) return 0;
      if (start % PAGE_BYTES !== 0 && this.map.isStaged(start)) return 0;
      const stop = end < size && this.map.isStaged(end) ? pageDown(end) : end;
      if (stop <= start) return 0;
      // Before its bytes are others: then who reads them as of one instant notices.
      this.#calls.setTimes(this.#fd, undefined, 'now');
      if (stop > this.map.limit) this.map.setLimit(stop);
      this.map.setUnstaged(start, stop);
      if (stop > size) ftruncateSync(this.#fd, stop);
      return stop - start;
    });
  }

  /** Where the bytes of the base that show from `start` on end, at most at `end`; `start` if none do. */
  baseUntil(start: number, end: number): number {
    const [run] = this.map.runs(start, Math.min(end, this.#size));
    return run?.from === 'base' ? run.end : start;
  }

  /** Bytes [start, end), which lie in the file, become zeros. */
  async zero(
    start: number,
    end: number,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const from = Math.min(end, pageUp(start));
    const to = Math.max(from, pageDown(end));
    if (start < from) await this.write(start, Buffer.alloc(from - start), base, signal);
    for (let at = from; at < to; at += ZERO_BYTES_MAX) {
      throwIfAborted(signal);
      const stop = Math.min(to, at + ZERO_BYTES_MAX);
      this.#calls.alone(this.map.fd, () => {
        const mode = FALLOCATE_PUNCH_HOLE | FALLOCATE_KEEP_SIZE;
        this.#calls.fallocate(this.#fd, mode, at, stop - at);
        this.map.setStaged(at, stop);
      });
      await giveWay();
    }
    if (to < end) await this.write(to, Buffer.alloc(end - to), base, signal);
  }

  seek(offset: number, to: 'data' | 'hole'): number | 'ENXIO' {
    const size = this.#size;
    if (offset >= size) return 'ENXIO';
    for (const run of this.map.runs(offset, size)) {
      if (run.from === 'staged') {
        const found = this.#calls.seek(this.#fd, run.start, to);
        if (found !== 'ENXIO' && found < run.end) return found;
      } else if ((run.from === 'base') === (to === 'data')) {
        return run.start;
      }
    }
    return to === 'hole' ? size : 'ENXIO';
  }

  /** Copies all pages that only the base has into the file. */
  async fill(base: BaseBytes, signal: AbortSignal): Promise<void> {
    const pagesEnd = pageUp(this.map.baseBytes);
    let unsynced = 0;
    for (let at = 0; at < pagesEnd; at += BLOCK_BYTES) {
      throwIfAborted(signal);
      unsynced += await this.#fillBlock(at, Math.min(at + BLOCK_BYTES, pagesEnd), base, signal);
      if (unsynced < HYDRATE_UNSYNCED_MAX) continue;
      unsynced = 0;
      await syncData(this.#fd);
    }
  }

  get #size(): number {
    return fstatSync(this.#fd).size;
  }

  async #readRuns(
    runs: readonly Run[],
    offset: number,
    end: number,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const out = Buffer.alloc(end - offset);
    const reads = runs.map(async (run) => {
      const target = out.subarray(run.start - offset, run.end - offset);
      if (run.from === 'staged') await readInto(this.#fd, target, run.start);
      if (run.from === 'base') target.set(await readBase(base, run.start, run.end, signal));
    });
    await Promise.all(reads);
    return out;
  }

  async #gatherAndPut(
    missing: readonly Extent[],
    offset: number,
    bytes: Uint8Array,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    for (let wanted = missing; ;) {
      const gathered = await gather(wanted, base, signal);
      const done = this.#calls.alone(this.map.fd, () => this.#put(offset, bytes, gathered));
      if (typeof done === 'number') return done;
      wanted = done;
    }
  }

  /**
   * Writes, and completes the pages at both ends; or says which bytes of the base it needs for that
   * and has changed nothing.
   */
  #put(offset: number, bytes: Uint8Array, gathered: readonly Gathered[]): number | Extent[] {
    const end = offset + bytes.length;
    const size = this.#size;
    const head = this.#rest(pageDown(offset), offset, gathered);
    const tail = this.#rest(end, Math.min(pageUp(end), Math.max(size, end)), gathered);
    const missing = [head, tail].filter((rest) => 'start' in rest);
    if (missing.length > 0) return missing;
    const parts = [head as Buffer, bytes, tail as Buffer];
    const start = offset - (head as Buffer).length;
    const { written, error } = writeAll(this.#fd, parts, start);
    if (error === undefined) {
      this.map.setStaged(pageDown(offset), pageUp(end));
      return bytes.length;
    }
    // Of pages that the base reaches only complete ones count.
    const reached = start + written;
    const kept = reached >= pageUp(this.map.baseBytes) ? reached : pageDown(reached);
    const taken = Math.min(kept, end) - offset;
    if (reached > size) ftruncateSync(this.#fd, taken > 0 ? Math.max(size, offset + taken) : size);
    if (taken <= 0) throw error;
    this.map.setStaged(pageDown(offset), kept);
    return taken;
  }

  /**
   * What bytes [start, end) of a page show, where they must be written with the rest of the page; none
   * where the page is in the staged file. Or what is needed of the base for that and was not gathered.
   */
  #rest(start: number, end: number, gathered: readonly Gathered[]): Buffer | Extent {
    if (start >= end || this.map.isStaged(start)) return Buffer.alloc(0);
    const rest = Buffer.alloc(end - start);
    const baseEnd = Math.min(end, this.map.limit);
    if (start >= baseEnd) return rest;
    const found = gathered.find((each) => each.start === start);
    if (found === undefined || start + found.bytes.length < baseEnd) return { start, end: baseEnd };
    rest.set(found.bytes.subarray(0, baseEnd - start));
    return rest;
  }

  /** Bytes copied. */
  async #fillBlock(
    start: number,
    end: number,
    base: BaseBytes,
    signal: AbortSignal,
  ): Promise<number> {
    let copied = 0;
    for (;;) {
      const { limit } = this.map;
      const missing = cut(this.#missing(start, end), limit);
      const [first, last] = [missing[0], missing.at(-1)];
      // One read of all: a file that was changed at random has very many pieces.
      const span =
        first === undefined || last === undefined ? [] : [{ start: first.start, end: last.end }];
      const gathered = await gather(span, base, signal);
      const done = this.#calls.alone(this.map.fd, () => {
        if (this.map.limit > limit) return false;
        const { mtimeNs } = fstatSync(this.#fd, { bigint: true });
        for (const extent of this.#missing(start, end))
          copied += this.#fillExtent(extent, gathered);
        // The bytes that the file shows have not changed, so its time has not.
        if (copied > 0) this.#calls.setTimes(this.#fd, undefined, timestampOf(mtimeNs));
        return true;
      });
      if (done) return copied;
    }
  }

  #fillExtent({ start, end }: Extent, gathered: readonly Gathered[]): number {
    const size = this.#size;
    const baseEnd = Math.max(start, Math.min(end, this.map.limit));
    const found = gathered.find(
      (each) => each.start <= start && start < each.start + each.bytes.length,
    );
    if (found !== undefined && start < baseEnd) {
      const bytes = found.bytes.subarray(start - found.start, baseEnd - found.start);
      const { error } = writeAll(this.#fd, [bytes], start);
      if (error !== undefined) throw error;
    }
    writeZeros(this.#fd, baseEnd, Math.min(end, size));
    this.map.setStaged(start, end);
    return end - start;
  }

  /** Runs of pages in [start, end), whole pages, that are not in the staged file. */
  #missing(start: number, end: number): Extent[] {
    const extents: Extent[] = [];
    for (const run of this.map.runs(start, end)) {
      if (run.from === 'staged') continue;
      const last = extents.at(-1);
      if (last?.end === run.start) last.end = run.end;
      else extents.push({ start: run.start, end: run.end });
    }
    return extents;
  }
}

interface Extent {
  start: number;
  end: number;
}

/** What of the extents lies below `limit`. */
function cut(extents: readonly Extent[], limit: number): Extent[] {
  return extents
    .map(({ start, end }) => ({ start, end: Math.min(end, limit) }))
    .filter(({ start, end }) => start < end);
}

async function gather(
  extents: readonly Extent[],
  base: BaseBytes | undefined,
  signal: AbortSignal,
): Promise<Gathered[]> {
  return Promise.all(
    extents.map(async ({ start, end }) => ({
      start,
      bytes: await readBase(base, start, end, signal),
    })),
  );
}

/** Writes the parts one after the other from `position` on; how far it came, and why no further. */
function writeAll(
  fd: number,
  parts: readonly Uint8Array[],
  position: number,
): { written: number; error?: TarnError } {
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  let written = 0;
  try {
    // In one call, so that a killed process leaves no file that ends in what completes a page.
    written = writevSync(
      fd,
      parts.filter(({ length }) => length > 0),
      position,
    );
    while (written < total) {
      const rest = Buffer.concat(parts).subarray(written);
      written += writeSync(fd, rest, 0, rest.length, position + written);
    }
    return { written };
  } catch (error) {
    return { written, error: asTarnError(error, 'writing changed bytes') };
  }
}

export function pageDown(offset: number): number {
  return offset - (offset % PAGE_BYTES);
}

export function pageUp(offset: number): number {
  return pageDown(offset + PAGE_BYTES - 1);
}
