import type { Commit } from '../model/commit.js';
import type { Entry, KeyedEntry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { spanOfKey } from '../model/span.js';
import type { LoggedCommit } from '../repo/log.js';
import { walkHistory } from '../repo/log.js';
import { diffTrees, isSameBetween } from '../tree/diff.js';
import { Tree } from '../tree/tree.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
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
  /** Commits looked at, and paths whose commit is found. */
  readonly onProgress?: (commits: number, found: number) => void;
}

const GIVE_WAY_EVERY = 64;
/** So few paths are compared one by one, instead of all that changed between the first and last. */
const SINGLE_PATHS_MAX = 8;

/**
 * For each entry that `from` has in `spans`, in path order, the commit that last changed it: the
 * newest one that has it (isSameEntry) while none of its parents does. At a merge the first parent
 * that has the same entry explains it.
 *
 * One walk through history that ends when all are found; its cost follows what the commits changed
 * in `spans`. Holds the paths and their entries: some 400 bytes each.
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
  if (entries.size > 0) suspects.hand(from, new Set(entries.keys()));
  const reach = covering(entries);
  let walked = 0;
  const read = (id: CommitId): Promise<Commit> => source.readCommit(id, signal);
  for await (const { id, commit } of walkHistory(from, read)) {
    if (suspects.size === 0) break;
    walked += 1;
    if (walked % GIVE_WAY_EVERY === 0) await giveWay();
    throwIfAborted(signal);
    const paths = suspects.take(id);
    if (paths === undefined) continue;
    const by = { id, commit };
    for (const path of await unexplained(source, commit, paths, reach, suspects, signal)) {
      found.set(path, by);
    }
    onProgress?.(walked, found.size);
  }
  return [...entries].map(([key, entry]) => {
    const by = found.get(key);
    if (by === undefined) throw new TarnError('internal', `no commit of ${from} explains a path`);
    return { key, entry, by };
  });
}

/** Which paths each commit ahead has to explain. */
class Suspects {
  readonly #paths = new Map<CommitId, Set<Key>>();

  get size(): number {
    return this.#paths.size;
  }

  take(id: CommitId): Set<Key> | undefined {
    const paths = this.#paths.get(id);
    this.#paths.delete(id);
    return paths;
  }

  /** `paths` belongs to this from here on. */
  hand(id: CommitId, paths: Set<Key>): void {
    if (paths.size === 0) return;
    const known = this.#paths.get(id);
    if (known === undefined) {
      this.#paths.set(id, paths);
      return;
    }
    const [many, few] = known.size < paths.size ? [paths, known] : [known, paths];
    for (const path of few) many.add(path);
    this.#paths.set(id, many);
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
    const { tree } = await source.readCommit(id, signal);
    const differing =
      number === 0
        ? await changedOf(source, tree, commit.tree, left, reach, signal)
        : await differingOf(source, tree, commit.tree, left, signal);
    for (const path of differing) left.delete(path);
    suspects.hand(id, left);
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
