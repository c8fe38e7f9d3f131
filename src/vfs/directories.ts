import { LRUCache } from 'lru-cache';
import { andThen, type MaybePromise } from '../util/async.js';
import { ROOT_KEY, type Key } from '../model/path.js';
import type { FrozenCursor, FrozenView } from '../repo/view.js';
import { directoryAttributes, emptyAttributes, type DirectoryDefaults } from './attributes.js';
import type { Attributes, Inode } from './filesystem.js';
import { decodeInode, directoryInode, prefixAtDepth, ROOT_INODE } from './inodes.js';
import { whyHidden } from './names.js';
import type { WalkedDirectory } from './walk.js';

export interface Directory extends WalkedDirectory {
  /** Ordinal of its first entry. */
  readonly firstOrdinal: number;
  readonly attributes: Attributes;
}

/** Directories kept so that using one again costs no seek: about 1 MiB when full. */
const KEPT_MAX = 4096;

/** Finds directories by inode. Holds nothing but a cache: every answer follows from the view. */
export class Directories {
  readonly root: Directory;
  readonly #view: FrozenView;
  readonly #defaults: DirectoryDefaults;
  readonly #kept = new LRUCache<Inode, Directory>({ max: KEPT_MAX });

  constructor(view: FrozenView, defaults: DirectoryDefaults) {
    this.#view = view;
    this.#defaults = defaults;
    const attributes = directoryAttributes(ROOT_INODE, defaults);
    this.root = { prefix: ROOT_KEY, depth: 0, firstOrdinal: 0, attributes };
  }

  byInode(inode: Inode, signal: AbortSignal): MaybePromise<Directory | 'ENOTDIR' | 'ESTALE'> {
    const kept = this.#kept.get(inode);
    if (kept !== undefined) return kept;
    const numbered = decodeInode(inode);
    switch (numbered.kind) {
      case 'root':
        return this.root;
      case 'leaf':
        return 'ENOTDIR';
      case 'none':
        return 'ESTALE';
      case 'directory':
        return this.#resolve(numbered.depth, numbered.firstOrdinal, signal);
    }
  }

  /** The directory with `prefix`, whose first entry is under `cursor`. */
  under(cursor: FrozenCursor, prefix: Key, depth: number): Directory {
    const firstOrdinal = cursor.ordinal;
    const inode = directoryInode(depth, firstOrdinal);
    const kept = this.#kept.get(inode);
    if (kept !== undefined) return kept;
    let stamp = this.#defaults;
    if (cursor.key === prefix) {
      const marker = emptyAttributes();
      cursor.attributes(marker);
      if (marker.kind === 'file') stamp = marker;
    }
    const attributes = directoryAttributes(inode, stamp);
    const directory = { prefix, depth, firstOrdinal, attributes };
    this.#kept.set(inode, directory);
    return directory;
  }

  parentInode(directory: Directory, signal: AbortSignal): MaybePromise<Inode> {
    const depth = directory.depth - 1;
    if (depth <= 0) return ROOT_INODE;
    const cut = directory.prefix.lastIndexOf('/', directory.prefix.length - 2);
    const parent = directory.prefix.slice(0, cut + 1) as Key;
    return andThen(this.#view.rank(parent, signal), (first) => directoryInode(depth, first));
  }

  /** A number from outside is believed only if it is the one that a walk would give. */
  #resolve(
    depth: number,
    firstOrdinal: number,
    signal: AbortSignal,
  ): MaybePromise<Directory | 'ESTALE'> {
    const cursor = this.#view.cursor(signal);
    return andThen(cursor.seekOrdinal(firstOrdinal), (any) => {
      const prefix = any ? prefixAtDepth(cursor.key, depth) : undefined;
      if (prefix === undefined || whyHidden(prefix, true) !== undefined) return 'ESTALE';
      const directory = (): Directory => this.under(cursor, prefix, depth);
      return andThen(this.#view.rank(prefix, signal), (first) =>
        first === firstOrdinal ? directory() : 'ESTALE',
      );
    });
  }
}
