import type { ChangeKind } from '../model/change.js';
import { classifyChange } from '../model/change.js';
import type { Entry } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { prefixEnd, ROOT_KEY } from '../model/path.js';
import type { View } from '../repo/view.js';
import type { TreeChange } from '../tree/diff.js';
import { diffTrees } from '../tree/diff.js';
import type { Nodes } from '../tree/nodes.js';
import { throwIfAborted } from '../util/abort.js';
import { isPromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { HeadAt, Layers } from './live-head.js';
import type { StagedRow } from './staging.js';

/** Changes looked at before others get a turn of the event loop. */
const CHANGES_A_TURN = 1_000;
/** A removed directory of more entries than that is stepped over by a seek. */
const STEP_OVER_MIN = 1_000;
/** Directories known to have something left: those on the way to a path, and a few more. */
const KEPT_MAX = 1_000;

/** One difference between a branch's head and what is staged on it. */
export interface Change {
  /** Ends with `/` for a directory that is gone with all it held, and for directory markers. */
  readonly path: Key;
  readonly change: ChangeKind;
  /** How many entries: 1 but for a removed directory. */
  readonly entries: number;
  /** Bytes: of what is there now, or of what was removed. */
  readonly size: number;
  /** Bytes before, of a file or link that is there in another form. */
  readonly sizeBefore?: number;
}

/** What `changesOn` reads. */
export interface ChangesSource {
  readonly nodes: Nodes;
  readonly live: Layers;
  /** The branch with what is staged on it. */
  readonly view: View;
}

/**
 * The changes behind the path `after`, in order of paths; a directory of several entries of which
 * nothing is left is one of them. The cost follows what is staged.
 */
export async function* changesOn(
  source: ChangesSource,
  after: Key | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Change, void, undefined> {
  const { live } = source;
  const removals = new Removals(source.view, signal);
  let from: Key | undefined = after === undefined ? ROOT_KEY : behind(after);
  while (from !== undefined) {
    const at = await live.load(signal);
    const walk: Walk = new Walk(source, at, from, signal);
    let next: Key | undefined;
    for await (const { key, before, after: now } of walk.changes()) {
      if (next !== undefined && key < next) continue;
      const removed = now === undefined ? await removals.directoryOf(key, at) : undefined;
      if (removed === undefined) {
        const change = changeOf(key, before, now);
        if (change !== undefined) yield change;
        next = behind(key);
        continue;
      }
      // The listing went on behind a directory that it had given out.
      if (removed.path !== after) yield removed;
      next = prefixEnd(removed.path);
      if (next === undefined) return;
      if (removed.entries > STEP_OVER_MIN) {
        walk.isCut = true;
        break;
      }
    }
    from = walk.isCut ? (next ?? from) : undefined;
  }
}

function behind(key: Key): Key {
  return `${key}\0` as Key;
}

function changeOf(
  path: Key,
  before: Entry | undefined,
  after: Entry | undefined,
): Change | undefined {
  const change = classifyChange(before, after);
  if (change === undefined) return undefined;
  const sizes = {
    size: after !== undefined ? entrySize(after) : before === undefined ? 0 : entrySize(before),
    ...(before !== undefined && after !== undefined ? { sizeBefore: entrySize(before) } : {}),
  };
  return { path, change, entries: 1, ...sizes };
}

/** The paths that differ between the head and the rows on what they lie on. */
class Walk {
  readonly #source: ChangesSource;
  readonly #at: HeadAt;
  readonly #from: Key;
  readonly #signal: AbortSignal | undefined;
  /** Not all was walked: rows left staging meanwhile, or the rest is stepped over. */
  isCut = false;

  constructor(source: ChangesSource, at: HeadAt, from: Key, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#at = at;
    this.#from = from;
    this.#signal = signal;
  }

  async *changes(): AsyncGenerator<TreeChange, void, undefined> {
    const { head, underTree } = this.#at;
    const span = { from: this.#from, to: undefined };
    const { nodes } = this.#source;
    const trees = diffTrees(nodes, head.source.commit.tree, underTree, span, this.#signal);
    const differ = flat(trees);
    let below = (await differ.next()).value;
    let seen = 0;
    for await (const { key, entry } of this.#rows()) {
      for (; below !== undefined && below.key < key; below = (await differ.next()).value) {
        yield below;
      }
      if (below?.key === key) below = (await differ.next()).value;
      seen += 1;
      if (seen % CHANGES_A_TURN === 0) await giveWay();
      const found = head.get(key, this.#signal);
      yield { key, before: isPromise(found) ? await found : found, after: entry };
    }
    if (this.isCut) return;
    for (; below !== undefined; below = (await differ.next()).value) yield below;
  }

  async *#rows(): AsyncGenerator<StagedRow, void, undefined> {
    for (let from = this.#from; ;) {
      throwIfAborted(this.#signal);
      const span = { from, to: undefined };
      const { rows, isLast, under } = await this.#source.live.page(span, this.#signal);
      this.isCut = under !== this.#at.under;
      if (this.isCut) return;
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || isLast) return;
      from = `${last.key}\0` as Key;
    }
  }
}

async function* flat<T>(batches: AsyncIterable<readonly T[]>): AsyncGenerator<T, undefined> {
  for await (const batch of batches) yield* batch;
  return undefined;
}

/** Finds directories that are gone as a whole. */
class Removals {
  readonly #view: View;
  readonly #signal: AbortSignal | undefined;
  readonly #kept = new Set<Key>();

  constructor(view: View, signal: AbortSignal | undefined) {
    this.#view = view;
    this.#signal = signal;
  }

  /** The outermost directory of the removed path that has nothing left and had several entries. */
  async directoryOf(key: Key, { head }: HeadAt): Promise<Change | undefined> {
    for (let end = key.indexOf('/'); end >= 0; end = key.indexOf('/', end + 1)) {
      const path = key.slice(0, end + 1) as Key;
      if (this.#kept.has(path)) continue;
      const left = await this.#view.totals(path, this.#signal);
      if (left.entries === 0) {
        const { entries, bytes } = await head.totals(path, this.#signal);
        return entries > 1 ? { path, change: 'removed', entries, size: bytes } : undefined;
      }
      if (this.#kept.size === KEPT_MAX) this.#kept.clear();
      this.#kept.add(path);
    }
    return undefined;
  }
}
