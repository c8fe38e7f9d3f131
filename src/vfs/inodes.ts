import type { Key } from '../model/path.js';
import type { Inode } from './filesystem.js';

/**
 * Inode numbers of a frozen view follow from the tree, so there is no table of them, nothing to
 * forget, and they survive a restart.
 *
 * - 1 is the root.
 * - A file or symlink is its entry's ordinal + 2.
 * - A directory is its depth (1 for one in the root) times 2^42 plus the ordinal of its first
 *   entry. Directories of one depth share no entry, so no two have the same number.
 *
 * A key has at most 1,024 bytes, so at most 512 components that are not empty: 10 bits of depth and
 * 42 of ordinal make 52, which a double holds exactly.
 */
export const ROOT_INODE: Inode = 1;

/** Entries that a mounted commit may hold: file numbers must stay below the first directory's. */
export const ENTRIES_MAX = 2 ** 42 - 2;

const DEPTH_UNIT = 2 ** 42;
/** Above every number. */
export const INODE_END = 2 ** 52;
const FIRST_FILE = 2;

const HIGH_UNIT = 2 ** 32;
const HIGH_BITS = 0xf_ffff;

export function fileInode(ordinal: number): Inode {
  return ordinal + FIRST_FILE;
}

export function directoryInode(depth: number, firstOrdinal: number): Inode {
  return depth === 0 ? ROOT_INODE : depth * DEPTH_UNIT + firstOrdinal;
}

export type Numbered =
  | { readonly kind: 'root' }
  | { readonly kind: 'leaf'; readonly ordinal: number }
  | { readonly kind: 'directory'; readonly depth: number; readonly firstOrdinal: number }
  | { readonly kind: 'none' };

/** What a number means; whether such an entry is there, only the tree can say. */
export function decodeInode(inode: Inode): Numbered {
  if (inode === ROOT_INODE) return { kind: 'root' };
  if (!Number.isSafeInteger(inode) || inode < FIRST_FILE || inode >= INODE_END) {
    return { kind: 'none' };
  }
  const depth = Math.floor(inode / DEPTH_UNIT);
  if (depth === 0) return { kind: 'leaf', ordinal: inode - FIRST_FILE };
  return { kind: 'directory', depth, firstOrdinal: inode - depth * DEPTH_UNIT };
}

/** The first `depth` components of `key` with the `/` after them, undefined if it has fewer. */
export function prefixAtDepth(key: Key, depth: number): Key | undefined {
  let end = 0;
  for (let i = 0; i < depth; i += 1) {
    end = key.indexOf('/', end) + 1;
    if (end === 0) return undefined;
  }
  return key.slice(0, end) as Key;
}

/** Components that a key has at most. */
const DEPTH_MAX = 512;

/**
 * For mounts of many views: how many numbers in a row stand for all that a view of so many entries may
 * have, so that views share the numbers that there are by their sizes.
 */
export function packedSpan(entries: number): number {
  return 1 + (DEPTH_MAX + 1) * entries;
}

/** The place of a number of the view among these: 0 is the root. */
export function packedInode(inode: Inode, entries: number): number {
  if (inode === ROOT_INODE) return 0;
  const depth = Math.floor(inode / DEPTH_UNIT);
  const ordinal = depth === 0 ? inode - FIRST_FILE : inode - depth * DEPTH_UNIT;
  return 1 + depth * entries + ordinal;
}

/** The number of the view at such a place. */
export function unpackedInode(packed: number, entries: number): Inode {
  if (packed === 0) return ROOT_INODE;
  const depth = Math.floor((packed - 1) / entries);
  const ordinal = packed - 1 - depth * entries;
  return depth === 0 ? fileInode(ordinal) : directoryInode(depth, ordinal);
}

/**
 * For views that change: numbers that follow from paths. 52 bits that spread well; nobody gains anything by choosing names whose hashes are
 * equal.
 */
export function hash52(text: string): number {
  let low = 0xdeadbeef;
  let high = 0x41c6ce57;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x9e3779b1);
    high = Math.imul(high ^ code, 0x5f356495);
  }
  low = mix(low) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  high = mix(high) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  return (high & HIGH_BITS) * HIGH_UNIT + (low >>> 0);
}

function mix(hash: number): number {
  return Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
}
