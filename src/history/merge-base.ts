import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { LoggedCommit } from '../repo/log.js';
import { isNewer } from '../repo/log.js';
import { throwIfAborted } from '../util/abort.js';
import { giveWay } from '../util/give-way.js';
import { Heap } from '../util/heap.js';

/** Reads a commit of the history that is walked. */
export type ReadCommit = (id: CommitId) => Promise<Commit>;

/** What is known of a commit: it leads to one side, to the other, or to a common ancestor. */
const FROM_A = 1;
const FROM_B = 2;
const COMMON = FROM_A | FROM_B;
/** An ancestor of a common ancestor: never a best one. */
const BELOW_COMMON = 4;

/**
 * The best common ancestors of two commits: those that are no ancestor of another common one. A
 * commit that leads to the other is the only one; none where the histories share nothing. Newest
 * first by date, then by id.
 *
 * Both histories are walked by date, newest first, until no commit waits that could still be better
 * than what is found. Dates only say where to look first: where they lie more is read, and the
 * answer is the same.
 * @throws TarnError aborted, and what `read` throws
 */
export async function mergeBases(
  read: ReadCommit,
  a: CommitId,
  b: CommitId,
  signal?: AbortSignal,
): Promise<CommitId[]> {
  if (a === b) return [a];
  const painting = new Painting(read, (marks) => (marks & BELOW_COMMON) === 0);
  await painting.add(a, FROM_A);
  await painting.add(b, FROM_B);
  const found = new Set<CommitId>();
  for (let next = painting.next(); next !== undefined; next = painting.next()) {
    await painting.pause(signal);
    const { id, commit, marks } = next;
    if (marks === COMMON) found.add(id);
    const isCommon = (marks & COMMON) === COMMON;
    await painting.spread(commit, isCommon ? marks | BELOW_COMMON : marks);
  }
  const best = [...found].filter((id) => painting.marksOf(id) === COMMON);
  return withoutAncestors(read, best, signal);
}

/**
 * Whether `ancestor` is `id` or one that leads to it.
 * @throws TarnError as mergeBases
 */
export async function isAncestor(
  read: ReadCommit,
  ancestor: CommitId,
  id: CommitId,
  signal?: AbortSignal,
): Promise<boolean> {
  return ancestor === id || isBelowAny(read, ancestor, [id], signal);
}

/** A walk that ended early may not have seen that one leads to another by way of a later date. */
async function withoutAncestors(
  read: ReadCommit,
  ids: readonly CommitId[],
  signal: AbortSignal | undefined,
): Promise<CommitId[]> {
  if (ids.length < 2) return [...ids];
  const best: LoggedCommit[] = [];
  for (const id of ids) {
    const others = ids.filter((other) => other !== id);
    const isBelow = await isBelowAny(read, id, others, signal);
    if (!isBelow) best.push({ id, commit: await read(id) });
  }
  best.sort((a, b) => (isNewer(a, b) ? -1 : 1));
  return best.map(({ id }) => id);
}

/**
 * Whether one of `descendants`, none of which it is, descends from `id`. What leads to `id` cannot
 * descend from it, so that the walk ends where both histories are one.
 */
async function isBelowAny(
  read: ReadCommit,
  id: CommitId,
  descendants: readonly CommitId[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const painting = new Painting(read, (marks) => marks === FROM_B);
  await painting.add(id, FROM_A);
  for (const each of descendants) await painting.add(each, FROM_B);
  for (let next = painting.next(); next !== undefined; next = painting.next()) {
    await painting.pause(signal);
    await painting.spread(next.commit, next.marks);
    if (painting.marksOf(id) === COMMON) return true;
  }
  return false;
}

/** Commits between two chances for an abort to be heard. */
const PAUSE_EVERY = 512;

/**
 * Marks that spread from commits to their parents, newest commits first. A commit that gains a mark
 * spreads its marks again. The walk is over when no commit waits that is open.
 */
class Painting {
  readonly #read: ReadCommit;
  readonly #isOpen: (marks: number) => boolean;
  readonly #marks = new Map<CommitId, number>();
  readonly #queue = new Heap<LoggedCommit>(isNewer);
  readonly #queued = new Set<CommitId>();
  #open = 0;
  #visited = 0;

  constructor(read: ReadCommit, isOpen: (marks: number) => boolean) {
    this.#read = read;
    this.#isOpen = isOpen;
  }

  marksOf(id: CommitId): number {
    return this.#marks.get(id) ?? 0;
  }

  async add(id: CommitId, marks: number): Promise<void> {
    const before = this.marksOf(id);
    const after = before | marks;
    if (after === before) return;
    this.#marks.set(id, after);
    if (this.#queued.has(id)) {
      this.#open += Number(this.#isOpen(after)) - Number(this.#isOpen(before));
      return;
    }
    const commit = await this.#read(id);
    this.#queue.push({ id, commit });
    this.#queued.add(id);
    this.#open += Number(this.#isOpen(after));
  }

  /** Undefined when the walk is over. */
  next(): (LoggedCommit & { readonly marks: number }) | undefined {
    const next = this.#open === 0 ? undefined : this.#queue.pop();
    if (next === undefined) return undefined;
    const marks = this.marksOf(next.id);
    this.#queued.delete(next.id);
    this.#open -= Number(this.#isOpen(marks));
    return { ...next, marks };
  }

  /** @throws TarnError aborted */
  async pause(signal: AbortSignal | undefined): Promise<void> {
    this.#visited += 1;
    if (this.#visited % PAUSE_EVERY === 0) await giveWay();
    throwIfAborted(signal);
  }

  async spread({ parents }: Commit, marks: number): Promise<void> {
    for (const parent of parents) await this.add(parent, marks);
  }
}
