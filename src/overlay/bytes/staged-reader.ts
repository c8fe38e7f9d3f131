import { closeSync, existsSync, fstatSync, fsyncSync, openSync, readSync, statSync } from 'node:fs';
import { BLOCK_BYTES } from '../../model/ids.js';
import { asTarnError } from '../../util/errors.js';
import type { StagedStamp } from '../nodes.js';
import type { BaseBytes } from './base-bytes.js';
import { readBase } from './base-bytes.js';
import { PageMap } from './page-map.js';
import { MAP_SUFFIX } from './staged-file.js';
import { timestampOf } from './times.js';

/**
 * A staged file as another thread reads it, while its owner may go on changing it. Staged bytes are
 * read on the calling thread.
 */
export class StagedReader {
  readonly fd: number;
  readonly #path: string;
  readonly #map: PageMap | undefined;

  /**
   * Undefined when it is not there.
   * @param baseBytes of the base of a partial file; undefined for a whole one
   * @throws TarnError corrupt (its page map), io
   */
  static open(path: string, baseBytes: number | undefined): StagedReader | undefined {
    const fd = openIfThere(path);
    if (fd === undefined) return undefined;
    try {
      // A file whose map has gone meanwhile has become whole.
      return new StagedReader(path, fd, openMap(path + MAP_SUFFIX, fstatSync(fd).size, baseBytes));
    } catch (error) {
      closeSync(fd);
      throw asTarnError(error, `reading staged file '${path}'`);
    }
  }

  private constructor(path: string, fd: number, map: PageMap | undefined) {
    this.#path = path;
    this.fd = fd;
    this.#map = map;
  }

  get isWhole(): boolean {
    return this.#map === undefined;
  }

  stamp(): StagedStamp {
    const stats = fstatSync(this.fd, { bigint: true });
    const { sec: mtimeSec, nsec: mtimeNsec } = timestampOf(stats.mtimeNs);
    const { sec: ctimeSec, nsec: ctimeNsec } = timestampOf(stats.ctimeNs);
    return { size: Number(stats.size), mtimeSec, mtimeNsec, ctimeSec, ctimeNsec };
  }

  /** Whether its name still leads to this file. */
  get isNamed(): boolean {
    const named = statSync(this.#path, { throwIfNoEntry: false });
    return named?.ino === fstatSync(this.fd).ino;
  }

  sync(): void {
    fsyncSync(this.fd);
  }

  /**
   * Of a partial file that has `size` bytes, the blocks that may differ from the base's, in order: those
   * with a page of their own, and those that begin or end elsewhere.
   */
  changedBlocks(size: number): number[] {
    const map = this.#map;
    if (map === undefined) return [];
    const changed = new Set<number>();
    for (const { from, start, end } of map.runs(0, size)) {
      if (from === 'base') continue;
      for (let at = blockOf(start); at <= blockOf(end - 1); at += 1) changed.add(at);
    }
    const common = Math.min(size, map.baseBytes);
    if (size !== map.baseBytes && common % BLOCK_BYTES !== 0) changed.add(blockOf(common));
    return [...changed].sort((a, b) => a - b);
  }

  /** Block `index` of the file of `size` bytes, in `into`. */
  async block(
    index: number,
    size: number,
    into: Buffer,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const start = index * BLOCK_BYTES;
    const end = Math.min(size, start + BLOCK_BYTES);
    const block = into.subarray(0, end - start).fill(0);
    const runs = this.#map?.runs(start, end) ?? [{ from: 'staged', start, end } as const];
    for (const run of runs) {
      const target = block.subarray(run.start - start, run.end - start);
      if (run.from === 'staged') readNow(this.fd, target, run.start);
      if (run.from === 'base') target.set(await readBase(base, run.start, run.end, signal));
    }
    return block;
  }

  close(): void {
    closeSync(this.fd);
    this.#map?.close();
  }
}

/** Fills `target`, as far as the file goes; how far. */
export function readNow(fd: number, target: Uint8Array, position: number): number {
  let count = 0;
  while (count < target.length) {
    const read = readSync(fd, target, count, target.length - count, position + count);
    if (read === 0) break;
    count += read;
  }
  return count;
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw asTarnError(error, `opening staged file '${path}'`);
  }
}

function openMap(path: string, length: number, baseBytes: number | undefined): PageMap | undefined {
  if (baseBytes === undefined || !existsSync(path)) return undefined;
  try {
    return PageMap.openToRead(path, length, baseBytes);
  } catch (error) {
    if (existsSync(path)) throw error;
    return undefined;
  }
}

function blockOf(offset: number): number {
  return Math.floor(offset / BLOCK_BYTES);
}
