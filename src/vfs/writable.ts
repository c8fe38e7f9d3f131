import type { MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';
import type {
  Attributes,
  DriverEvents,
  Errno,
  Filesystem,
  Handle,
  Inode,
  OpenedFile,
  SpecialKind,
  StagedBacking,
} from './filesystem.js';
import { isLiving, type LivingFilesystem } from './living.js';
import type { NodeNotes } from './notes.js';

/**
 * A filesystem that can be written. The calls are those of the kernel's FUSE protocol, and what they
 * promise is what POSIX says of the system call of that name; permissions were checked by the
 * kernel (default_permissions) before a call comes here.
 *
 * Nodes are held (living.ts) also by create, make*, symlink and link.
 *
 * Requests. What is done for a RequestId is done once: whoever cannot know whether it was done asks
 * outcomeOf before. That covers names and attributes, not bytes and lengths, which may be written and
 * set again.
 */
export interface WritableFilesystem extends LivingFilesystem {
  /** What came of a request that was done already: the node it made or named, 0 without one. */
  outcomeOf?(request: RequestId): Inode | undefined;
  /** Attributes of a node that the driver then holds once more. */
  take?(inode: Inode, signal: AbortSignal): MaybePromise<Attributes | Errno>;

  connectWriting(driver: WritableDriverEvents): void;

  setattr(
    inode: Inode,
    change: AttributeChange,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno>;

  /** The driver hands over only what open(2) says about access, truncation and appending. */
  openFor(inode: Inode, access: OpenAccess, signal: AbortSignal): MaybePromise<OpenedFile | Errno>;
  create(
    parent: Inode,
    name: Key,
    owner: NewOwner,
    access: OpenAccess,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<{ readonly attributes: Attributes; readonly opened: OpenedFile } | Errno>;
  /** Bytes taken; for drivers, and files, that cannot write `staged` by themselves. */
  write(
    handle: Handle,
    offset: number,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): MaybePromise<number | Errno>;
  /**
   * Resolves when what was written through any handle of the file would survive a power cut.
   * @param what 'data': its times may be older then
   */
  fsync(handle: Handle, what: 'all' | 'data', signal: AbortSignal): MaybePromise<undefined | Errno>;
  /** The names in the directory, and all that was done before. */
  fsyncdir(handle: Handle, signal: AbortSignal): MaybePromise<undefined | Errno>;
  /** @param mode FALLOC_FL_* of fallocate(2); others than KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE are ENOTSUP */
  fallocate(
    handle: Handle,
    mode: number,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno>;
  /** ENXIO behind the last data. */
  seek(
    handle: Handle,
    offset: number,
    to: 'data' | 'hole',
    signal: AbortSignal,
  ): MaybePromise<number | Errno>;
  /** Bytes copied, maybe fewer than asked. */
  copyRange(
    from: Handle,
    fromOffset: number,
    to: Handle,
    toOffset: number,
    length: number,
    signal: AbortSignal,
  ): MaybePromise<number | Errno>;

  makeDirectory(
    parent: Inode,
    name: Key,
    owner: NewOwner,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno>;
  /** @param device as OwnAttributes.device */
  makeNode(
    parent: Inode,
    name: Key,
    kind: SpecialKind | 'file',
    owner: NewOwner,
    device: number,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno>;
  symlink(
    parent: Inode,
    name: Key,
    target: Key,
    owner: NewOwner,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno>;
  link(
    inode: Inode,
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<Attributes | Errno>;
  unlink(
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno>;
  removeDirectory(
    parent: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno>;
  rename(
    parent: Inode,
    name: Key,
    newParent: Inode,
    newName: Key,
    how: RenameHow,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno>;

  setxattr(
    inode: Inode,
    name: Key,
    value: Uint8Array,
    how: 'set' | 'create' | 'replace',
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno>;
  removexattr(
    inode: Inode,
    name: Key,
    signal: AbortSignal,
    request?: RequestId,
  ): MaybePromise<undefined | Errno>;
}

declare const isRequestId: unique symbol;
/** Tells a request from all others that a workspace ever gets, whichever process serves them. */
export type RequestId = string & { readonly [isRequestId]: true };

export function isWritable(filesystem: Filesystem): filesystem is WritableFilesystem {
  return isLiving(filesystem) && 'openFor' in filesystem;
}

/** What a filesystem that can be written calls on its driver. */
export interface WritableDriverEvents extends DriverEvents {
  /** Where to note what a successor would need; absent where there will be none. */
  readonly notes?: NodeNotes;
  /**
   * The node has a staged file by now: what is read through handles that were opened before comes
   * from it. To be told before anything is written there; the one that was told first stays until
   * the node's last handle is released, but that a whole one that is asked may become partial.
   */
  nodeStaged(inode: Inode, staged: StagedBacking): void;
}

/** Permission bits and owner of a node that is made. */
export interface NewOwner {
  /** Permission bits, umask applied. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface OpenAccess {
  readonly reads: boolean;
  readonly writes: boolean;
  readonly truncates: boolean;
  /** Only for what the driver cannot do by itself: writes go to the end. */
  readonly appends: boolean;
  /** As a program that starts, or its parts: nobody may write it while the handle is there. */
  readonly executes?: boolean;
  /** The thread that opens it: who has a committed file open, too, may be about to copy it. */
  readonly thread?: number;
}

/** What setattr changes; what is absent stays. */
export interface AttributeChange {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Bytes. */
  readonly size?: number;
  readonly atime?: Timestamp | 'now';
  readonly mtime?: Timestamp | 'now';
  /** Of the open file through which the size is changed. */
  readonly handle?: Handle;
}

export interface Timestamp {
  readonly sec: number;
  readonly nsec: number;
}

export type RenameHow = 'replace' | 'no-replace' | 'exchange';
