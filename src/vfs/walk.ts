import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';
import type { EntryAttributes, FrozenCursor, FrozenView } from '../repo/view.js';
import { emptyAttributes, NLINK, type DirectoryDefaults } from './attributes.js';
import type { DirectorySink, Inode, NodeKind } from './filesystem.js';
import { directoryInode, ENTRIES_MAX, fileInode } from './inodes.js';
import { afterSubtree, aliasOf, isNameable, mayHaveKeysBelow, seekBelow } from './names.js';

/** An ordinal past every entry. */
const END = ENTRIES_MAX;

/** A directory of the view, as a walk needs it. */
export interface WalkedDirectory {
  /** Key prefix of all its entries: empty for the root, else it ends with `/`. */
  readonly prefix: Key;
  /** Components in the prefix. */
  readonly depth: number;
}

/**
 * The names in one directory in key order, each with its attributes in the public fields, which
 * hold the current name after `advance` gave true. Sub-directories are seeked over. Nothing is
 * allocated for a name but its string.
 */
export class DirectoryWalk {
  name = '' as Key;
  /** As the key has it; `name` differs where a file shows as `name~file`. */
  baseName = '' as Key;
  inode: Inode = 0;
  kind: NodeKind = 'file';
  mode = 0;
  size = 0;
  mtimeSec = 0;
  mtimeNsec = 0;
  /** Ordinal from which a later walk goes on after this name. */
  resumeAt = 0;

  readonly #view: FrozenView;
  readonly #directory: WalkedDirectory;
  readonly #defaults: DirectoryDefaults;
  readonly #signal: AbortSignal;
  readonly #cursor: FrozenCursor;
  readonly #entry: EntryAttributes = emptyAttributes();
  /** Key under the cursor; undefined past the directory's end. */
  #key: Key | undefined;
  #probe: FrozenCursor | undefined;

  constructor(
    view: FrozenView,
    directory: WalkedDirectory,
    defaults: DirectoryDefaults,
    signal: AbortSignal,
  ) {
    this.#view = view;
    this.#directory = directory;
    this.#defaults = defaults;
    this.#signal = signal;
    this.#cursor = view.cursor(signal);
  }

  /** To the first name whose entry is at `ordinal` or after. */
  start(ordinal: number): MaybePromise<void> {
    return andThen(this.#cursor.seekOrdinal(ordinal), (any) => this.#land(any));
  }

  /** To the next name; false at the directory's end. */
  advance(): MaybePromise<boolean> {
    for (;;) {
      const key = this.#key;
      if (key === undefined) return false;
      const taken = this.#take(key);
      if (isPromise(taken)) return taken.then((shown) => shown || this.advance());
      if (taken) return true;
    }
  }

  /** Gives the current name to `sink`; false when it has no room for it. */
  giveTo(sink: DirectorySink, next: number): boolean {
    return sink.add(
      this.name,
      next,
      this.inode,
      this.kind,
      this.mode,
      this.size,
      this.mtimeSec,
      this.mtimeNsec,
      NLINK,
    );
  }

  /** Reads the name under the cursor, moves to where the next one starts; false if it is hidden. */
  #take(key: Key): MaybePromise<boolean> {
    const start = this.#directory.prefix.length;
    const slash = key.indexOf('/', start);
    const name = (slash < 0 ? key.slice(start) : key.slice(start, slash)) as Key;
    const shown = isNameable(name);
    this.name = name;
    this.baseName = name;
    if (slash >= 0) return this.#takeDirectory(key, slash, shown);
    if (shown) this.#fillFromEntry();
    const moved = this.#cursor.next();
    return isPromise(moved)
      ? moved.then((any) => this.#leave(key, any, shown))
      : this.#leave(key, moved, shown);
  }

  #takeDirectory(key: Key, slash: number, shown: boolean): MaybePromise<boolean> {
    const directory = key.slice(0, slash + 1) as Key;
    if (shown) {
      this.kind = 'directory';
      this.inode = directoryInode(this.#directory.depth + 1, this.#cursor.ordinal);
      this.size = 0;
      this.#stampDirectory(key.length === slash + 1);
    }
    return andThen(this.#cursor.seek(afterSubtree(directory)), (any) => {
      this.#land(any);
      return shown;
    });
  }

  #stampDirectory(hasMarker: boolean): void {
    let stamp: DirectoryDefaults = this.#defaults;
    if (hasMarker) {
      this.#cursor.attributes(this.#entry);
      if (this.#entry.kind === 'file') stamp = this.#entry;
    }
    this.mode = stamp.mode;
    this.mtimeSec = stamp.mtimeSec;
    this.mtimeNsec = stamp.mtimeNsec;
  }

  #fillFromEntry(): void {
    const entry = this.#entry;
    this.#cursor.attributes(entry);
    this.inode = fileInode(this.#cursor.ordinal);
    this.kind = entry.kind;
    this.mode = entry.mode;
    this.size = entry.size;
    this.mtimeSec = entry.mtimeSec;
    this.mtimeNsec = entry.mtimeNsec;
  }

  /** Ends the visit of the file at `file`, now that the cursor is on the entry after it. */
  #leave(file: Key, any: boolean, shown: boolean): MaybePromise<boolean> {
    this.#land(any);
    if (!shown || this.#key === undefined || !mayHaveKeysBelow(file, this.#key)) return shown;
    this.#probe ??= this.#view.cursor(this.#signal);
    const below = seekBelow(this.#probe, file);
    return andThen(below, (isDirectory) => (isDirectory ? this.#rename() : true));
  }

  async #rename(): Promise<boolean> {
    const alias = await aliasOf(this.#view, this.#directory.prefix, this.name, this.#signal);
    if (alias === undefined) return false;
    this.name = alias;
    return true;
  }

  #land(any: boolean): void {
    const key = any ? this.#cursor.key : undefined;
    this.#key = key?.startsWith(this.#directory.prefix) === true ? key : undefined;
    this.resumeAt = any ? this.#cursor.ordinal : END;
  }
}
