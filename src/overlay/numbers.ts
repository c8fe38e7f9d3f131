import type { Key } from '../model/path.js';
import type { Inode } from '../vfs/filesystem.js';
import { hash52 } from '../vfs/inodes.js';
import type { NumberRow } from './journal/rows.js';
import { prefixOf, type Node } from './nodes.js';

/** The root has 1, and the control directory with its files the next ones. */
export const RESERVED_INODE_MAX = 15;

/**
 * Inode numbers (OVERLAY.md, Nodes and names). A number follows from the **numbering** of the
 * directory and the name in it: hash52(numbering + name), for a directory with a `/` behind it. The
 * numbering of a directory is its path in the base, or what `numbers` says for that path: where a
 * directory was moved it keeps the numbering it had, and the path it had gets another one, so that
 * what is made there has numbers of its own. For single paths `numbers` has the number itself.
 */
export class Numbers {
  readonly #rows = new Map<Key, NumberRow>();
  /** Path of each number that a row names. */
  readonly #owners = new Map<Inode, Key>();
  readonly #isUsed: (number: Inode) => boolean;

  /** @param isUsed whether a node in memory or in the journal has the number */
  constructor(rows: readonly NumberRow[], isUsed: (number: Inode) => boolean) {
    this.#isUsed = isUsed;
    for (const row of rows) this.put(row);
  }

  row(path: Key): NumberRow | undefined {
    return this.#rows.get(path);
  }

  put(row: NumberRow): void {
    this.drop(row.path);
    this.#rows.set(row.path, row);
    if (row.number !== undefined) this.#owners.set(row.number, row.path);
  }

  drop(path: Key): void {
    const { number } = this.#rows.get(path) ?? {};
    if (number !== undefined && this.#owners.get(number) === path) this.#owners.delete(number);
    this.#rows.delete(path);
  }

  /** Of the names in a directory. */
  numberingOf(directory: Node): Key {
    if (directory.state?.numbering !== undefined) return directory.state.numbering;
    const prefix = prefixOf(directory);
    if (this.#rows.size === 0 && prefix !== undefined) return prefix;
    const { place } = directory;
    if (place === undefined) return '' as Key;
    return this.numberingAt(place.parent, place.baseName);
  }

  /** The numbering that the directory `name` has if it is made in `parent`, or is in the base. */
  numberingAt(parent: Node, name: Key): Key {
    const path = this.#pathIn(parent, `${name}/`);
    const row = path === undefined ? undefined : this.#rows.get(path);
    return row?.numbering ?? this.plainNumbering(parent, name);
  }

  /** The same where `numbers` has nothing to say. */
  plainNumbering(parent: Node, name: Key): Key {
    return `${this.numberingOf(parent)}${name}/` as Key;
  }

  /** A number that no other node has, for what is `name` (for a directory: with `/`) in `parent`. */
  numberFor(parent: Node, name: string): Inode {
    const path = this.#pathIn(parent, name);
    const row = path === undefined ? undefined : this.#rows.get(path);
    const first = row?.number ?? this.plainNumber(parent, name);
    for (let number = first, again = 1; ; again += 1) {
      const owner = this.#owners.get(number);
      const isFree = owner === undefined || owner === path;
      if (isFree && number > RESERVED_INODE_MAX && !this.#isUsed(number)) return number;
      number = hash52(`${first}\0${again}`);
    }
  }

  plainNumber(parent: Node, name: string): Inode {
    return hash52(`${this.numberingOf(parent)}${name}`);
  }

  #pathIn(parent: Node, name: string): Key | undefined {
    if (this.#rows.size === 0) return undefined;
    const prefix = prefixOf(parent);
    return prefix === undefined ? undefined : (`${prefix}${name}` as Key);
  }
}
