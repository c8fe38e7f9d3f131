import { LRUCache } from 'lru-cache';
import type { Hash } from '../../model/ids.js';
import { sha256 } from '../../model/ids.js';
import { TarnError } from '../../util/errors.js';
import type { ObjectStore } from '../object-store.js';
import type { Past, PastLink, RefObject, StoredChange } from './ref-object.js';
import { CHANGES_MAX, decodePast, encodePast, LINKS_MAX, spanOf } from './ref-object.js';

const CACHED_MAX = 64;

/** What is put before a ref object that leads to it. */
export interface Spilled {
  readonly key: string;
  readonly bytes: Buffer;
}

/** The history of refs, most of which lies in objects that never change. */
export class RefPast {
  readonly #objects: ObjectStore;
  readonly #cache = new LRUCache<Hash, Past>({ max: CACHED_MAX });

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /** Newest first: of lower numbers than `below`, and no later than `untilMs`. */
  async *backwards(
    object: RefObject,
    { below = Infinity, untilMs = Infinity }: { below?: number; untilMs?: number } = {},
    signal?: AbortSignal,
  ): AsyncGenerator<StoredChange, void, undefined> {
    const isWanted = (change: StoredChange): boolean =>
      change.number < below && change.atMs <= untilMs;
    yield* object.changes.filter(isWanted);
    // A stack, its top the newest that is left.
    const links = object.older.toReversed();
    for (let link = links.pop(); link !== undefined; link = links.pop()) {
      if (link.first >= below || link.firstMs > untilMs) continue;
      const past = await this.#load(object.name, link, signal);
      if ('changes' in past) yield* past.changes.filter(isWanted);
      else links.push(...past.links.toReversed());
    }
  }

  /** Oldest first: of higher numbers than `above`. */
  async *forwards(
    object: RefObject,
    above: number,
    signal?: AbortSignal,
  ): AsyncGenerator<StoredChange, void, undefined> {
    const isWanted = (change: StoredChange): boolean => change.number > above;
    const links = [...object.older];
    for (let link = links.pop(); link !== undefined; link = links.pop()) {
      if (link.last <= above) continue;
      const past = await this.#load(object.name, link, signal);
      if ('changes' in past) yield* past.changes.filter(isWanted).toReversed();
      else links.push(...past.links);
    }
    yield* object.changes.filter(isWanted).toReversed();
  }

  /** Whether the name's record has this change. */
  async has(
    object: RefObject,
    { number, id }: StoredChange,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const found = this.backwards(object, { below: number + 1 }, signal);
    for await (const change of found) return change.number === number && change.id === id;
    return false;
  }

  /** Makes what was spilled durable. @throws TarnError no-space, io, aborted */
  async save(spilled: readonly Spilled[], signal?: AbortSignal): Promise<void> {
    const options = { ifNoneMatch: '*', ...(signal === undefined ? {} : { signal }) } as const;
    const puts = spilled.map(async ({ key, bytes }) => {
      try {
        await this.#objects.put(key, bytes, options);
      } catch (error) {
        // The name tells the bytes: whoever put it put the same.
        if (!(error instanceof TarnError) || error.kind !== 'conflict') throw error;
      }
    });
    await Promise.all(puts);
  }

  async #load(name: string, link: PastLink, signal: AbortSignal | undefined): Promise<Past> {
    const known = this.#cache.get(link.hash);
    if (known !== undefined) return known;
    const key = pastKey(link.hash);
    const bytes = await this.#objects.get(key, signal === undefined ? {} : { signal });
    const past = decodePast(bytes, name, link, `'${key}' in '${this.#objects.url}'`);
    this.#cache.set(link.hash, past);
    return past;
  }
}

/**
 * The object with one change more, and what must be durable before it. One in CHANGES_MAX spills the
 * changes so far, and one in so many times LINKS_MAX the links to those.
 */
export function withChange(
  { name, changes, older }: RefObject,
  change: StoredChange,
): { readonly object: RefObject; readonly spilled: readonly Spilled[] } {
  if (changes.length < CHANGES_MAX) {
    return { object: { name, changes: [change, ...changes], older }, spilled: [] };
  }
  const spilled: Spilled[] = [];
  const spill = (past: Past, level: number): PastLink => {
    const bytes = encodePast(past);
    const hash = sha256(bytes);
    spilled.push({ key: pastKey(hash), bytes });
    return { hash, level, ...spanOf(past) };
  };
  let links = [spill({ name, changes }, 0), ...older];
  for (let level = 0; ; level += 1) {
    const full = links.filter((link) => link.level === level);
    if (full.length < LINKS_MAX) break;
    links = [spill({ name, links: full }, level + 1), ...links.slice(full.length)];
  }
  return { object: { name, changes: [change], older: links }, spilled };
}

function pastKey(hash: Hash): string {
  return `past/${hash.slice(0, 2)}/${hash}`;
}
