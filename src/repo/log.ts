import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';

export interface LoggedCommit {
  readonly id: CommitId;
  readonly commit: Commit;
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
 * its lines have met again in one commit. An ancestor of that commit cannot be in the stretch
 * unless the stretch reached a first commit; then it goes on to the end of history.
 */
export async function* walkHistory(
  from: CommitId,
  read: (id: CommitId) => Promise<Commit>,
): AsyncIterable<LoggedCommit> {
  let stretch = new Map<CommitId, Line>();
  let reachedFirst = false;
  const frontier = new Map<CommitId, Commit>([[from, await read(from)]]);
  while (frontier.size > 0) {
    const id = newest(frontier);
    const commit = frontier.get(id) as Commit;
    frontier.delete(id);
    stretch.set(id, { id, commit, children: 0 });
    reachedFirst ||= commit.parents.length === 0;
    for (const parent of commit.parents) {
      if (stretch.has(parent) || frontier.has(parent)) continue;
      frontier.set(parent, await read(parent));
    }
    if (frontier.size > 1 || (frontier.size === 1 && reachedFirst)) continue;
    yield* sorted(stretch);
    stretch = new Map();
  }
}

function newest(commits: ReadonlyMap<CommitId, Commit>): CommitId {
  let best: [CommitId, Commit] | undefined;
  for (const pair of commits) if (best === undefined || isNewer(pair, best)) best = pair;
  return (best as [CommitId, Commit])[0];
}

/** Equal dates are ordered by id, so that every machine shows one order. */
function isNewer([idA, a]: [CommitId, Commit], [idB, b]: [CommitId, Commit]): boolean {
  return a.dateMs === b.dateMs ? idA > idB : a.dateMs > b.dateMs;
}

function* sorted(stretch: Map<CommitId, Line>): Iterable<LoggedCommit> {
  for (const { commit } of stretch.values()) {
    for (const parent of commit.parents) {
      const line = stretch.get(parent);
      if (line !== undefined) line.children += 1;
    }
  }
  const ready = new Map<CommitId, Commit>();
  for (const { id, commit, children } of stretch.values())
    if (children === 0) ready.set(id, commit);
  while (ready.size > 0) {
    const id = newest(ready);
    const commit = ready.get(id) as Commit;
    ready.delete(id);
    yield { id, commit };
    for (const parent of commit.parents) {
      const line = stretch.get(parent);
      if (line === undefined) continue;
      line.children -= 1;
      if (line.children === 0) ready.set(parent, line.commit);
    }
  }
}
