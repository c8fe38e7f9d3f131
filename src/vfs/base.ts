import type { EntryAttributes, FrozenView } from '../repo/view.js';
import type { Key } from '../model/path.js';
import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { Timestamp } from './writable.js';
import { emptyAttributes, type DirectoryDefaults } from './attributes.js';
import { aliasedName, aliasOf, mayHaveKeysBelow, seekBelow } from './names.js';
import { DirectoryWalk } from './walk.js';

const DIRECTORY_MODE = 0o755;
/** Names looked at between two turns of the event loop. */
const NAMES_A_TURN = 1000;

/** What a directory of a base shows under a name. */
export interface BaseName {
  readonly kind: 'file' | 'symlink' | 'directory';
  /** As the key has it; the name that shows differs where a file shows as `name~file`. */
  readonly baseName: Key;
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** Of a directory: there is also a file with this key, which shows under another name or not at all. */
  readonly hidesFile: boolean;
}

/**
 * The tree that a mount which changes shows now, or shows below an overlay, by its names (SEMANTICS.md,
 * Names): a pure function of its view.
 */
export class Base {
  readonly view: FrozenView;
  /** Tells bases apart: each one that a mount gets has the next number. */
  readonly generation: number;
  readonly #defaults: DirectoryDefaults;

  constructor(view: FrozenView, generation: number, directoryDate: Timestamp) {
    this.view = view;
    this.generation = generation;
    this.#defaults = {
      mode: DIRECTORY_MODE,
      mtimeSec: directoryDate.sec,
      mtimeNsec: directoryDate.nsec,
    };
  }

  get root(): BaseName {
    return { ...this.#defaults, kind: 'directory', baseName: '' as Key, size: 0, hidesFile: false };
  }

  find(prefix: Key, name: Key, signal?: AbortSignal): MaybePromise<BaseName | undefined> {
    const path = `${prefix}${name}` as Key;
    const cursor = this.view.cursor(signal);
    const attributes = emptyAttributes();
    const directory = (hidesFile: boolean): BaseName => {
      const isMarked = cursor.key === `${path}/` && (cursor.attributes(attributes), true);
      const stamp = isMarked && attributes.kind === 'file' ? attributes : this.#defaults;
      const { mode, mtimeSec, mtimeNsec } = stamp;
      return { kind: 'directory', baseName: name, mode, size: 0, mtimeSec, mtimeNsec, hidesFile };
    };
    return andThen(cursor.seek(path), (any): MaybePromise<BaseName | undefined> => {
      if (any && cursor.key === path) {
        cursor.attributes(attributes);
        const leaf = leafOf(name, attributes);
        return andThen(cursor.next(), (more) => {
          if (!more || !mayHaveKeysBelow(path, cursor.key)) return leaf;
          return andThen(seekBelow(cursor, path), (below) => (below ? directory(true) : leaf));
        });
      }
      if (!any || !mayHaveKeysBelow(path, cursor.key)) return this.#findAlias(prefix, name, signal);
      return andThen(seekBelow(cursor, path), (below) =>
        below ? directory(false) : this.#findAlias(prefix, name, signal),
      );
    });
  }

  /** The names of a directory from the entry number `ordinal` of the view on. */
  walk(prefix: Key, ordinal: number | undefined, signal: AbortSignal): MaybePromise<DirectoryWalk> {
    const depth = prefix.split('/').length - 1;
    const walk = new DirectoryWalk(this.view, { prefix, depth }, this.#defaults, signal);
    const from = ordinal ?? this.view.rank(prefix, signal);
    return andThen(from, (first) => andThen(walk.start(first), () => walk));
  }

  /** Whether the directory shows any name for which `isShown`. */
  async shows(prefix: Key, isShown: (name: Key) => boolean, signal: AbortSignal): Promise<boolean> {
    const walk = await this.walk(prefix, undefined, signal);
    for (let seen = 1; ; seen += 1) {
      const more = walk.advance();
      if (!(isPromise(more) ? await more : more)) return false;
      if (isShown(walk.name)) return true;
      if (seen % NAMES_A_TURN === 0) await giveWay();
    }
  }

  /** `a~file` may be how the file `a` shows beside the directory `a`. */
  #findAlias(
    prefix: Key,
    name: Key,
    signal: AbortSignal | undefined,
  ): MaybePromise<BaseName | undefined> {
    const hidden = aliasedName(name);
    return hidden === undefined ? undefined : this.#findAliased(prefix, hidden, name, signal);
  }

  async #findAliased(
    prefix: Key,
    hidden: Key,
    alias: Key,
    signal: AbortSignal | undefined,
  ): Promise<BaseName | undefined> {
    const path = `${prefix}${hidden}` as Key;
    const cursor = this.view.cursor(signal);
    if (!(await cursor.seek(path)) || cursor.key !== path) return undefined;
    const attributes = emptyAttributes();
    cursor.attributes(attributes);
    if (!(await seekBelow(cursor, path))) return undefined;
    const shown = await aliasOf(this.view, prefix, hidden, signal);
    return shown === alias ? leafOf(hidden, attributes) : undefined;
  }
}

function leafOf(baseName: Key, attributes: EntryAttributes): BaseName {
  const { kind, mode, size, mtimeSec, mtimeNsec } = attributes;
  return { kind, baseName, mode, size, mtimeSec, mtimeNsec, hidesFile: false };
}
