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
}

interface Line extends LoggedCommit {
  /** Commits of the same stretch that name it as a parent and are not given out yet. */
  children: number;
}

/**
 * Every commit that `from` descends from, itself first, each once: newest first by date, and never
 * a commit before one of its children, whatever the dates say.
 *
 * Reads ahead only where history forks: a stretch of commits is sorted and given out as soon as all
 * its lines have met again in one commit, so a straight line is held one commit at a time and a fork
 * as long as it is open. An ancestor of the commit where lines met cannot be in the stretch unless
 * the stretch reached a first commit; then it goes on to the end of history.
 */
export async function* walkHistory(
  from: CommitId,
  read: (id: CommitId) => Promise<Commit>,
  options: WalkOptions = {},
): AsyncGenerator<LoggedCommit, void, undefined> {
  const parentsOf = (commit: Commit): readonly CommitId[] =>
    options.firstParent === true ? commit.parents.slice(0, 1) : commit.parents;
  let stretch = new Map<CommitId, Line>();
  let reachedFirst = false;
  const frontier = new Heap<LoggedCommit>(isNewer);
  const waiting = new Set<CommitId>([from]);
  frontier.push({ id: from, commit: await read(from) });
  for (let next = frontier.pop(); next !== undefined; next = frontier.pop()) {
    const { id, commit } = next;
    waiting.delete(id);
    stretch.set(id, { id, commit, children: 0 });
    const parents = parentsOf(commit);
    reachedFirst ||= parents.length === 0;
    for (const parent of parents) {
      if (stretch.has(parent) || waiting.has(parent)) continue;
      waiting.add(parent);
      frontier.push({ id: parent, commit: await read(parent) });
    }
    if (frontier.size > 1 || (frontier.size === 1 && reachedFirst)) continue;
    yield* sorted(stretch, parentsOf);
    stretch = new Map();
  }
}

/** Equal dates are ordered by id, so that every machine shows one order. */
export function isNewer(a: LoggedCommit, b: LoggedCommit): boolean {
  const [dateA, dateB] = [a.commit.dateMs, b.commit.dateMs];
  return dateA === dateB ? a.id > b.id : dateA > dateB;
}

function* sorted(
  stretch: Map<CommitId, Line>,
  parentsOf: (commit: Commit) => readonly CommitId[],
): Iterable<LoggedCommit> {
  for (const { commit } of stretch.values()) {
    for (const parent of parentsOf(commit)) {
      const line = stretch.get(parent);
      if (line !== undefined) line.children += 1;
    }
  }
  const ready = new Heap<LoggedCommit>(isNewer);
  for (const line of stretch.values()) if (line.children === 0) ready.push(line);
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    const { id, commit } = next;
    yield { id, commit };
    for (const parent of parentsOf(commit)) {
      const line = stretch.get(parent);
      if (line === undefined) continue;
      line.children -= 1;
      if (line.children === 0) ready.push(line);
    }
  }
}
