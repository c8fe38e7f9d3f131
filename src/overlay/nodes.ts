import type { Entry, FileEntry } from '../model/entry.js';
import { ROOT_KEY, type Key } from '../model/path.js';
import type { Inode, NodeKind } from '../vfs/filesystem.js';
import { ROOT_INODE } from '../vfs/inodes.js';
import type { Timestamp } from '../vfs/writable.js';

/**
 * What a node has of its own once something changed it. Never changed itself: each change puts
 * another state in its place, so that who holds a state can tell whether the node is still as it was.
 */
export interface NodeState {
  /** Of the overlay when the node became so. */
  readonly version: number;
  /** Permission bits. */
  readonly mode: number;
  /** Undefined: whom the mount shows as the owner. */
  readonly uid?: number;
  readonly gid?: number;
  /** Where the node has a staged file these two are the staged file's. */
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  readonly ctime: Timestamp;
  /** Of a file or symlink: what the base had of it when it was first changed, or staged last. */
  readonly origin?: Origin;
  /** Of a file: there is a staged file with its number, which has its bytes. */
  readonly isStaged?: boolean;
  /** Of a staged file that is partial: whose bytes show where it has none. */
  readonly beneath?: FileEntry;
  /** Of a directory: the prefix of the base whose names it shows below its own; none when it is new. */
  readonly prefix?: Key;
  /** Of a directory: the prefix from which the numbers of its names follow (numbers.ts). */
  readonly numbering?: Key;
  /** Of a directory: a program made it, or set its mode, times or attributes: staged as a marker. */
  readonly isMarked?: boolean;
  /** Of a symlink. */
  readonly target?: Key;
  /** Of a device, as makedev(3) packs it. */
  readonly device?: number;
  /** All `user.` attributes but those of tarn itself; undefined: those of the origin. */
  readonly xattrs?: ReadonlyMap<Key, Uint8Array>;
}

export interface Origin {
  readonly key: Key;
  readonly entry: Entry;
}

/** That the bytes of a staged file are in the repository, as long as it has this stamp. */
export interface StoredBytes {
  readonly stamp: StagedStamp;
  /** Size, content id and address are those of the stored bytes; the rest says nothing. */
  readonly entry: FileEntry;
}

/** How a staged file looked: equal stamps, equal bytes (OVERLAY.md, Which bytes a commit has). */
export interface StagedStamp {
  /** Bytes. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
}

/** A name that a directory has of its own: a node, or a whiteout. Never changed, but replaced. */
export interface OwnName {
  /** Of its row in the journal. */
  readonly row: number;
  readonly directory: Node;
  readonly name: Key;
  /** Undefined: what the base shows of that name is hidden. */
  readonly node: Node | undefined;
  /** Of the overlay when the name became so. */
  readonly version: number;
}

/** What only directories have. */
export class DirectoryNames {
  readonly own = new Map<Key, OwnName>();
  /** How many of its own names are nodes. */
  live = 0;
  /** How many of those are directories. */
  directories = 0;
  /** Nodes in memory that nobody changed, by the name they show as. */
  readonly unchanged = new Map<Key, Node>();
}

/**
 * A file, directory or other thing with an inode number. One that was changed has a state and a row
 * in the journal and is reached by own names; one that was not is a memory of what the base shows
 * in its parent and leaves the memory when nobody uses it.
 */
export class Node {
  readonly inode: Inode;
  readonly kind: NodeKind;
  /** Undefined while nobody changed it. */
  state: NodeState | undefined;
  /** Of its row in the journal; 0 without one. */
  row = 0;
  /** Where it is named, of a changed node; none when it was unlinked. */
  readonly names: OwnName[] = [];
  readonly directory: DirectoryNames | undefined;
  /** Of an unchanged node. */
  place: BasePlace | undefined;
  /** Of a file. */
  stored: StoredBytes | undefined;
  /** Mounts and handles that use it. */
  uses = 0;
  /** It has no name any more, and only lives as long as somebody uses it. */
  isGone = false;

  constructor(inode: Inode, kind: NodeKind) {
    this.inode = inode;
    this.kind = kind;
    if (kind === 'directory') this.directory = new DirectoryNames();
  }

  get isRoot(): boolean {
    return this.inode === ROOT_INODE;
  }
}

/** Where an unchanged node is, and what the base says of it. */
export interface BasePlace {
  readonly parent: Node;
  /** As it shows. */
  readonly name: Key;
  /** As its key in the base has it, which differs where it shows as `name~file`. */
  readonly baseName: Key;
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** Of the base that said so; another one is asked again. */
  readonly generation: number;
}

/** The directory's prefix in the base, undefined when it shows nothing of it. */
export function prefixOf(directory: Node): Key | undefined {
  if (directory.state !== undefined) return directory.state.prefix;
  const { place } = directory;
  if (place === undefined) return directory.isRoot ? ROOT_KEY : undefined;
  const above = prefixOf(place.parent);
  return above === undefined ? undefined : (`${above}${place.baseName}/` as Key);
}

/**
 * Where the directory is now, ending with `/` unless it is the root; undefined when it was removed.
 */
export function pathOfDirectory(directory: Node): Key | undefined {
  if (directory.isRoot) return ROOT_KEY;
  const parent = parentOf(directory);
  const above = parent === undefined ? undefined : pathOfDirectory(parent);
  const name = directory.place?.name ?? directory.names[0]?.name;
  return above === undefined ? undefined : (`${above}${name}/` as Key);
}

/** Of a node with several names the first one's directory; undefined for the root and unlinked nodes. */
export function parentOf(node: Node): Node | undefined {
  return node.place?.parent ?? node.names[0]?.directory;
}

/** Whether programs gave it attributes that it still has. */
export function hasXattrs(state: NodeState | undefined): boolean {
  return (state?.xattrs?.size ?? 0) > 0;
}

/** True where the name only leads to changes below it and says nothing that the base does not. */
export function isPassing({ directory, name, node }: OwnName): boolean {
  const state = node?.state;
  if (state === undefined || node?.kind !== 'directory' || state.isMarked === true) return false;
  const prefix = prefixOf(directory);
  return prefix !== undefined && state.prefix === `${prefix}${name}/`;
}
