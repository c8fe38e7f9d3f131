import type { Key } from '../model/path.js';
import type { Handle, Inode } from './filesystem.js';

/** Where a filesystem notes, while it serves, what its successor would need. */
export interface NodeNotes {
  /** The kernel holds the node, which is `name` in `parent`. */
  named(inode: Inode, parent: Inode, name: Key): void;
  /** The kernel holds the node, which has no name any more; `what` is the filesystem's own. */
  unnamed(inode: Inode, what: string): void;
  /** The kernel does not hold the node any more. */
  forgotten(inode: Inode): void;
  /**
   * Before the first step of a change that the driver has to be told of, and after the last; what
   * happened in between need not have reached the kernel.
   */
  telling(): void;
  told(): void;
  /** What shows now, in the filesystem's own words. */
  shows(what: string): void;
  /** How far the listing through the handle has come, as reopendir takes it; undefined: it is closed. */
  listing(handle: Handle, mark: number | undefined): void;
}
