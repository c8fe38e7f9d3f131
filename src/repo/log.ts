import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import { Heap } from '../util/heap.js';

export interface LoggedCommit {
  readonly id: CommitId;
  readonly commit: Commit;
}

export interface WalkOptions {
  /** Follow only the first parent of each commit: the branch as it grew. */
  readonly firstParent?: boolean;
  /** Most commits to read ahead of what is given out; all that is needed without it. */
  readonly aheadMax?: number;
}

/**
 * Every commit that `from` descends from, itself first, each once: newest first by date, and never
 * a commit before one of its children, whatever the dates say.
 *
 * Reads ahead only where history forks, until all lines have met again in one commit; so a straight
 * line is held one commit at a time and a fork as long as it is open. With `aheadMax` a longer fork
 * is given out by its dates: then a commit comes before a child of it where the child's date is
 * older by that many commits.
 */
export async function* walkHistory(
  from: CommitId,
  read: (id: CommitId) => Promise<Commit>,
  options: WalkOptions = {},
): AsyncGenerator<LoggedCommit, void, undefined> {
  const { firstParent = false, aheadMax = Infinity } = options;
  const parentsOf = (commit: Commit): readonly CommitId[] =>
    firstParent ? commit.parents.slice(0, 1) : commit.parents;
  const ahead = new Ahead(parentsOf);
  const frontier = new Heap<LoggedCommit>(isNewer);
  let reachedFirst = false;
  frontier.push({ id: from, commit: await read(from) });
  ahead.meet(from);
  for (let next = frontier.pop(); next !== undefined; next = frontier.pop()) {
    const parents = parentsOf(next.commit);
    ahead.add(next);
    reachedFirst ||= parents.length === 0;
    for (const id of parents) {
      if (ahead.meet(id)) frontier.push({ id, commit: await read(id) });
    }
    const hasMet = frontier.size === 0 || (frontier.size === 1 && !reachedFirst);
    while (hasMet || ahead.size > aheadMax) {
      const given = ahead.take();
      if (given === undefined) break;
      yield given;
    }
    // What was given out cannot be met again: an ancestor of where lines met is behind it, unless
    // a first commit was reached.
    if (hasMet) ahead.forget();
  }
}
/** Equal dates are ordered by id, so that every machine shows one order. */
export function isNewer(a: LoggedCommit, b: LoggedCommit): boolean {
  const [dateA, dateB] = [a.commit.dateMs, b.commit.dateMs];
  return dateA === dateB ? a.id > b.id : dateA > dateB;
}

/** Commits that were read and not given out, and what is known of their order. */
class Ahead {
  readonly #parentsOf: (commit: Commit) => readonly CommitId[];
  /** All that a child led to, or that is given out. */
  #met = new Set<CommitId>();
  /** Of each commit that is waited for: its children that are read and not given out. */
  #children = new Map<CommitId, number>();
  readonly #waiting = new Map<CommitId, LoggedCommit>();
  /** Those that had no such child when they were put here. */
  readonly #ready = new Heap<LoggedCommit>(isNewer);

  constructor(parentsOf: (commit: Commit) => readonly CommitId[]) {
    this.#parentsOf = parentsOf;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether it is met for the first time. */
  meet(id: CommitId): boolean {
    if (this.#met.has(id)) return false;
    this.#met.add(id);
    return true;
  }

  add(logged: LoggedCommit): void {
    const { id, commit } = logged;
    this.#waiting.set(id, logged);
    if (this.#childrenOf(id) === 0) this.#ready.push(logged);
    for (const parent of this.#parentsOf(commit)) {
      this.#children.set(parent, this.#childrenOf(parent) + 1);
    }
  }

  /** The newest without a child that waits. */
  take(): LoggedCommit | undefined {
    let next = this.#ready.pop();
    // A child was read since, or it was put here twice.
    while (next !== undefined && !this.#canGo(next.id)) next = this.#ready.pop();
    if (next === undefined) return undefined;
    this.#waiting.delete(next.id);
    this.#children.delete(next.id);
    for (const parent of this.#parentsOf(next.commit)) {
      const left = this.#childrenOf(parent) - 1;
      this.#children.set(parent, left);
      const waiting = this.#waiting.get(parent);
      if (left === 0 && waiting !== undefined) this.#ready.push(waiting);
    }
    return next;
  }

  /** Starts again: nothing waits, and no line leads back. */
  forget(): void {
    this.#met = new Set();
    this.#children = new Map();
  }

  #canGo(id: CommitId): boolean {
    return this.#waiting.has(id) && this.#childrenOf(id) === 0;
  }

  #childrenOf(id: CommitId): number {
    return this.#children.get(id) ?? 0;
  }
}
