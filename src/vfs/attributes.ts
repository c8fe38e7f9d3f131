import type { Commit } from '../model/commit.js';
import type { EntryAttributes } from '../repo/view.js';
import type { Attributes, Inode } from './filesystem.js';

/** Permission bits of a directory that no marker entry describes. */
const DIRECTORY_MODE = 0o755;

/**
 * Links that any node has. For a directory 1 says "unknown", as btrfs does: counting its
 * sub-directories would cost a walk, and programs skip their leaf-count shortcut when they see 1.
 */
export const NLINK = 1;

export function emptyAttributes(): EntryAttributes {
  return { kind: 'file', size: 0, mtimeSec: 0, mtimeNsec: 0, mode: 0 };
}

export function leafAttributes(inode: Inode, entry: EntryAttributes): Attributes {
  return {
    inode,
    kind: entry.kind,
    mode: entry.mode,
    size: entry.size,
    mtimeSec: entry.mtimeSec,
    mtimeNsec: entry.mtimeNsec,
    nlink: NLINK,
  };
}

/** What is not known from the tree of a directory that has no marker entry. */
export interface DirectoryDefaults {
  readonly mode: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

export function directoryDefaults(commit: Commit): DirectoryDefaults {
  const mtimeSec = Math.floor(commit.dateMs / 1000);
  return {
    mode: DIRECTORY_MODE,
    mtimeSec,
    mtimeNsec: Math.round((commit.dateMs - mtimeSec * 1000) * 1e6),
  };
}

/** A directory's size is 0: what it takes to store is nobody's business on a mount. */
export function directoryAttributes(inode: Inode, stamp: DirectoryDefaults): Attributes {
  return {
    inode,
    kind: 'directory',
    mode: stamp.mode,
    size: 0,
    mtimeSec: stamp.mtimeSec,
    mtimeNsec: stamp.mtimeNsec,
    nlink: NLINK,
  };
}
