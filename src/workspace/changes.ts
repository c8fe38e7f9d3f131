import type { Entry } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { Key } from '../model/path.js';
import type { FrozenView } from '../repo/view.js';
import { throwIfAborted } from '../util/abort.js';
import { giveWay } from '../util/give-way.js';
import { isSameEntry } from '../model/same-entry.js';
import { coveringPrefix } from './staged-view.js';
import type { RemovedPrefix, StagedRow } from './staging.js';

/** Rows looked at before others get a turn of the event loop. */
const ROWS_A_TURN = 1_000;

/** One difference between a branch's head and what is staged on it. */
export interface Change {
  /** Ends with `/` for a directory that was removed with all it held, and for directory markers. */
  readonly path: Key;
  readonly change: 'added' | 'changed' | 'removed';
  /** How many entries: 1 but for a removed directory. */
  readonly entries: number;
  /** Bytes: of what is there now, or of what was removed. */
  readonly size: number;
}

/**
 * The changes that are not what the head has already, in order of paths; what is removed with a
 * directory comes as one change. The cost follows what is staged.
 */
export async function* changesOn(
  head: FrozenView,
  removed: readonly RemovedPrefix[],
  rowsIn: (from: Key, to: Key | undefined) => Iterable<StagedRow>,
  signal?: AbortSignal,
): AsyncIterable<Change> {
  let from = '' as Key;
  for (const { prefix } of removed) {
    yield* changesOfRows(head, removed, rowsIn(from, prefix), signal);
    const change = await removedBelow(head, prefix, rowsIn, signal);
    if (change.entries > 0) yield change;
    from = prefix;
  }
  yield* changesOfRows(head, removed, rowsIn(from, undefined), signal);
}

async function* changesOfRows(
  head: FrozenView,
  removed: readonly RemovedPrefix[],
  rows: Iterable<StagedRow>,
  signal: AbortSignal | undefined,
): AsyncIterable<Change> {
  let seen = 0;
  for (const { key, entry } of rows) {
    throwIfAborted(signal);
    seen += 1;
    if (seen % ROWS_A_TURN === 0) await giveWay();
    const before = await head.get(key, signal);
    const change = changeOf(key, before, entry);
    if (change === undefined) continue;
    const counted = change.change === 'removed' && coveringPrefix(removed, key) !== undefined;
    if (!counted) yield change;
  }
}

function changeOf(
  path: Key,
  before: Entry | undefined,
  after: Entry | undefined,
): Change | undefined {
  if (isSameEntry(before, after)) return undefined;
  if (after !== undefined) {
    const change = before === undefined ? 'added' : 'changed';
    return { path, change, entries: 1, size: entrySize(after) };
  }
  return {
    path,
    change: 'removed',
    entries: 1,
    size: before === undefined ? 0 : entrySize(before),
  };
}

/** What the head has below the prefix, without what was staged there again. */
async function removedBelow(
  head: FrozenView,
  prefix: Key,
  rowsIn: (from: Key, to: Key | undefined) => Iterable<StagedRow>,
  signal: AbortSignal | undefined,
): Promise<Change> {
  let { entries, bytes } = await head.totals(prefix, signal);
  let seen = 0;
  for (const { key, entry } of rowsIn(prefix, undefined)) {
    if (!key.startsWith(prefix)) break;
    throwIfAborted(signal);
    seen += 1;
    if (seen % ROWS_A_TURN === 0) await giveWay();
    const before = entry === undefined ? undefined : await head.get(key, signal);
    if (before === undefined) continue;
    entries -= 1;
    bytes -= entrySize(before);
  }
  return { path: prefix, change: 'removed', entries, size: bytes };
}
