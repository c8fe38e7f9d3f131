import type { CommitId } from '../model/ids.js';
import { parseBranchName, parseTagName } from '../model/refs.js';
import type { RefKind, RefStore } from '../store/ref-store.js';
import { TarnError } from '../util/errors.js';

/** @throws TarnError exists, invalid */
export async function createRef(
  refs: RefStore,
  kind: RefKind,
  name: string,
  commit: CommitId,
  by: string,
  signal?: AbortSignal,
): Promise<void> {
  if (kind === 'branch') parseBranchName(name);
  else parseTagName(name);
  const change = { kind, name, expected: undefined, next: commit, by, atMs: Date.now() };
  const outcome = await refs.compareAndSwap({ ...change, why: `${kind} create` }, signal);
  if (outcome === 'done') return;
  throw new TarnError('exists', `there is a ${kind} '${name}' already`, {
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
  if (expected === undefined) throw new TarnError('not-found', `there is no ${kind} '${name}'`);
  const change = { kind, name, expected, next: undefined, by, atMs: Date.now() };
  const outcome = await refs.compareAndSwap({ ...change, why: `${kind} delete` }, signal);
  if (outcome === 'done') return expected;
  throw new TarnError('conflict', `the ${kind} '${name}' moved while it was being deleted`, {
    hint: 'look at it again before you delete it',
  });
}

/**
 * Gives a branch another name. The new name is there before the old one goes, so that a crash
 * leaves both rather than none.
 * @throws TarnError not-found, exists, invalid, conflict
 */
export async function renameBranch(
  refs: RefStore,
  from: string,
  to: string,
  by: string,
  signal?: AbortSignal,
): Promise<void> {
  const commit = await refs.get('branch', from, signal);
  if (commit === undefined) throw new TarnError('not-found', `there is no branch '${from}'`);
  await createRef(refs, 'branch', to, commit, by, signal);
  const change = { kind: 'branch', name: from, expected: commit, next: undefined } as const;
  const outcome = await refs.compareAndSwap(
    { ...change, by, atMs: Date.now(), why: 'branch rename' },
    signal,
  );
  if (outcome === 'done') return;
  await deleteRef(refs, 'branch', to, by, signal);
  throw new TarnError('conflict', `the branch '${from}' moved while it was being renamed`, {
    hint: 'rename it again',
  });
}
