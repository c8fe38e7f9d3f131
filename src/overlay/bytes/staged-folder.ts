import {
  close,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { FileCalls } from './file-calls.js';
import { PORTABLE_CALLS } from './file-calls.js';
import { PageMap } from './page-map.js';
import type { BaseBytes } from './base-bytes.js';
import { MAP_SUFFIX, StagedFile } from './staged-file.js';

/** Longest file of the base that is copied whole when it is first opened for writing; bytes. */
export const COPY_BYTES_MAX = 1_048_576;

/** From here on giving back a file's space may take longer than the event loop should wait; bytes. */
const LARGE_BYTES = 8 * COPY_BYTES_MAX;
const SHARDS = 256;

const { O_RDWR, O_CREAT, O_EXCL } = constants;

/** How a file of the base looks. */
export interface BaseLook {
  /** Bytes. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/**
 * The folder of a workspace's staged files, each named by its number. Of one file at most one
 * StagedFile is open at a time, in one process; others may read it by its path.
 */
export class StagedFolder {
  readonly #path: string;
  readonly #calls: FileCalls;

  constructor(path: string, calls: FileCalls = PORTABLE_CALLS) {
    this.#path = path;
    this.#calls = calls;
  }

  /**
   * A new empty file; one that was there by that number is replaced.
   * @throws TarnError no-space, io
   */
  create(number: number): StagedFile {
    removeFile(this.pathOf(number) + MAP_SUFFIX);
    return this.#staged(number, this.#openNew(number), undefined);
  }

  /**
   * A partial file that shows all of a base and has no page of its own.
   * @throws TarnError no-space, io
   */
  createOver(number: number, base: BaseLook): StagedFile {
    this.remove(number);
    const path = this.pathOf(number);
    makeParent(path);
    const map = PageMap.create(path + MAP_SUFFIX, base.size);
    let fd: number | undefined;
    try {
      fd = this.#openNew(number);
      ftruncateSync(fd, base.size);
      this.#calls.setTimes(fd, undefined, { sec: base.mtimeSec, nsec: base.mtimeNsec });
      return this.#staged(number, fd, map);
    } catch (error) {
      map.close();
      if (fd !== undefined) closeSync(fd);
      this.remove(number);
      throw asTarnError(error, `staging a file of ${base.size} bytes`);
    }
  }

  /**
   * A whole file with the bytes and the time of a base, synced: a journal that says that the file is
   * staged must not outlive its bytes.
   * @throws TarnError no-space, io, aborted, and what reading the base throws
   */
  async createCopy(
    number: number,
    bytes: BaseBytes,
    look: BaseLook,
    signal: AbortSignal,
  ): Promise<StagedFile> {
    const file = this.create(number);
    try {
      for (let at = 0; at < look.size;) {
        const piece = await bytes.read(at, Math.min(look.size - at, COPY_BYTES_MAX), signal);
        if (piece.length === 0) throw new TarnError('corrupt', `a base ended at byte ${at}`);
        // Of what a full disk has no room for, the next write says so.
        at += await file.write(at, piece, undefined, signal);
      }
      file.setTimes(undefined, { sec: look.mtimeSec, nsec: look.mtimeNsec });
      await file.sync();
      return file;
    } catch (error) {
      file.close();
      this.remove(number);
      throw error;
    }
  }

  /**
   * @param baseBytes of the base of a partial file; undefined for a whole one. What a power cut left of
   *   the page map otherwise is made so.
   * @throws TarnError not-found, corrupt, io
   */
  open(number: number, baseBytes?: number): StagedFile {
    const path = this.pathOf(number);
    let fd: number;
    try {
      fd = openSync(path, O_RDWR);
    } catch (error) {
      throw asTarnError(error, `opening staged file ${number}`);
    }
    try {
      if (baseBytes === undefined) removeFile(path + MAP_SUFFIX);
      return this.#staged(
        number,
        fd,
        baseBytes === undefined ? undefined : openMap(path, fd, baseBytes),
      );
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Also where it is not there. */
  remove(number: number): void {
    const path = this.pathOf(number);
    removeFile(path);
    removeFile(path + MAP_SUFFIX);
  }

  /** Whether all files of a partial or whole file are there. */
  isThere(number: number, isPartial: boolean): boolean {
    const path = this.pathOf(number);
    return existsSync(path) && (!isPartial || existsSync(path + MAP_SUFFIX));
  }

  /** Whether a program has it mapped, and so may write it; of a file that is not open here. */
  isMapped(number: number): boolean {
    const { isWrittenElsewhere } = this.#calls;
    if (isWrittenElsewhere === undefined) return false;
    const fd = openSync(this.pathOf(number), O_RDWR);
    try {
      return isWrittenElsewhere(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Each number that something is there of, in no order. */
  *numbers(): Generator<number> {
    for (const shard of names(this.#path)) {
      const found = new Set<number>();
      for (const name of names(join(this.#path, shard))) {
        const digits = name.endsWith(MAP_SUFFIX) ? name.slice(0, -MAP_SUFFIX.length) : name;
        if (/^\d+$/.test(digits)) found.add(Number(digits));
      }
      yield* found;
    }
  }

  pathOf(number: number): string {
    const shard = (number % SHARDS).toString(16).padStart(2, '0');
    return join(this.#path, shard, String(number));
  }

  #staged(number: number, fd: number, map: PageMap | undefined): StagedFile {
    return new StagedFile(number, this.pathOf(number), fd, map, this.#calls);
  }

  #openNew(number: number): number {
    const path = this.pathOf(number);
    const flags = O_RDWR | O_CREAT | O_EXCL;
    try {
      return openSync(path, flags, 0o600);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') makeParent(path);
      else if (code === 'EEXIST') removeFile(path);
      else throw asTarnError(error, `making staged file ${number}`);
      return openSync(path, flags, 0o600);
    }
  }
}

/** Of the partial file at `path`. */
function openMap(path: string, fd: number, baseBytes: number): PageMap {
  const map = path + MAP_SUFFIX;
  // The name of one that never reached the disk is begun anew as well.
  if (!existsSync(map)) PageMap.create(map, baseBytes).close();
  return PageMap.open(map, fstatSync(fd).size, baseBytes);
}

/** The space of a large file is given back by a thread of the pool: that takes a second a GiB. */
function removeFile(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return;
  if (size < LARGE_BYTES) return unlinkSync(path);
  const fd = openSync(path, 'r');
  unlinkSync(path);
  close(fd, () => undefined);
}

function makeParent(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
