import type { MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';

/**
 * The filesystem as a driver sees it: inodes and handles, as in the kernel's FUSE protocol, and
 * nothing of any kernel interface.
 *
 * Errors. An expected outcome is an Errno value. Anything thrown is a fault: the driver logs it and
 * answers with the errno of its kind (mount/errno.ts).
 *
 * Sync and async. A call returns its value directly when what it needs is in memory and a promise
 * otherwise; a driver must take both.
 *
 * Inodes. Numbers fit in 52 bits. A frozen filesystem computes them from the tree, so it keeps no
 * lookup counts and there is no forget. One that counts: HoldingFilesystem (living.ts).
 *
 * Calls that write: WritableFilesystem (writable.ts). Where a filesystem is none, a driver answers
 * them all with EROFS itself.
 */
export interface Filesystem {
  /** Shown as the mount's source in /proc/mounts: repository and commit. */
  readonly sourceName: string;
  /** True when nothing seen here ever changes but passing names, so that kernels may cache without limit. */
  readonly frozen: boolean;

  /**
   * Names in the directory may lead elsewhere, or nowhere, at any time: a kernel is to keep none of
   * them. Without it there is no such directory.
   */
  isPassing?(directory: Inode): boolean;

  lookup(parent: Inode, name: Key, signal: AbortSignal): MaybePromise<Attributes | Errno>;
  getattr(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno>;
  /** The target as bytes, one to a char. */
  readlink(inode: Inode, signal: AbortSignal): MaybePromise<{ target: Key } | Errno>;

  /** Only for reading; the driver has already refused other access modes with EROFS. */
  open(inode: Inode, signal: AbortSignal): MaybePromise<OpenedFile | Errno>;
  /** Fewer bytes than `length` only at the end of the file. */
  read(
    handle: Handle,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<Uint8Array | Errno>;
  release(handle: Handle): void;

  opendir(inode: Inode, signal: AbortSignal): MaybePromise<{ handle: Handle } | Errno>;
  /**
   * Fills `sink` from the position `offset` (0 is the start, else what the sink was given as `next`)
   * until it is full or the directory ends. `.` and `..` come first.
   */
  readdir(
    handle: Handle,
    offset: number,
    sink: DirectorySink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno>;
  releasedir(handle: Handle): void;

  statfs(signal: AbortSignal): MaybePromise<FilesystemTotals>;
  getxattr(inode: Inode, name: Key, signal: AbortSignal): MaybePromise<Uint8Array | Errno>;
  listxattr(inode: Inode, signal: AbortSignal): MaybePromise<readonly Key[] | Errno>;

  /** Where to tell which bytes of an open file the driver may now read, and what has changed. */
  connect(driver: DriverEvents): void;
}

/** 1 is the root. */
export type Inode = number;
/** At most 2^53 - 1; chosen by the filesystem, never reused while open. */
export type Handle = number;

export type Errno =
  | 'ENOENT'
  | 'ENOTDIR'
  | 'EISDIR'
  | 'ENAMETOOLONG'
  | 'EINVAL'
  | 'EIO'
  | 'EROFS'
  | 'EINTR'
  | 'EBADF'
  | 'ESTALE'
  | 'EACCES'
  | 'ENODATA'
  | 'ELOOP'
  | 'ENOSPC'
  | 'ENOMEM'
  | 'EBUSY'
  | 'EPERM'
  | 'EEXIST'
  | 'ENOTEMPTY'
  | 'EAGAIN'
  | 'ENOTSUP'
  | 'EXDEV'
  | 'EFBIG'
  | 'EMLINK'
  | 'ENXIO'
  | 'ERANGE'
  | 'ETXTBSY'
  | 'E2BIG'
  | 'EDQUOT';

export type NodeKind = 'file' | 'directory' | 'symlink' | SpecialKind;

/** Nodes that only a filesystem that can be written has. */
export type SpecialKind = 'fifo' | 'socket' | 'character' | 'block';

export interface Attributes {
  readonly inode: Inode;
  readonly kind: NodeKind;
  /** Permission bits. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly nlink: number;
  /** What only a filesystem that can be written knows. */
  readonly own?: OwnAttributes;
}

export interface OwnAttributes {
  readonly uid: number;
  readonly gid: number;
  readonly atimeSec: number;
  readonly atimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  /** Of 512 bytes, as the disk holds it. */
  readonly sectors: number;
  /** Device number as makedev(3) packs it; 0 for all but 'character' and 'block'. */
  readonly device: number;
  /** Programs change it right now by ways that the filesystem does not see: not to be kept. */
  readonly isVolatile: boolean;
  /** Made by this call, through the one mount that is there: whoever changes it got it from this answer. */
  readonly isNew?: boolean;
}

export interface OpenedFile {
  readonly handle: Handle;
  /**
   * Each read and write of a program comes to the filesystem as it is, and the kernel keeps nothing;
   * then there is neither `staged` nor `backing`.
   */
  readonly isDirect?: boolean;
  /** A file that is being changed; then there is no `backing`. */
  readonly staged?: StagedBacking;
  /** A local file that holds the bytes, open until release; see repo/content.ts, Backing. */
  readonly backing?: {
    readonly fd: number;
    readonly offset: number;
    /** Bytes of the file from `offset`. */
    readonly length: number;
    /** The backing file is this file and nothing else: it may pass through if also verified. */
    readonly exact: boolean;
    /** All of it may be read by the driver; otherwise only what is granted. */
    readonly verified: boolean;
  };
}

/**
 * The local file that holds what was changed of a file, open until release. A driver reads and
 * writes it by itself; its size and times are the file's. The rules: overlay/OVERLAY.md, Bytes.
 */
export interface StagedBacking {
  /** Open for reading and writing, whatever the program asked for. */
  readonly fd: number;
  /** Absent when every byte lies in `fd`: then the file may pass through to the kernel. */
  readonly partial?: PartialBacking;
  /** It may not though every byte lies there: it may become partial while it is open. */
  readonly isAsked?: boolean;
}

/** A committed file of which only some pages were changed so far. */
export interface PartialBacking {
  /** Of the page map, open for reading and writing. */
  readonly mapFd: number;
  /** The committed bytes, as far as they lie in a local file; -1 where they do not. */
  readonly baseFd: number;
  readonly baseOffset: number;
  readonly baseLength: number;
  /** All of the base may be read by the driver; otherwise only what is granted. */
  readonly verified: boolean;
  /** What the kernel has cached of the file is right, as nobody changes it but through this driver. */
  readonly isCachedRight: boolean;
}

/** What a filesystem calls on its driver; a frozen one tells of no changes. */
export interface DriverEvents {
  /** Bytes [start, end) of the file open as `handle` may be read from its (base's) backing. */
  grant(handle: Handle, start: number, end: number): void;
  /** `name` in the directory is another node by now, or none; what was kept of it is wrong. */
  entryChanged(parent: Inode, name: Key): void;
  /** Attributes and, with `bytes`, the contents that were kept of the node are wrong by now. */
  nodeChanged(inode: Inode, bytes: boolean): void;
  /** Resolves when the kernel has heard of all of this, or takes too long over it. */
  heard(): Promise<void>;
}

/** Takes one directory entry as scalars, so that a listing allocates nothing an entry. */
export interface DirectorySink {
  /** False when the entry did not fit: it was not taken, and the caller stops. */
  add(
    name: Key,
    next: number,
    inode: Inode,
    kind: NodeKind,
    mode: number,
    size: number,
    mtimeSec: number,
    mtimeNsec: number,
    nlink: number,
  ): boolean;
  /**
   * Takes a name alone, of which the kernel is to keep nothing: it looks the name up when it needs
   * it. As `add` otherwise.
   */
  addName(name: Key, next: number, inode: Inode, kind: NodeKind): boolean;
}

export interface FilesystemTotals {
  /** Bytes of all files together. */
  readonly bytes: number;
  /** Files and symlinks. */
  readonly files: number;
  /** Bytes that may still be written, and of them those that everybody may; 0 without it. */
  readonly freeBytes?: number;
  readonly availableBytes?: number;
  readonly freeFiles?: number;
}
