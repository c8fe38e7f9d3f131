import type { Commit } from '../model/commit.js';
import type { Entry, KeyedEntry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { spanOfKey } from '../model/span.js';
import type { LoggedCommit } from '../repo/log.js';
import { diffTrees, isSameBetween } from '../tree/diff.js';
import { Tree } from '../tree/tree.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import { Heap } from '../util/heap.js';
import type { HistorySource } from './source.js';

/** A path of today and the commit that made it what it is. */
export interface Blamed extends KeyedEntry {
  readonly by: LoggedCommit;
}

export interface BlameOptions {
  /** At most so many paths: the first behind `after`. */
  readonly limit?: number;
  readonly after?: Key;
  readonly signal?: AbortSignal | undefined;
  /** Now and then: how many paths have their commit. */
  readonly onProgress?: (found: number) => void;
}

const GIVE_WAY_EVERY = 64;
/** So few paths are compared one by one, instead of all that changed between the first and last. */
const SINGLE_PATHS_MAX = 8;

/**
 * For each entry that `from` has in `spans`, in path order, the commit that last changed it: the
 * newest one that has it (isSameEntry) while none of its parents does. At a merge the first parent
 * that has the same entry explains it.
 *
 * One walk along the lines of history that the paths came by, until all are found; its cost follows
 * what the commits changed in `spans`. Holds the paths and their entries: some 400 bytes each.
 * @throws TarnError not-found, corrupt, aborted, io
 */
export async function blame(
  source: HistorySource,
  from: CommitId,
  spans: readonly Span[],
  options: BlameOptions = {},
): Promise<Blamed[]> {
  const { signal, onProgress } = options;
  const head = await source.readCommit(from, signal);
  const entries = await entriesOf(source, head.tree, spans, options);
  const found = new Map<Key, LoggedCommit>();
  const suspects = new Suspects();
  suspects.hand({ id: from, commit: head }, new Set(entries.keys()));
  const reach = covering(entries);
  for (let next = suspects.take(), walked = 1; next !== undefined; next = suspects.take()) {
    const { by, paths } = next;
    walked += 1;
    if (walked % GIVE_WAY_EVERY === 0) {
      onProgress?.(found.size);
      await giveWay();
    }
    throwIfAborted(signal);
    for (const path of await unexplained(source, by.commit, paths, reach, suspects, signal)) {
      found.set(path, by);
    }
  }
  return [...entries].map(([key, entry]) => {
    const by = found.get(key);
    if (by === undefined) throw new TarnError('internal', `no commit of ${from} explains a path`);
    return { key, entry, by };
  });
}

/**
 * Which paths each commit ahead has to explain. The newest by date comes first, so that a commit has
 * the paths of all its children by then; where dates lie it comes once more, with the others.
 */
class Suspects {
  readonly #paths = new Map<CommitId, Set<Key>>();
  readonly #ahead = new Heap<LoggedCommit>((a, b) => a.commit.dateMs > b.commit.dateMs);

  take(): { readonly by: LoggedCommit; readonly paths: Set<Key> } | undefined {
    const by = this.#ahead.pop();
    if (by === undefined) return undefined;
    const paths = this.#paths.get(by.id) ?? new Set();
    this.#paths.delete(by.id);
    return { by, paths };
  }

  /** `paths` belongs to this from here on. */
  hand(to: LoggedCommit, paths: Set<Key>): void {
    if (paths.size === 0) return;
    const known = this.#paths.get(to.id);
    if (known === undefined) {
      this.#paths.set(to.id, paths);
      this.#ahead.push(to);
      return;
    }
    const [many, few] = known.size < paths.size ? [paths, known] : [known, paths];
    for (const path of few) many.add(path);
    this.#paths.set(to.id, many);
  }
}

/** Hands on to the parents what they have as well; the paths that are left. */
async function unexplained(
  source: HistorySource,
  commit: Commit,
  paths: Set<Key>,
  reach: Span,
  suspects: Suspects,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<Key>> {
  let left = paths;
  for (const [number, id] of commit.parents.entries()) {
    const parent = await source.readCommit(id, signal);
    const { tree } = parent;
    const differing =
      number === 0
        ? await changedOf(source, tree, commit.tree, left, reach, signal)
        : await differingOf(source, tree, commit.tree, left, signal);
    for (const path of differing) left.delete(path);
    suspects.hand({ id, commit: parent }, left);
    left = differing;
    if (left.size === 0) break;
  }
  return left;
}

/** Which of `paths` differ between the trees, by what differs between them. */
async function changedOf(
  { nodes }: HistorySource,
  before: NodeId,
  after: NodeId,
  paths: ReadonlySet<Key>,
  reach: Span,
  signal: AbortSignal | undefined,
): Promise<Set<Key>> {
  const changed = new Set<Key>();
  if (before === after) return changed;
  if (paths.size <= SINGLE_PATHS_MAX) {
    for (const path of paths) {
      const isSame = await isSameBetween(nodes, before, after, spanOfKey(path), signal);
      if (!isSame) changed.add(path);
    }
    return changed;
  }
  if (await isSameBetween(nodes, before, after, reach, signal)) return changed;
  for await (const batch of diffTrees(nodes, before, after, reach, signal)) {
    for (const { key } of batch) if (paths.has(key)) changed.add(key);
    await giveWay();
  }
  return changed;
}

/** The same by looking up each: a merge's parents may differ in far more than is asked for. */
async function differingOf(
  { nodes }: HistorySource,
  before: NodeId,
  after: NodeId,
  paths: ReadonlySet<Key>,
  signal: AbortSignal | undefined,
): Promise<Set<Key>> {
  const [old, now] = [
    await Tree.open(nodes, before, signal),
    await Tree.open(nodes, after, signal),
  ];
  const differing = new Set<Key>();
  for (const path of paths) {
    const isSame = isSameEntry(await old.get(path, signal), await now.get(path, signal));
    if (!isSame) differing.add(path);
  }
  return differing;
}

async function entriesOf(
  { nodes }: HistorySource,
  root: NodeId,
  spans: readonly Span[],
  { limit = Infinity, after, signal }: BlameOptions,
): Promise<Map<Key, Entry>> {
  const tree = await Tree.open(nodes, root, signal);
  const cursor = tree.cursor(signal);
  const entries = new Map<Key, Entry>();
  const start = after === undefined ? undefined : (`${after}\0` as Key);
  for (const { from, to } of spans) {
    const first = start !== undefined && start > from ? start : from;
    let more = await cursor.seek(first);
    while (more && (to === undefined || cursor.key < to)) {
      if (entries.size >= limit) return entries;
      entries.set(cursor.key, cursor.entry());
      if (entries.size % 1_000 === 0) await giveWay();
      more = await cursor.next();
    }
  }
  return entries;
}

/** From the first to the last of the paths, which are in order. */
function covering(entries: ReadonlyMap<Key, Entry>): Span {
  let first: Key | undefined;
  let last: Key | undefined;
  for (const key of entries.keys()) {
    first ??= key;
    last = key;
  }
  return { from: first ?? ('' as Key), to: last === undefined ? undefined : spanOfKey(last).to };
}
