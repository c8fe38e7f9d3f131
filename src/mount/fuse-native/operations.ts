import { read as readDescriptor } from 'node:fs';
import { isPromise, type MaybePromise } from '../../util/async.js';
import { asTarnError } from '../../util/errors.js';
import { giveWay } from '../../util/give-way.js';
import { keyFromText, keyToBytes, keyToText, type Key } from '../../model/path.js';
import type {
  Attributes,
  DirectorySink,
  Errno,
  Filesystem,
  FilesystemTotals,
  Inode,
  NodeKind,
  OpenedFile,
} from '../../vfs/filesystem.js';
import type { MountOptions } from '../driver.js';
import { errnoNumber, errnoOf } from '../errno.js';
import type { Answer, AnswerWith, FuseStat, FuseStatfs, Operations } from './package.js';
import { Paths } from './paths.js';

const FORMAT_BITS: Readonly<Record<NodeKind, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  character: 0o020000,
  block: 0o060000,
};
/** Bytes in the unit of st_blocks. */
const SECTOR_BYTES = 512;
const BLOCK_BYTES = 4096;
/** libfuse wants a whole listing at once; others are served after each so many names of it. */
const NAMES_A_TURN = 5000;
const UINT32_MAX = 2 ** 32 - 1;
/** libfuse keeps 64 bits of handle, the package passes on 31 of them; 0 means none. */
const HANDLE_MAX = 2 ** 31 - 1;

/** Answers what libfuse asks, by a Filesystem. */
export class FilesystemOperations implements Operations {
  readonly #filesystem: Filesystem;
  readonly #options: MountOptions;
  readonly #paths: Paths;
  readonly #ended = new AbortController();
  readonly #open = new Map<number, OpenedFile>();
  #lastHandle = 0;

  constructor(filesystem: Filesystem, options: MountOptions) {
    this.#filesystem = filesystem;
    this.#options = options;
    this.#paths = new Paths(filesystem, this.#ended.signal);
  }

  /** Lets go of every open file; the calls that still come are answered with EIO. */
  end(): void {
    this.#ended.abort();
    for (const { handle } of this.#open.values()) this.#filesystem.release(handle);
    this.#open.clear();
  }

  getattr(path: string, answer: AnswerWith<FuseStat>): void {
    this.#settle(
      () => this.#paths.attributes(path),
      answer,
      (found) => this.#stat(found),
    );
  }

  readlink(path: string, answer: AnswerWith<string>): void {
    const target = () =>
      this.#withInode(path, (inode) => this.#filesystem.readlink(inode, this.#ended.signal));
    this.#settle(target, answer, (found) => keyToText(found.target));
  }

