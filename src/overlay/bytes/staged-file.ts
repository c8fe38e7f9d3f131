import {
  close,
  closeSync,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  open,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { BLOCK_BYTES } from '../../model/ids.js';
import { throwIfAborted } from '../../util/abort.js';
import type { MaybePromise } from '../../util/async.js';
import { andThen } from '../../util/async.js';
import { readAt } from '../../util/files.js';
import { giveWay } from '../../util/give-way.js';
import type { Timestamp } from '../../vfs/writable.js';
import type { BaseBytes } from './base-bytes.js';
import { readBase } from './base-bytes.js';
import type { FileCalls } from './file-calls.js';
import { FALLOCATE_KEEP_SIZE, FALLOCATE_PUNCH_HOLE, FALLOCATE_ZERO_RANGE } from './file-calls.js';
import { PAGE_BYTES, PageMap } from './page-map.js';
import { PartialBytes } from './partial-bytes.js';
import { SECTOR_BYTES, statOf, type StagedStat } from './staged-stat.js';

const openFile = promisify(open);
const closeFile = promisify(close);
const syncFile = promisify(fsync);
const syncData = promisify(fdatasync);

export const MAP_SUFFIX = '.pages';
/** Bytes that one call copies at most; who wants more asks again. */
const COPY_RANGE_BYTES_MAX = 4 * BLOCK_BYTES;
/** Bytes cut off between two turns of the event loop: giving back the space of a GiB takes a second. */
const CUT_BYTES_MAX = 16 * BLOCK_BYTES;
/** Bytes zeroed between two turns of the event loop. */
const ZERO_BYTES_MAX = 16 * BLOCK_BYTES;
const CANNOT_COPY: ReadonlySet<string> = new Set(['EXDEV', 'EINVAL', 'ENOSYS', 'ENOTSUP']);
const ZEROING = FALLOCATE_PUNCH_HOLE | FALLOCATE_ZERO_RANGE;

/** What is copied from: a staged file, with its base if it is partial, or a base alone. */
export interface CopySource {
  readonly file?: StagedFile;
  readonly base?: BaseBytes | undefined;
  readonly offset: number;
}

/**
 * The bytes that were changed of one file; the format and the rules are in OVERLAY.md, Bytes. `base`
 * is asked for the bytes that the file does not have itself, so that a whole file needs none.
 * Whichever system call of a change is the last that a killed process made, each byte is then the old
 * or the new one.
 *
 * Faults: no-space, io, corrupt (a base that is shorter than it was), aborted, errors of system calls,
 * and what reading the base throws.
 */
export class StagedFile {
  readonly number: number;
  /** Open for reading and writing until close. */
  readonly fd: number;
  readonly #path: string;
  readonly #calls: FileCalls;
  /** Those that it has or had: who is at work may still use one. */
  readonly #maps: PageMap[];
  #partial: PartialBytes | undefined;
  #isNameSynced = false;

  /** @param map of a partial file; closed with this */
  constructor(
    number: number,
    path: string,
    fd: number,
    map: PageMap | undefined,
    calls: FileCalls,
  ) {
    this.number = number;
    this.fd = fd;
    this.#path = path;
    this.#maps = map === undefined ? [] : [map];
    this.#calls = calls;
    this.#partial = map === undefined ? undefined : new PartialBytes(fd, map, calls);
  }

  /** Of the page map; undefined for a whole file. It stays open until close, whatever becomes of it. */
  get mapFd(): number | undefined {
    return this.#partial?.map.fd;
  }

  /** Every byte lies in `fd`. */
  get isWhole(): boolean {
    return this.#partial === undefined;
  }

  stat(): StagedStat {
    return statOf(fstatSync(this.fd, { bigint: true }), this.isWhole);
  }

  /** Fewer bytes than `length` only at the end of the file. */
  read(
    offset: number,
    length: number,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array> {
    if (this.#partial !== undefined) return this.#partial.read(offset, length, base, signal);
    return readAt(this.fd, offset, length);
  }

  /** Bytes taken: all of them, or as many as there was room for. At once where the file is whole. */
  write(
    offset: number,
    bytes: Uint8Array,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): MaybePromise<number> {
    if (this.#partial !== undefined) return this.#partial.write(offset, bytes, base, signal);
    return writeSync(this.fd, bytes, 0, bytes.length, offset);
  }

  /** To `size` bytes; those that are new are zeros. At once where that takes no time to speak of. */
  truncate(size: number): MaybePromise<void> {
    const { size: before, blocks } = fstatSync(this.fd);
    const cut = Math.min(before - size, blocks * SECTOR_BYTES);
    return cut > CUT_BYTES_MAX ? this.#cut(size) : this.#setSize(size);
  }

  /**
   * As fallocate(2).
   * @param mode 0 or KEEP_SIZE, which reserve; ZERO_RANGE with or without it; PUNCH_HOLE with it
   */
  async allocate(
    mode: number,
    offset: number,
    length: number,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if ((mode & ZEROING) === 0) {
      this.#calls.fallocate(this.fd, mode, offset, length);
      return;
    }
    const end = Math.min(offset + length, this.#size);
    // As on a disk, the time is that of the call also where there is nothing to zero.
    if (offset >= end) this.setTimes(undefined, 'now');
    else if (this.#partial !== undefined) await this.#partial.zero(offset, end, base, signal);
    else await this.#zeroWhole(mode, offset, end, signal);
    if ((mode & FALLOCATE_KEEP_SIZE) !== 0) return;
    if (offset + length > this.#size) this.#setSize(offset + length);
  }

  /** Where the next data or hole from `offset` on begins; ENXIO behind the last data. */
  seek(offset: number, to: 'data' | 'hole'): number | 'ENXIO' {
    return this.#partial?.seek(offset, to) ?? this.#calls.seek(this.fd, offset, to);
  }

  /** What is undefined stays as it is. */
  setTimes(atime: Timestamp | 'now' | undefined, mtime: Timestamp | 'now' | undefined): void {
    this.#calls.setTimes(this.fd, atime, mtime);
  }

  /**
   * Resolves when all that was done before would survive a power cut; with 'data', all but times.
   * Where a file is written over, that spares the disk's file system a commit of its own.
   */
  async sync(what: 'all' | 'data' = 'all'): Promise<void> {
    const mapFd = this.mapFd;
    await (what === 'data' ? syncData : syncFile)(this.fd);
    if (mapFd !== undefined) await syncData(mapFd);
    if (this.#isNameSynced) return;
    await this.#syncName();
    this.#isNameSynced = true;
  }

  /** Copies into this file, whose base is `base`; bytes copied, maybe fewer than asked. */
  copyFrom(
    source: CopySource,
    offset: number,
    length: number,
    base: BaseBytes | undefined,
    signal: AbortSignal,
  ): MaybePromise<number> {
    const from = source.file;
    const count = Math.min(length, COPY_RANGE_BYTES_MAX);
    if (this.isWhole && from?.isWhole === true) {
      return this.#calls.copyRange(from.fd, source.offset, this.fd, offset, count);
    }
    const copied = this.isWhole && from === undefined ? this.#copyLocal(source, offset, count) : 0;
    if (copied > 0) return copied;
    return andThen(bytesOf(source, count, signal), (bytes) =>
      bytes.length === 0 ? 0 : this.write(offset, bytes, base, signal),
    );
  }

  /** Of a partial file: how far its base, and no page of its own, shows from `start` on; at most to `end`. */
  baseUntil(start: number, end: number): number {
    return this.#partial?.baseUntil(start, end) ?? start;
  }

  /**
   * Copies from the base of a partial file to the same place in it, without reading anything; how many
   * bytes. 0 where a page would have to be copied in part, or what lies before would show the base too.
   */
  share(start: number, end: number): number {
    return this.#partial?.share(start, end) ?? 0;
  }

  /**
   * Makes an empty whole file partial: it shows nothing of its base yet.
   * @throws TarnError no-space, io
   */
  becomePartial(baseBytes: number): void {
    const map = PageMap.create(this.#path + MAP_SUFFIX, baseBytes);
    this.#maps.push(map);
    map.setLimit(0);
    this.#partial = new PartialBytes(this.fd, map, this.#calls);
    this.#isNameSynced = false;
  }

  /** Whether a program may have it mapped though it has closed it (FileCalls.isWrittenElsewhere). */
  get isUsedElsewhere(): boolean {
    return this.#calls.isWrittenElsewhere?.(this.fd) ?? false;
  }

  /** Whether it is empty and shows nothing of a base, so that it might as well have another or none. */
  get isEmpty(): boolean {
    return this.#size === 0 && (this.#partial?.map.limit ?? 0) === 0;
  }

  /** The page map of a file that holds all its bytes goes; drivers that have it may go on using it. */
  becomeWhole(): void {
    rmSync(this.#path + MAP_SUFFIX, { force: true });
    this.#partial = undefined;
  }

  /**
   * Whether a partial file has pages of its own in more than half of its blocks of 1 MiB: then it is
   * stored whole anyway.
   */
  isMostlyStaged(): boolean {
    const map = this.#partial?.map;
    if (map === undefined) return false;
    const blocks = Math.ceil(map.baseBytes / BLOCK_BYTES);
    // Asked often, and few pages make few blocks.
    const ownBytes = fstatSync(this.fd).blocks * SECTOR_BYTES;
    if (ownBytes < (blocks / 2) * PAGE_BYTES) return false;
    return map.stagedBlocks(BLOCK_BYTES) > blocks / 2;
  }

  /**
   * Copies the pages that only the base has, in pieces, durably: then the file can become whole. It may
   * be read and written meanwhile.
   */
  async hydrate(base: BaseBytes, signal: AbortSignal): Promise<void> {
    const partial = this.#partial;
    if (partial === undefined) return;
    await partial.fill(base, signal);
    await syncFile(this.fd);
  }

  /** Nothing may be under way. */
  close(): void {
    closeSync(this.fd);
    for (const map of this.#maps) map.close();
  }

  /** The same for one that has no name any more: a thread of the pool gives back its space. */
  closeLast(): void {
    close(this.fd, () => undefined);
    for (const map of this.#maps) map.close();
  }

  get #size(): number {
    return fstatSync(this.fd).size;
  }

  /** Within the kernel, which on some disks shares the blocks; 0 where that cannot be. */
  #copyLocal({ base, offset }: CopySource, to: number, count: number): number {
    const { local, size } = base ?? {};
    if (local === undefined || size === undefined || offset >= size) return 0;
    const length = Math.min(count, size - offset);
    try {
      return this.#calls.copyRange(local.fd, local.offset + offset, this.fd, to, length);
    } catch (error) {
      // Between two file systems, or two kinds of them.
      if (!CANNOT_COPY.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      return 0;
    }
  }

  #setSize(size: number): void {
    if (this.#partial === undefined) ftruncateSync(this.fd, size);
    else this.#partial.truncate(size);
  }

  async #cut(size: number): Promise<void> {
    for (let left = this.#size; left > size; left = this.#size) {
      this.#setSize(Math.max(size, left - CUT_BYTES_MAX));
      await giveWay();
    }
  }

  async #zeroWhole(mode: number, start: number, end: number, signal: AbortSignal): Promise<void> {
    for (let at = start; at < end; at += ZERO_BYTES_MAX) {
      throwIfAborted(signal);
      const length = Math.min(ZERO_BYTES_MAX, end - at);
      this.#calls.fallocate(this.fd, mode | FALLOCATE_KEEP_SIZE, at, length);
      if (at + length < end) await giveWay();
    }
  }

  /** The file's name, and that of the folder it is in. */
  async #syncName(): Promise<void> {
    const folder = dirname(this.#path);
    for (const path of [folder, dirname(folder)]) {
      const fd = await openFile(path, 'r');
      await syncFile(fd).finally(() => closeFile(fd));
    }
  }
}

function bytesOf(
  { file, base, offset }: CopySource,
  count: number,
  signal: AbortSignal,
): MaybePromise<Uint8Array> {
  if (file !== undefined) return file.read(offset, count, base, signal);
  const end = Math.min(offset + count, base?.size ?? offset);
  return end <= offset ? new Uint8Array(0) : readBase(base, offset, end, signal);
}
