import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { RefExpression } from '../model/refs.js';
import { COMMIT_PREFIX_MIN, isCommitPrefix, wholeCommitId } from '../model/refs.js';
import type { Time } from '../model/time.js';
import { timeMs } from '../model/time.js';
import type { RecordedChange, RefKind, RefStore } from '../store/ref-store.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import type { CommitStore } from './commit-store.js';

/** What a ref expression names. */
export interface Resolved {
  readonly commitId: CommitId;
  readonly commit: Commit;
  /** Set when the expression is a bare branch: its workspace is meant, what is staged included. */
  readonly branch?: string;
}

/** Commits that are walked before others get their turn. */
const STRETCH = 1_000;

/** What expressions are resolved in. */
export interface Named {
  readonly name: string;
  readonly commits: CommitStore;
  readonly refs: RefStore;
}

/**
 * @throws TarnError not-found (also where a ref's record does not reach back so far), ambiguous,
 *   invalid (a time in the future), corrupt, io, aborted
 */
export async function resolve(
  repository: Named,
  expression: RefExpression,
  signal?: AbortSignal,
): Promise<Resolved> {
  const { base, at, committed, steps } = expression;
  const start =
    at === undefined
      ? await resolveBase(repository, base, signal)
      : { id: await resolveAt(repository, base, at, signal), kind: 'commit' as const };
  let commitId = start.id;
  let commit = await repository.commits.read(commitId, signal);
  let walked = 0;
  for (const step of steps) {
    const [count, parent] = step.kind === 'ancestor' ? [step.count, 1] : [1, step.number];
    for (let i = 0; i < count && parent > 0; i += 1) {
      walked += 1;
      if (walked % STRETCH === 0) await giveWay();
      throwIfAborted(signal);
      const next = commit.parents[parent - 1];
      if (next === undefined) throw noAncestor(repository, expression, commitId, commit);
      commitId = next;
      commit = await repository.commits.read(commitId, signal);
    }
  }
  const isWorkspace = start.kind === 'branch' && !committed && steps.length === 0;
  return { commitId, commit, ...(isWorkspace ? { branch: base } : {}) };
}

async function resolveBase(
  repository: Named,
  base: string,
  signal: AbortSignal | undefined,
): Promise<{ id: CommitId; kind: RefKind | 'commit' }> {
  const { name, refs, commits } = repository;
  const whole = wholeCommitId(base);
  if (whole !== undefined) {
    if (await commits.has(whole, signal)) return { id: whole, kind: 'commit' };
    throw missing(repository, base);
  }
  const ref = await refs.find(base, signal);
  if (ref !== undefined) return { id: ref.commit, kind: ref.kind };
  if (!isCommitPrefix(base)) throw missing(repository, base);
  const [id, other] = await commits.find(base, 2, signal);
  if (id === undefined) throw missing(repository, base);
  if (other === undefined) return { id, kind: 'commit' };
  throw new TarnError('ambiguous', `more than one commit of '${name}' begins with '${base}'`, {
    hint: `give more digits: ${id.slice(0, base.length + 8)}… or ${other.slice(0, base.length + 8)}…`,
  });
}

/** Where the branch or tag of that name was at that time. */
async function resolveAt(
  repository: Named,
  base: string,
  at: Time,
  signal: AbortSignal | undefined,
): Promise<CommitId> {
  const atMs = pastMs(at);
  const { refs } = repository;
  const isTag = (await refs.find(base, signal))?.kind === 'tag';
  const kinds = isTag ? (['tag', 'branch'] as const) : (['branch', 'tag'] as const);
  let gone: RecordedChange | undefined;
  let first: RecordedChange | undefined;
  for (const kind of kinds) {
    const moment = await refs.at(kind, base, atMs, signal);
    if (moment.kind === 'at') return moment.target;
    if (moment.kind === 'gone') gone ??= moment.change;
    else first ??= moment.first;
  }
  if (gone !== undefined) throw wasGone(repository, gone);
  if (first !== undefined) throw notSoFar(repository, base, first);
  const { kind } = await resolveBase(repository, base, signal);
  throw new TarnError('invalid', `'${base}' is a ${kind}, and stays what it is at all times`, {
    hint: 'give the time to a branch or tag, as in main@{yesterday}',
  });
}

/**
 * The moment in milliseconds since 1970 UTC, of a record or a history.
 * @throws TarnError invalid when it is in the future
 */
export function pastMs(time: Time): number {
  const nowMs = Date.now();
  const atMs = timeMs(time, nowMs);
  if (atMs <= nowMs) return atMs;
  throw new TarnError('invalid', `${isoTime(atMs)} is in the future: it is now ${isoTime(nowMs)}`, {
    hint: 'a time without a zone is UTC; add one, as in 2025-06-14 17:30 Europe/Berlin',
  });
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

function wasGone(
  { name }: Named,
  { kind, name: ref, renamed, atMs, by }: RecordedChange,
): TarnError {
  const fate = renamed === undefined ? 'deleted' : `renamed to '${renamed}'`;
  return new TarnError(
    'not-found',
    `the ${kind} '${ref}' was not there then: it was ${fate} at ${isoTime(atMs)} by ${by}`,
    { hint: `see 'tarn ${kind} history ${name}/${ref}'` },
  );
}

function notSoFar({ name }: Named, base: string, first: RecordedChange): TarnError {
  return new TarnError(
    'not-found',
    `the history of ${base} goes back to ${isoTime(first.atMs)}, not further`,
    { hint: `see 'tarn ${first.kind} history ${name}/${base}', or 'tarn log ${name}/${base}'` },
  );
}

function missing({ name }: Named, base: string): TarnError {
  return new TarnError('not-found', `repository '${name}' has no branch, tag or commit '${base}'`, {
    hint: `see 'tarn branch list ${name}', 'tarn tag list ${name}' or 'tarn log ${name}/main'; a commit id needs at least ${COMMIT_PREFIX_MIN} digits`,
  });
}

function noAncestor(
  { name }: Named,
  expression: RefExpression,
  id: CommitId,
  commit: Commit,
): TarnError {
  const count = commit.parents.length;
  const parents = count === 0 ? 'no parent' : count === 1 ? 'one parent' : `${count} parents`;
  return new TarnError(
    'not-found',
    `'${expression.text}' goes back too far: commit ${id.slice(0, 12)} has ${parents}`,
    { hint: `see 'tarn log ${name}/${expression.base}'` },
  );
}
