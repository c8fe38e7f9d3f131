import type { Key } from '../model/path.js';
import type { MaybePromise } from '../util/async.js';
import type { Errno, Filesystem, Handle, Inode, OpenedFile } from './filesystem.js';
import type { OpenAccess } from './writable.js';

/*
 * How a filesystem goes on for a kernel that another process served before: the kernel still holds
 * nodes and handles that it got from that one.
 */

/** What was noted. */
export interface HeldNodes {
  readonly named: ReadonlyMap<Inode, { readonly parent: Inode; readonly name: Key }>;
  readonly unnamed: ReadonlyMap<Inode, string>;
  readonly shown: string | undefined;
}

/** A filesystem that can go on for a kernel; its numbers must mean what they meant before. */
export interface Resumable extends Filesystem {
  /**
   * Before any other call. True when the kernel may keep what is wrong by now.
   * @param firstHandle none that the kernel may know is as high
   */
  resume(held: HeldNodes, firstHandle: Handle): boolean;
  /** Opens what is open as `handle` already. */
  reopen(
    handle: Handle,
    inode: Inode,
    access: OpenAccess,
    signal: AbortSignal,
  ): MaybePromise<OpenedFile | Errno>;
  /** @param mark as noted last */
  reopendir(
    handle: Handle,
    inode: Inode,
    mark: number | undefined,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno>;
}

export function isResumable(filesystem: Filesystem): filesystem is Resumable {
  return 'resume' in filesystem && 'reopen' in filesystem && 'reopendir' in filesystem;
}
