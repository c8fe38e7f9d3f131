import type { EntryAttributes, ViewCursor } from '../model/cursor.js';
import type { Key } from '../model/path.js';
import type { MaybePromise } from '../util/async.js';
import { isPromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import { prefixEnd } from '../model/path.js';

/** One line of a directory's listing. */
export type Listed =
  | { readonly kind: 'directory'; readonly key: Key; readonly marker: boolean }
  | { readonly kind: 'entry'; readonly key: Key; readonly cursor: ViewCursor };

/** A walk gives way to others this often, so that the kernel is answered meanwhile. */
export const YIELD_EVERY = 500;

export interface DirectoryPart {
  readonly prefix: Key;
  /** Below the prefix: where to begin. */
  readonly from: Key;
  /** How many lines at most. */
  readonly limit: number;
}

/**
 * Calls `visit` for each that lies directly below `prefix` (empty or ending with `/`), in key order;
 * sub-directories are sought over, not walked. The marker of `prefix` itself is left out. Nothing is
 * awaited where it is at hand: a promise for each line would cost more than the line.
 */
export async function visitDirectory(
  cursor: ViewCursor,
  { prefix, from, limit }: DirectoryPart,
  visit: (listed: Listed) => MaybePromise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  let moved: MaybePromise<boolean> = limit > 0 && cursor.seek(from);
  for (let count = 1, left = limit; isPromise(moved) ? await moved : moved; count += 1) {
    const { key } = cursor;
    if (!key.startsWith(prefix)) return;
    if (count % YIELD_EVERY === 0) await passOn(signal);
    if (key === prefix && prefix !== '') {
      moved = cursor.next();
      continue;
    }
    const slash = key.indexOf('/', prefix.length);
    const listed = listedAt(cursor, key, slash);
    const visited = visit(listed);
    if (isPromise(visited)) await visited;
    left -= 1;
    if (left <= 0) return;
    const end = listed.kind === 'directory' ? prefixEnd(listed.key) : undefined;
    if (listed.kind === 'entry') moved = cursor.next();
    else moved = end !== undefined && cursor.seek(end);
  }
}

/** @param slash the first one behind the directory's prefix, if any */
function listedAt(cursor: ViewCursor, key: Key, slash: number): Listed {
  if (slash < 0) return { kind: 'entry', key, cursor };
  const directory = key.slice(0, slash + 1) as Key;
  return { kind: 'directory', key: directory, marker: key === directory };
}

/** Every entry whose key starts with `prefix`, in key order, from `from` on. */
export async function* listAll(
  cursor: ViewCursor,
  prefix: Key,
  signal: AbortSignal,
  from = prefix,
): AsyncGenerator<Key> {
  let more = await cursor.seek(from);
  for (let count = 1; more && cursor.key.startsWith(prefix); count += 1) {
    if (count % YIELD_EVERY === 0) await passOn(signal);
    yield cursor.key;
    more = await step(cursor);
  }
}

/** Whether any key starts with `prefix`. */
export async function hasBelow(cursor: ViewCursor, prefix: Key): Promise<boolean> {
  return (await cursor.seek(prefix)) && cursor.key.startsWith(prefix);
}

/** The first `limit` of them, and no work for more. */
export function firstOf<T>(items: AsyncIterable<T>, limit: number): AsyncIterable<T> {
  return limit === Infinity ? items : take(items, limit);
}

async function* take<T>(items: AsyncIterable<T>, limit: number): AsyncGenerator<T> {
  let left = limit;
  if (left <= 0) return;
  for await (const item of items) {
    yield item;
    left -= 1;
    if (left <= 0) return;
  }
}

export function emptyAttributes(): EntryAttributes {
  return { kind: 'file', size: 0, mtimeSec: 0, mtimeNsec: 0, mode: 0 };
}

async function step(cursor: ViewCursor): Promise<boolean> {
  const moved = cursor.next();
  return isPromise(moved) ? await moved : moved;
}

async function passOn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await giveWay();
}
