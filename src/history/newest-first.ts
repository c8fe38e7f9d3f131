import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';

interface Waiting {
  readonly id: CommitId;
  readonly commit: Commit;
}

/**
 * Commits that wait to be visited, newest first by date; of equal dates the greater id, so that
 * every machine has one order. A binary heap: adding and taking cost the logarithm of how many wait.
 */
export class NewestFirst {
  readonly #heap: Waiting[] = [];

  get size(): number {
    return this.#heap.length;
  }

  add(id: CommitId, commit: Commit): void {
    const heap = this.#heap;
    const waiting = { id, commit };
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Waiting;
      if (!isNewer(waiting, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = waiting;
  }

  take(): Waiting | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const isRight = right < heap.length && isNewer(heap[right] as Waiting, heap[left] as Waiting);
      const below = isRight ? right : left;
      if (!isNewer(heap[below] as Waiting, last)) break;
      heap[at] = heap[below] as Waiting;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isNewer(a: Waiting, b: Waiting): boolean {
  const [dateA, dateB] = [a.commit.dateMs, b.commit.dateMs];
  return dateA === dateB ? a.id > b.id : dateA > dateB;
}