  open(path: string, _flags: number, answer: AnswerWith<number>): void {
    const opened = () =>
      this.#withInode(path, (inode) => this.#filesystem.open(inode, this.#ended.signal));
    this.#settle(opened, answer, (file) => {
      const handle = this.#freeHandle();
      this.#open.set(handle, file);
      return handle;
    });
  }

  read(
    _path: string,
    handle: number,
    into: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void {
    const file = this.#open.get(handle);
    if (file === undefined) {
      answer(numberOf('EBADF'));
      return;
    }
    if (file.backing?.verified === true) {
      this.#readBacking(file.backing, into, length, offset, answer);
      return;
    }
    const bytes = () => this.#filesystem.read(file.handle, offset, length, this.#ended.signal);
    this.#settle(bytes, (result, read) => {
      if (read !== undefined) into.set(read);
      answer(read?.length ?? result);
    });
  }

  release(_path: string, handle: number, answer: Answer): void {
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    if (file !== undefined) this.#filesystem.release(file.handle);
    answer(0);
  }

  readdir(
    path: string,
    answer: (result: number, names?: string[], modes?: number[]) => void,
  ): void {
    const listing = () => this.#withInode(path, (inode) => this.#list(inode));
    this.#settle(listing, (result, names) => {
      answer(result, names?.names, names?.modes);
    });
  }

  statfs(_path: string, answer: AnswerWith<FuseStatfs>): void {
    this.#settle<FilesystemTotals, FuseStatfs>(
      () => this.#filesystem.statfs(this.#ended.signal),
      answer,
      statfsOf,
    );
  }

  getxattr(path: string, name: string, answer: AnswerWith<Uint8Array>): void {
    const value = () =>
      this.#withInode(path, (inode) =>
        this.#filesystem.getxattr(inode, keyFromText(name), this.#ended.signal),
      );
    this.#settle(value, answer);
  }

  listxattr(path: string, answer: AnswerWith<readonly Uint8Array[]>): void {
    const names = () =>
      this.#withInode(path, (inode) => this.#filesystem.listxattr(inode, this.#ended.signal));
    this.#settle(names, answer, (keys) => keys.map(keyToBytes));
  }

  #readBacking(
    backing: NonNullable<OpenedFile['backing']>,
    into: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void {
    const wanted = Math.max(0, Math.min(length, backing.length - offset));
    if (wanted === 0) {
      answer(0);
      return;
    }
    readDescriptor(backing.fd, into, 0, wanted, backing.offset + offset, (error, count) => {
      if (error === null && count === wanted) {
        answer(count);
        return;
      }
      this.#options.onFault(error ?? new Error(`a cache file ended ${wanted - count} bytes early`));
      answer(numberOf('EIO'));
    });
  }

  async #list(inode: Inode): Promise<Names | Errno> {
    const opened = await this.#filesystem.opendir(inode, this.#ended.signal);
    if (typeof opened === 'string') return opened;
    const names = new Names();
    try {
      for (;;) {
        names.room = NAMES_A_TURN;
        const { handle } = opened;
        const signal = this.#ended.signal;
        const errno = await this.#filesystem.readdir(handle, names.next, names, signal);
        if (errno !== undefined) return errno;
        if (names.room === NAMES_A_TURN) return names;
        await giveWay();
      }
    } finally {
      this.#filesystem.releasedir(opened.handle);
    }
  }

  async #withInode<T>(
    path: string,
    ask: (inode: Inode) => MaybePromise<T | Errno>,
  ): Promise<T | Errno> {
    const found = this.#paths.attributes(path);
    const attributes = isPromise(found) ? await found : found;
    return typeof attributes === 'string' ? attributes : ask(attributes.inode);
  }

  /** Brings the outcome of `ask` to libfuse: exactly one answer, whatever happens. */
  #settle<T, U = T>(
    ask: () => MaybePromise<T | Errno>,
    answer: AnswerWith<U>,
    convert?: (value: T) => U,
  ): void {
    const give = (value: T | Errno): void => {
      if (typeof value === 'string') answer(numberOf(value as Errno));
      else answer(0, convert === undefined ? (value as unknown as U) : convert(value));
    };
    const fail = (fault: unknown): void => {
      if (!this.#ended.signal.aborted) this.#options.onFault(fault);
      answer(numberOf(errnoOf(asTarnError(fault))));
    };
    try {
      const outcome = ask();
      if (isPromise(outcome)) outcome.then(give).catch(fail);
      else give(outcome);
    } catch (fault) {
      fail(fault);
    }
  }

  #freeHandle(): number {
    do {
      this.#lastHandle = (this.#lastHandle % HANDLE_MAX) + 1;
    } while (this.#open.has(this.#lastHandle));
    return this.#lastHandle;
  }

  #stat(of: Attributes): FuseStat {
    const timeMs = Math.max(0, of.mtimeSec * 1000 + Math.floor(of.mtimeNsec / 1e6));
    return {
      mode: FORMAT_BITS[of.kind] | of.mode,
      uid: this.#options.uid,
      gid: this.#options.gid,
      size: of.size,
      nlink: of.nlink,
      blksize: BLOCK_BYTES,
      blocks: Math.ceil(of.size / SECTOR_BYTES),
      mtime: timeMs,
      atime: timeMs,
      ctime: timeMs,
    };
  }
}

/** A directory's names and modes; what is no UTF-8 is left out, since the package speaks in text. */
class Names implements DirectorySink {
  readonly names: string[] = [];
  readonly modes: number[] = [];
  /** Where to go on. */
  next = 0;
  /** How many more are taken. */
  room = 0;

  add(name: Key, next: number, _inode: Inode, kind: NodeKind, mode: number): boolean {
    if (this.room === 0) return false;
    this.room -= 1;
    this.next = next;
    const text = keyToText(name);
    if (keyFromText(text) === name) {
      this.names.push(text);
      this.modes.push(FORMAT_BITS[kind] | mode);
    }
    return true;
  }
}

/** Block counts have 32 bits on this road, so a block grows with what it has to count. */
function statfsOf(totals: FilesystemTotals): FuseStatfs {
  let frsize = BLOCK_BYTES;
  while (Math.ceil(totals.bytes / frsize) > UINT32_MAX) frsize *= 2;
  return {
    bsize: frsize,
    frsize,
    blocks: Math.ceil(totals.bytes / frsize),
    files: Math.min(totals.files, UINT32_MAX),
    namemax: 255,
  };
}

/** The errno as a negative number of this machine. */
function numberOf(errno: Errno): number {
  return -errnoNumber(errno);
}
