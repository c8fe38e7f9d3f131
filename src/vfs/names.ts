import { throwIfAborted } from '../util/abort.js';
import { andThen, isPromise, type MaybePromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { Key } from '../model/path.js';
import { NAME_BYTES_MAX, ROOT_KEY } from '../model/path.js';
import type { View, ViewCursor } from '../repo/view.js';
import { emptyAttributes } from './attributes.js';

/**
 * Keys against names. A tree takes any key that S3 takes; a directory listing takes only names that
 * a kernel can say, each once. The rules are promised in SEMANTICS.md.
 */

/** What a file shows as when a directory has its name: `a~file` for the key `a` beside `a/b`. */
const ALIAS_MARK = '~file';
/** `a~file`, then `a~file2` … `a~file9` while real names are in the way. */
const ALIASES_MAX = 9;
const ALIAS = /^(.+)~file([2-9]?)$/s;

const SLASH = 0x2f;

/** Why no file system can show a component, undefined when it can. */
export function unnameable(name: Key): string | undefined {
  if (name.length > NAME_BYTES_MAX) {
    return `a component is ${name.length} bytes long, at most ${NAME_BYTES_MAX} can be shown`;
  }
  if (name === '') return "a component is empty (two '/' in a row, or one in front)";
  if (name === '.' || name === '..') return `a component is '${name}'`;
  if (name.includes('\0')) return 'a component holds a NUL byte';
  return undefined;
}

/** Same rule as unnameable, as cheap as a listing needs it. */
export function isNameable(name: Key): boolean {
  const length = name.length;
  if (length === 0 || length > NAME_BYTES_MAX) return false;
  if (length <= 2 && (name === '.' || name === '..')) return false;
  return !name.includes('\0');
}

/** Why `key` is not shown by its own name: an unnameable component, or bytes behind a final `/`. */
export function whyHidden(key: Key, isMarker: boolean): string | undefined {
  const directory = key.endsWith('/') && key !== '/';
  const components = (directory ? key.slice(0, -1) : key).split('/') as Key[];
  for (const component of components) {
    const why = unnameable(component);
    if (why !== undefined) return why;
  }
  return directory && !isMarker ? "it ends with '/' and is not an empty file" : undefined;
}

/** The first key after all that start with `directory`, which ends with `/`. */
export function afterSubtree(directory: Key): Key {
  return `${directory.slice(0, -1)}0` as Key;
}

/**
 * True when keys below `file`/ may follow `file`, judged by the key that comes next: either it is
 * one of them, or it sorts before them (`a!` or `a-b` between `a` and `a/b`), so that only a seek
 * can tell.
 */
export function mayHaveKeysBelow(file: Key, next: Key): boolean {
  return (
    next.length > file.length && next.charCodeAt(file.length) <= SLASH && next.startsWith(file)
  );
}

/** Moves `cursor` to the first key below `path`/ and says whether there is one. */
export function seekBelow(cursor: ViewCursor, path: Key): MaybePromise<boolean> {
  const directory = `${path}/`;
  return andThen(cursor.seek(directory as Key), (any) => any && cursor.key.startsWith(directory));
}

/**
 * The name that the file or symlink at `prefix` + `name` shows as, given that a directory has its
 * name; undefined when all its other names are taken or too long, so that it is not shown.
 */
export async function aliasOf(
  view: View,
  prefix: Key,
  name: Key,
  signal?: AbortSignal,
): Promise<Key | undefined> {
  const cursor = view.cursor(signal);
  for (const alias of aliasesOf(name)) {
    const path = `${prefix}${alias}` as Key;
    const isFile = (await cursor.seek(path)) && cursor.key === path;
    if (!isFile && !(await seekBelow(cursor, path))) return alias;
  }
  return undefined;
}

/** All the names that a file beside a directory of its name may have, first the first to be tried. */
export function* aliasesOf(name: Key): Generator<Key> {
  for (let n = 1; n <= ALIASES_MAX; n += 1) {
    const alias = `${name}${ALIAS_MARK}${n === 1 ? '' : n}` as Key;
    if (alias.length > NAME_BYTES_MAX) return;
    yield alias;
  }
}

/** The name that `alias` may stand for; no two names have an alias in common. */
export function aliasedName(alias: Key): Key | undefined {
  return ALIAS.exec(alias)?.[1] as Key | undefined;
}

export interface Unmountable {
  readonly key: Key;
  /** Completes "is not shown in a mount: …". */
  readonly why: string;
}

/** Entries looked at between two turns of the event loop, which serves mounts meanwhile. */
const ENTRIES_A_TURN = 5000;

/** Every entry that a mount of `view` does not show; one pass over the view. */
export async function* listUnmountable(
  view: View,
  signal?: AbortSignal,
): AsyncGenerator<Unmountable> {
  const cursor = view.cursor(signal);
  const attributes = emptyAttributes();
  let more = await cursor.seek(ROOT_KEY);
  for (let seen = 1; more; seen += 1) {
    if (seen % ENTRIES_A_TURN === 0) {
      throwIfAborted(signal);
      await giveWay();
    }
    const key = cursor.key;
    cursor.attributes(attributes);
    const isMarker = key.endsWith('/') && attributes.kind === 'file' && attributes.size === 0;
    const moved = cursor.next();
    more = isPromise(moved) ? await moved : moved;
    let why = whyHidden(key, isMarker);
    if (why === undefined && !isMarker && more && mayHaveKeysBelow(key, cursor.key)) {
      why = await whyAliasHidden(view, key, signal);
    }
    if (why !== undefined) yield { key, why };
  }
}

async function whyAliasHidden(
  view: View,
  key: Key,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (!(await seekBelow(view.cursor(signal), key))) return undefined;
  const cut = key.lastIndexOf('/') + 1;
  const name = key.slice(cut) as Key;
  if ((await aliasOf(view, key.slice(0, cut) as Key, name, signal)) !== undefined) return undefined;
  return `it is also a directory, and '${ALIAS_MARK}' behind its name is too long or taken`;
}
