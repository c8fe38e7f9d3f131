import type { CommitId } from '../model/ids.js';
import { parseBranchName, parseTagName } from '../model/refs.js';
import type { RefKind, RefStore } from '../store/ref-store.js';
import { TarnError } from '../util/errors.js';

/** @throws TarnError exists (says where it points), invalid */
export async function createRef(
  refs: RefStore,
  kind: RefKind,
  name: string,
  commit: CommitId,
  by: string,
  signal?: AbortSignal,
): Promise<void> {
  checkName(kind, name);
  const change = { kind, name, expected: undefined, next: commit, by, atMs: Date.now() };
  const outcome = await refs.compareAndSwap({ ...change, why: `${kind} create` }, signal);
  if (outcome === 'done') return;
  const there = await refs.get(kind, name, signal);
  const at = there === undefined ? '' : `, at commit ${there.slice(0, 12)}`;
  throw new TarnError('exists', `there is a ${kind} '${name}' already${at}`, {
    hint: `choose another name, or delete it first with 'tarn ${kind} delete'`,
  });
}

/** @throws TarnError not-found, conflict when it moved meanwhile */
export async function deleteRef(
  refs: RefStore,
  kind: RefKind,
  name: string,
  by: string,
  signal?: AbortSignal,
): Promise<CommitId> {
  const expected = await refs.get(kind, name, signal);
  if (expected === undefined) throw await noSuchRef(refs, kind, name, signal);
  const change = { kind, name, expected, next: undefined, by, atMs: Date.now() };
  const outcome = await refs.compareAndSwap({ ...change, why: `${kind} delete` }, signal);
  if (outcome === 'done') return expected;
  throw new TarnError('conflict', `the ${kind} '${name}' moved while it was being deleted`, {
    hint: 'look at it again before you delete it',
  });
}

const RENAME_ATTEMPTS_MAX = 50;

/**
 * Gives a branch another name; one that moves meanwhile is renamed where it is then.
 * @throws TarnError not-found, exists, invalid, conflict when it moves all the time
 */
export async function renameBranch(
  refs: RefStore,
  from: string,
  to: string,
  by: string,
  signal?: AbortSignal,
): Promise<void> {
  parseBranchName(to);
  for (let attempt = 0; attempt < RENAME_ATTEMPTS_MAX; attempt += 1) {
    const commit = await refs.get('branch', from, signal);
    if (commit === undefined) throw await noSuchRef(refs, 'branch', from, signal);
    const renaming = { from, to, commit, by, atMs: Date.now() };
    if ((await refs.rename(renaming, signal)) === 'done') return;
  }
  throw new TarnError('conflict', `the branch '${from}' moved all the time it was being renamed`, {
    hint: 'rename it again',
  });
}

export interface BranchReset {
  readonly branch: string;
  /** Where the branch must be for it. */
  readonly from: CommitId;
  readonly to: CommitId;
  readonly by: string;
}

/** @throws TarnError not-found, conflict when the branch is elsewhere */
export async function resetBranch(
  refs: RefStore,
  { branch, from, to, by }: BranchReset,
  signal?: AbortSignal,
): Promise<void> {
  const change = { kind: 'branch', name: branch, expected: from, next: to, by } as const;
  const reset = { ...change, atMs: Date.now(), why: 'reset' };
  if ((await refs.compareAndSwap(reset, signal)) === 'done') return;
  const there = await refs.get('branch', branch, signal);
  if (there === undefined) throw await noSuchRef(refs, 'branch', branch, signal);
  throw new TarnError('conflict', `the branch '${branch}' moved while it was being reset`, {
    hint: `it is at ${there.slice(0, 12)} now: look at it again before you reset it`,
  });
}

/** The fault that there is no such ref, which says so where the name is one of the other kind. */
export async function noSuchRef(
  refs: RefStore,
  kind: RefKind,
  name: string,
  signal?: AbortSignal,
): Promise<TarnError> {
  const other = await refs.find(name, signal);
  return new TarnError(
    'not-found',
    other === undefined || other.kind === kind
      ? `there is no ${kind} '${name}'`
      : `'${name}' is a ${other.kind}, not a ${kind}`,
    { hint: `'tarn ${kind} list' names those that there are` },
  );
}

/** @throws TarnError invalid */
function checkName(kind: RefKind, name: string): void {
  if (kind === 'branch') parseBranchName(name);
  else parseTagName(name);
}
