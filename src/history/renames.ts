import type { ContentId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import type { Difference } from './difference.js';

/** Of each added path this many removed ones of the same bytes are looked at. */
const CANDIDATES_MAX = 64;

interface Pair {
  readonly removed: Difference;
  readonly added: Difference;
  readonly nearness: number;
}

interface Group {
  readonly removed: Difference[];
  readonly added: Difference[];
}

/**
 * `list`, in path order, with each pair of a removed and an added file of the same content as one
 * line `renamed`, at the new path. Empty files are no evidence and stay what they are.
 *
 * Where several paths have the same content, the nearest pair is matched first: paths with the same
 * file name before others, then those with more folders in common, then in path order. A group of
 * very many is compared only with the 64 that lie closest in order, so the cost stays linear.
 */
export function pairRenames(list: readonly Difference[]): readonly Difference[] {
  const renames = new Map<Difference, Difference>();
  const gone = new Set<Difference>();
  for (const group of groupsOf(list)) {
    for (const { removed, added } of match(group)) {
      gone.add(removed);
      renames.set(added, renamed(removed, added));
    }
  }
  if (gone.size === 0) return list;
  return list.filter((each) => !gone.has(each)).map((each) => renames.get(each) ?? each);
}

function renamed(removed: Difference, added: Difference): Difference {
  const ends = { key: added.key, from: removed.key };
  return {
    kind: 'renamed',
    ...ends,
    ...(removed.before === undefined ? {} : { before: removed.before }),
    ...(added.after === undefined ? {} : { after: added.after }),
  };
}

/** The contents that were removed somewhere and added somewhere. */
function groupsOf(list: readonly Difference[]): Group[] {
  const groups = new Map<ContentId, Group>();
  for (const each of list) {
    const { kind } = each;
    if (kind !== 'removed' && kind !== 'added') continue;
    const entry = kind === 'removed' ? each.before : each.after;
    if (entry?.kind !== 'file' || entry.size === 0) continue;
    let group = groups.get(entry.content);
    if (group === undefined) groups.set(entry.content, (group = { removed: [], added: [] }));
    group[kind].push(each);
  }
  return [...groups.values()].filter(({ removed, added }) => removed.length * added.length > 0);
}

function match({ removed, added }: Group): Pair[] {
  const free = new Set([...removed, ...added]);
  const matched: Pair[] = [];
  const take = (pair: Pair): void => {
    if (!free.has(pair.removed) || !free.has(pair.added)) return;
    free.delete(pair.removed);
    free.delete(pair.added);
    matched.push(pair);
  };
  candidates({ removed, added }).sort(byNearness).forEach(take);
  let next = 0;
  const left = removed.filter((each) => free.has(each));
  for (const each of added) {
    if (!free.has(each)) continue;
    const other = left[next];
    next += 1;
    if (other !== undefined) take({ removed: other, added: each, nearness: 0 });
  }
  return matched;
}

function candidates({ removed, added }: Group): Pair[] {
  const half = CANDIDATES_MAX / 2;
  return added.flatMap((each, index) => {
    const middle = Math.floor((index * removed.length) / added.length);
    const start = Math.max(0, Math.min(middle - half, removed.length - CANDIDATES_MAX));
    return removed.slice(start, start + CANDIDATES_MAX).map((other) => ({
      removed: other,
      added: each,
      nearness: nearness(other.key, each.key),
    }));
  });
}

/** A path has fewer components than bytes, of which there are 1,024 at most. */
const SAME_NAME = 2_048;

function nearness(a: Key, b: Key): number {
  const [foldersA, foldersB] = [a.split('/'), b.split('/')];
  const isSameName = foldersA.pop() === foldersB.pop();
  const fork = foldersA.findIndex((name, index) => name !== foldersB[index]);
  const shared = fork < 0 ? foldersA.length : fork;
  return (isSameName ? SAME_NAME : 0) + shared;
}

function byNearness(a: Pair, b: Pair): number {
  return (
    b.nearness - a.nearness ||
    compare(a.removed.key, b.removed.key) ||
    compare(a.added.key, b.added.key)
  );
}

function compare(a: Key, b: Key): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
