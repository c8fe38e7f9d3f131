import { createRequire } from 'node:module';
import { TarnError } from '../../util/errors.js';

/** Answers a call: an errno, negative as the kernel wants it, or a count where a call gives one. */
export type Answer = (result: number) => void;
/** Answers with a value; `result` is 0 or a negative errno. */
export type AnswerWith<T> = (result: number, value?: T) => void;

/** What we give the package: one function a call. Absent ones are answered with ENOSYS. */
export interface Operations {
  getattr(path: string, answer: AnswerWith<FuseStat>): void;
  readlink(path: string, answer: AnswerWith<string>): void;
  open(path: string, flags: number, answer: AnswerWith<number>): void;
  read(
    path: string,
    handle: number,
    into: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void;
  release(path: string, handle: number, answer: Answer): void;
  readdir(path: string, answer: (result: number, names?: string[], kinds?: number[]) => void): void;
  statfs(path: string, answer: AnswerWith<FuseStatfs>): void;
  getxattr(path: string, name: string, answer: AnswerWith<Uint8Array>): void;
  listxattr(path: string, answer: AnswerWith<readonly Uint8Array[]>): void;
}

/** What we give the package besides for a filesystem that can be written. */
export interface WritingOperations extends Operations {
  create(path: string, mode: number, answer: AnswerWith<number>): void;
  write(
    path: string,
    handle: number,
    from: Buffer,
    length: number,
    offset: number,
    answer: Answer,
  ): void;
  truncate(path: string, size: number, answer: Answer): void;
  ftruncate(path: string, handle: number, size: number, answer: Answer): void;
  fsync(path: string, dataOnly: number, handle: number, answer: Answer): void;
  fsyncdir(path: string, dataOnly: number, handle: number, answer: Answer): void;
  chmod(path: string, mode: number, answer: Answer): void;
  /** UINT32_MAX stays. */
  chown(path: string, uid: number, gid: number, answer: Answer): void;
  /** Milliseconds since 1970. */
  utimens(path: string, atime: number, mtime: number, answer: Answer): void;
  mknod(path: string, mode: number, device: number, answer: Answer): void;
  mkdir(path: string, mode: number, answer: Answer): void;
  symlink(target: string, path: string, answer: Answer): void;
  link(from: string, to: string, answer: Answer): void;
  unlink(path: string, answer: Answer): void;
  rmdir(path: string, answer: Answer): void;
  rename(from: string, to: string, answer: Answer): void;
  setxattr(
    path: string,
    name: string,
    value: Buffer,
    position: number,
    flags: number,
    answer: Answer,
  ): void;
  removexattr(path: string, name: string, answer: Answer): void;
}

/** As `stat` in the package: times are milliseconds since 1970 and cannot be negative. */
export interface FuseStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  /** Device number, of devices. */
  readonly rdev: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly mtime: number;
  readonly atime: number;
  readonly ctime: number;
}

/** As `statfs` in the package: each number has 32 bits. */
export interface FuseStatfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly namemax: number;
}

export interface FuseOptions {
  readonly timeout: false;
  readonly allowOther: boolean;
  readonly defaultPermissions: true;
  readonly kernelCache: boolean;
  /** Ends up in the middle of libfuse's comma-separated option list, as it is. */
  readonly fsname: string;
}

export interface Fuse {
  mount(done: (error: Error | null) => void): void;
  unmount(done: (error: Error | null) => void): void;
}

/** Called with the package's record of a call, the call's number and its arguments. */
type Handler = (record: Buffer, call: number, ...values: unknown[]) => void;
type Signal = (result: number, ...values: unknown[]) => void;
type FuseClass = (new (
  directory: string,
  operations: object,
  options: FuseOptions,
) => Fuse & {
  _makeHandlerArray(): Handler[];
}) & {
  unmount(directory: string, done: (error: Error | null) => void): void;
};

const ERANGE = -34;
const STAT_WORDS = 18;
/** The package's number of the call. */
const UTIMENS = 12;
/** Where its record of a call has the access time, on Linux and on macOS; bytes. */
const ATIME_OFFSETS = [104, 96];

