import type { MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';
import type { Attributes, DirectorySink, Errno, Filesystem, Handle, Inode } from './filesystem.js';

/**
 * A filesystem that keeps account of what kernels hold. Each time attributes are given out by lookup
 * (or by another call that makes a node), or a listing takes a node (NodeSink), the driver holds the
 * node once more; forget lets it go. A number stays the node's while anyone holds it, whatever becomes
 * of its names.
 */
export interface HoldingFilesystem extends Filesystem {
  forget(inode: Inode, times: number): void;
}

/** One that changes while it is mounted, and tells its driver of each change (DriverEvents). */
export interface LivingFilesystem extends HoldingFilesystem {
  readonly frozen: false;

  /** As readdir. */
  readdirNodes(
    handle: Handle,
    offset: number,
    sink: NodeSink,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno>;
}

/** Takes one name of a directory that lives. */
export interface NodeSink extends Pick<DirectorySink, 'addName'> {
  /**
   * 'full': it was not taken, and the caller stops. 'held': the driver now holds the node once more,
   * which is never so for `.` and `..`.
   */
  addNode(name: Key, next: number, attributes: Attributes): 'full' | 'listed' | 'held';
}

export function isHolding(filesystem: Filesystem): filesystem is HoldingFilesystem {
  return 'forget' in filesystem;
}

export function isLiving(filesystem: Filesystem): filesystem is LivingFilesystem {
  return !filesystem.frozen && 'readdirNodes' in filesystem;
}
