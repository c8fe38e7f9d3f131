import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { LoggedCommit } from '../repo/log.js';
import { walkHistory } from '../repo/log.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import type { HistorySource } from './source.js';

const GIVE_WAY_EVERY = 256;

/**
 * The commits that may have brought what is bad: those that `bad` descends from, itself first, and
 * `good` does not. In the order of walkHistory.
 * @throws TarnError invalid when `good` is not an ancestor of `bad`; not-found, corrupt, aborted, io
 */
export async function bisectCandidates(
  source: HistorySource,
  good: CommitId,
  bad: CommitId,
  signal?: AbortSignal,
): Promise<LoggedCommit[]> {
  if (good === bad) {
    throw new TarnError('invalid', 'the good and the bad commit are the same one', {
      hint: 'name a commit that is good and one after it that is bad',
    });
  }
  const candidates: LoggedCommit[] = [];
  const goodAhead = new Set<CommitId>([good]);
  const badAhead = new Set<CommitId>([bad]);
  let isGoodSeen = false;
  let walked = 0;
  const read = (id: CommitId): Promise<Commit> => source.readCommit(id, signal);
  for await (const { id, commit } of walkHistory(bad, read)) {
    walked += 1;
    if (walked % GIVE_WAY_EVERY === 0) await giveWay();
    throwIfAborted(signal);
    isGoodSeen ||= id === good;
    badAhead.delete(id);
    // Children come first, so whether a descendant of `good`'s kind led here is known by now.
    const isGood = goodAhead.delete(id);
    if (!isGood) candidates.push({ id, commit });
    for (const parent of commit.parents) {
      if (isGood) goodAhead.add(parent);
      if (isGood) badAhead.delete(parent);
      else if (!goodAhead.has(parent)) badAhead.add(parent);
    }
    if (isGoodSeen && badAhead.size === 0) return candidates;
  }
  throw new TarnError(
    'invalid',
    `commit ${good.slice(0, 12)} is not an ancestor of ${bad.slice(0, 12)}: it cannot be where all was still good`,
    { hint: 'give first the good, older commit, then the bad one that came from it' },
  );
}

export interface Candidate {
  readonly commit: string;
  readonly parents: readonly string[];
}

export type Verdict = 'good' | 'bad' | 'skip';

/** What is known in the end: the first bad commit, or those of which it is one. */
export type Outcome<T> =
  | { readonly kind: 'found'; readonly commit: T }
  | { readonly kind: 'undecided'; readonly commits: readonly T[] };

/**
 * The search for the first bad commit, on histories with forks too: each commit to judge is the one
 * whose answer rules out most in the worse case, that is, of whose ancestors among the candidates
 * there are closest to half.
 */
export class Bisection<T extends Candidate> {
  /** Children before parents; the first is bad. */
  readonly #candidates: readonly T[];
  /** Of each candidate, those of its parents that are candidates. */
  readonly #parents: readonly (readonly number[])[];
  readonly #index: ReadonlyMap<string, number>;
  #suspects: Uint8Array;
  readonly #skipped = new Set<number>();
  #bad = 0;

  /** @param candidates as bisectCandidates gives them, the bad commit first */
  constructor(candidates: readonly T[]) {
    this.#candidates = candidates;
    this.#index = new Map(candidates.map(({ commit }, index) => [commit, index]));
    this.#parents = candidates.map(({ parents }) =>
      parents.flatMap((parent) => this.#index.get(parent) ?? []),
    );
    this.#suspects = new Uint8Array(candidates.length).fill(1);
  }

  /** How many commits may still be the first bad one. */
  get left(): number {
    return this.#suspects.reduce((sum, each) => sum + each, 0);
  }

  /** The commit to judge next; undefined when there is none left to ask about. */
  next(): T | undefined {
    const weights = this.#weights();
    const all = this.left;
    let best: number | undefined;
    let bestGain = 0;
    for (let index = 0; index < this.#candidates.length; index += 1) {
      if (this.#suspects[index] !== 1 || index === this.#bad || this.#skipped.has(index)) continue;
      const weight = weights[index] ?? 0;
      const gain = Math.min(weight, all - weight);
      if (gain <= bestGain) continue;
      best = index;
      bestGain = gain;
    }
    return best === undefined ? undefined : this.#candidates[best];
  }

  judge(candidate: T, verdict: Verdict): void {
    const index = this.#index.get(candidate.commit);
    if (index === undefined) return;
    if (verdict === 'skip') {
      this.#skipped.add(index);
      return;
    }
    const below = this.#ancestors(index);
    this.#suspects = this.#suspects.map((each, at) =>
      (below[at] === 1) === (verdict === 'bad') ? each : 0,
    );
    if (verdict === 'bad') this.#bad = index;
  }

  /** What is known once `next` has no more to ask. */
  outcome(): Outcome<T> {
    const left = this.#candidates.filter((_, index) => this.#suspects[index] === 1);
    const [only] = left;
    if (only !== undefined && left.length === 1) return { kind: 'found', commit: only };
    return { kind: 'undecided', commits: left };
  }

  /** Of each suspect: how many suspects it descends from, itself counted. */
  #weights(): Float64Array {
    const weights = new Float64Array(this.#candidates.length);
    for (let index = weights.length - 1; index >= 0; index -= 1) {
      if (this.#suspects[index] !== 1) continue;
      const parents = (this.#parents[index] ?? []).filter((at) => this.#suspects[at] === 1);
      const [only] = parents;
      if (only === undefined) weights[index] = 1;
      else if (parents.length === 1) weights[index] = (weights[only] ?? 0) + 1;
      else weights[index] = this.#ancestors(index).reduce((sum, each) => sum + each, 0);
    }
    return weights;
  }

  /** Marks the suspects that `from` descends from, itself too. */
  #ancestors(from: number): Uint8Array {
    const marks = new Uint8Array(this.#candidates.length);
    const ahead = [from];
    for (let at = ahead.pop(); at !== undefined; at = ahead.pop()) {
      if (marks[at] === 1 || this.#suspects[at] !== 1) continue;
      marks[at] = 1;
      ahead.push(...(this.#parents[at] ?? []));
    }
    return marks;
  }
}