/**
 * Loads the package and repairs what of it we need repaired.
 * @throws TarnError unsupported
 */
export function loadFuse(): new (directory: string, ops: Operations, options: FuseOptions) => Fuse {
  const Base = requirePackage();
  // The package's unmount detaches lazily, which would hide that a mount is busy. We unmount by
  // ourselves before we have it let go.
  Base.unmount = (_directory, done) => {
    done(null);
  };

  return class extends Base {
    readonly #operations: Operations;

    constructor(directory: string, operations: Operations, options: FuseOptions) {
      super(directory, operations, options);
      this.#operations = operations;
    }

    /** The package hands over the access time twice; the other one is in its record of the call. */
    override _makeHandlerArray(): Handler[] {
      const handlers = super._makeHandlerArray();
      const own = handlers[UTIMENS];
      if (own === undefined) return handlers;
      handlers[UTIMENS] = (record, call, path, low, high) => {
        own(record, call, path, low, high, ...mtimeOf(record, Number(low), Number(high)));
      };
      return handlers;
    }

    /** The package's own makes a stat for each name, and takes 1 KiB of memory for it. */
    _op_readdir(signal: Signal, path: string): void {
      this.#operations.readdir(path, (result, names = [], modes = []) => {
        if (result < 0) signal(result);
        else signal(0, names, modes.map(statWithMode));
      });
    }

    /** The package's own writes past the end of a buffer that is too small. */
    _op_getxattr(signal: Signal, path: string, name: string, into: Buffer): void {
      this.#operations.getxattr(path, name, (result, value = new Uint8Array(0)) => {
        signal(result < 0 ? result : copyOut([value], into), into.buffer);
      });
    }

    /** Likewise, and it claims 128 bytes too many when asked how much room the list takes. */
    _op_listxattr(signal: Signal, path: string, into: Buffer): void {
      this.#operations.listxattr(path, (result, names = []) => {
        const nul = new Uint8Array(1);
        const pieces = names.flatMap((name) => [name, nul]);
        signal(result < 0 ? result : copyOut(pieces, into), into.buffer);
      });
    }
  };
}

/** The two words of the modification time, which follow those of the access time. */
function mtimeOf(record: Buffer, low: number, high: number): [low: number, high: number] {
  const at = ATIME_OFFSETS.find(
    (offset) => record.readUInt32LE(offset) === low && record.readUInt32LE(offset + 4) === high,
  );
  if (at === undefined) return [low, high];
  return [record.readUInt32LE(at + 8), record.readUInt32LE(at + 12)];
}

const statOfMode = new Map<number, Uint32Array>();

function statWithMode(mode: number): Uint32Array {
  let stat = statOfMode.get(mode);
  if (stat === undefined) {
    stat = new Uint32Array(STAT_WORDS);
    stat[0] = mode;
    statOfMode.set(mode, stat);
  }
  return stat;
}

/** Bytes copied; all of them wanted when `into` is empty, which asks for the size. */
function copyOut(pieces: readonly Uint8Array[], into: Buffer): number {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (into.length === 0) return length;
  if (length > into.length) return ERANGE;
  let at = 0;
  for (const piece of pieces) {
    into.set(piece, at);
    at += piece.length;
  }
  return length;
}

function requirePackage(): FuseClass {
  try {
    // require, not import: import would remember a failure that an apt-get has since repaired.
    return createRequire(import.meta.url)('fuse-native') as FuseClass;
  } catch (error) {
    throw new TarnError('unsupported', whyNotLoaded(error), {
      cause: error,
      hint:
        process.platform === 'darwin'
          ? 'install macFUSE (brew install --cask macfuse) and run npm install again'
          : 'install libfuse 2 (apt-get install libfuse2) and run npm install again',
    });
  }
}

function whyNotLoaded(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'MODULE_NOT_FOUND') return 'the optional package fuse-native is not installed';
  if (message.includes('libfuse.so.2')) {
    return 'the driver fuse-native needs libfuse 2, and libfuse.so.2 is not on this machine';
  }
  return `the package fuse-native cannot be loaded: ${message.split('\n')[0] ?? ''}`;
}
