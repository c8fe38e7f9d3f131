import { read as readDescriptor } from 'node:fs';
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
import { isLiving, type NodeSink } from '../../vfs/living.js';
import type { MountOptions } from '../driver.js';
import type { Answer, AnswerWith, FuseStat, FuseStatfs, Operations } from './package.js';
import { pathsOf, type Paths } from './paths.js';
import { numberOf, type Serving } from './serving.js';

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

/** Answers what libfuse asks, by a Filesystem. */
export class FilesystemOperations implements Operations {
  readonly #filesystem: Filesystem;
  readonly #serving: Serving;
  readonly #paths: Paths;

  constructor(filesystem: Filesystem, serving: Serving) {
    this.#filesystem = filesystem;
    this.#serving = serving;
    this.#paths = pathsOf(filesystem, serving.signal);
  }

  getattr(path: string, answer: AnswerWith<FuseStat>): void {
    this.#serving.settle(
      () => this.#paths.at<Attributes>(path, (found) => found),
      answer,
      (found) => statOf(found, this.#serving.options),
    );
  }

  readlink(path: string, answer: AnswerWith<string>): void {
    const target = () =>
      this.#paths.at(path, ({ inode }) => this.#filesystem.readlink(inode, this.#signal));
    this.#serving.settle(target, answer, (found) => keyToText(found.target));
  }

  open(path: string, _flags: number, answer: AnswerWith<number>): void {
    const opened = () =>
      this.#paths.at(path, ({ inode }) => this.#filesystem.open(inode, this.#signal));
    this.#serving.settle(opened, answer, (file) => this.#serving.opened(file));
  }

  read(
    _path: string,
    handle: number,
    into: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void {
    const file = this.#serving.file(handle);
    if (file === undefined) {
      answer(numberOf('EBADF'));
      return;
    }
    if (file.backing?.verified === true) {
      this.#readBacking(file.backing, into, length, offset, answer);
      return;
    }
    const bytes = () => this.#filesystem.read(file.handle, offset, length, this.#signal);
    this.#serving.settle(bytes, (result, read) => {
      if (read !== undefined) into.set(read);
      answer(read?.length ?? result);
    });
  }

  release(_path: string, handle: number, answer: Answer): void {
    this.#serving.release(handle);
    answer(0);
  }

  readdir(
    path: string,
    answer: (result: number, names?: string[], modes?: number[]) => void,
  ): void {
    const listing = () => this.#paths.at(path, ({ inode }) => this.#list(inode));
    this.#serving.settle(listing, (result, names) => {
      answer(result, names?.names, names?.modes);
    });
  }

  statfs(_path: string, answer: AnswerWith<FuseStatfs>): void {
    this.#serving.settle<FilesystemTotals, FuseStatfs>(
      () => this.#filesystem.statfs(this.#signal),
      answer,
      statfsOf,
    );
  }

  getxattr(path: string, name: string, answer: AnswerWith<Uint8Array>): void {
    const value = () =>
      this.#paths.at(path, ({ inode }) =>
        this.#filesystem.getxattr(inode, keyFromText(name), this.#signal),
      );
    this.#serving.settle(value, answer);
  }

  listxattr(path: string, answer: AnswerWith<readonly Uint8Array[]>): void {
    const names = () =>
      this.#paths.at(path, ({ inode }) => this.#filesystem.listxattr(inode, this.#signal));
    this.#serving.settle(names, answer, (keys) => keys.map(keyToBytes));
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
      this.#serving.fault(error ?? new Error(`a cache file ended ${wanted - count} bytes early`));
      answer(numberOf('EIO'));
    });
  }

  async #list(inode: Inode): Promise<Names | Errno> {
    const filesystem = this.#filesystem;
    const opened = await filesystem.opendir(inode, this.#signal);
    if (typeof opened === 'string') return opened;
    const { handle } = opened;
    const names = new Names();
    try {
      for (;;) {
        names.room = NAMES_A_TURN;
        const errno = isLiving(filesystem)
          ? await filesystem.readdirNodes(handle, names.next, names, this.#signal)
          : await filesystem.readdir(handle, names.next, names, this.#signal);
        if (errno !== undefined) return errno;
        if (names.room === NAMES_A_TURN) return names;
        await giveWay();
      }
    } finally {
      filesystem.releasedir(handle);
    }
  }

  get #signal(): AbortSignal {
    return this.#serving.signal;
  }
}

/** A directory's names and modes; what is no UTF-8 is left out, since the package speaks in text. */
class Names implements DirectorySink, NodeSink {
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

  addName(name: Key, next: number, inode: Inode, kind: NodeKind): boolean {
    return this.add(name, next, inode, kind, 0);
  }

  addNode(name: Key, next: number, { inode, kind, mode }: Attributes): 'full' | 'listed' {
    return this.add(name, next, inode, kind, mode) ? 'listed' : 'full';
  }
}

/** Block counts have 32 bits on this road, so a block grows with what it has to count. */
function statfsOf(totals: FilesystemTotals): FuseStatfs {
  const { files, freeBytes = 0, availableBytes = 0, freeFiles = 0 } = totals;
  const bytes = totals.bytes + freeBytes;
  let frsize = BLOCK_BYTES;
  while (Math.ceil(bytes / frsize) > UINT32_MAX) frsize *= 2;
  return {
    bsize: frsize,
    frsize,
    blocks: Math.ceil(bytes / frsize),
    bfree: Math.floor(freeBytes / frsize),
    bavail: Math.floor(availableBytes / frsize),
    files: Math.min(files + freeFiles, UINT32_MAX),
    ffree: Math.min(freeFiles, UINT32_MAX),
    namemax: 255,
  };
}

function statOf(of: Attributes, { uid, gid }: MountOptions): FuseStat {
  const { own } = of;
  const mtime = milliseconds(of.mtimeSec, of.mtimeNsec);
  return {
    mode: FORMAT_BITS[of.kind] | of.mode,
    uid: own?.uid ?? uid,
    gid: own?.gid ?? gid,
    size: of.size,
    nlink: of.nlink,
    rdev: own?.device ?? 0,
    blksize: BLOCK_BYTES,
    blocks: own?.sectors ?? Math.ceil(of.size / SECTOR_BYTES),
    mtime,
    atime: own === undefined ? mtime : milliseconds(own.atimeSec, own.atimeNsec),
    ctime: own === undefined ? mtime : milliseconds(own.ctimeSec, own.ctimeNsec),
  };
}

function milliseconds(sec: number, nsec: number): number {
  return Math.max(0, sec * 1000 + Math.floor(nsec / 1e6));
}
