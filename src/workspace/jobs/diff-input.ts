import { RENAMES_HELD_MAX } from '../../history/diff.js';
import { differences } from '../../history/diff.js';
import type { Difference } from '../../history/difference.js';
import { mergeBases } from '../../history/merge-base.js';
import type { Totals } from '../../history/stat.js';
import type { CommitId, NodeId } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import { spansOfPaths } from '../../model/span.js';
import type { Repository } from '../../repo/repository.js';
import { TarnError } from '../../util/errors.js';
import type { Workspace } from '../workspace.js';
import type { JobContext, JobTarget } from './job.js';

/** What to compare. */
export interface DiffInput extends JobTarget {
  readonly moments: Moments;
  /** Only what lies at or below these; all when empty. */
  readonly paths: readonly Key[];
  readonly renames: boolean;
}

export type Moments =
  /** Two commits, as ref expressions. */
  | { readonly kind: 'commits'; readonly from: string; readonly to: string }
  /** What came to `to` since its history and that of `from` parted. */
  | { readonly kind: 'since-parted'; readonly from: string; readonly to: string }
  /** What is staged on a branch. */
  | { readonly kind: 'staged'; readonly branch: string };

export interface DiffEnd extends Totals {
  readonly before: CommitId;
  /** Absent for what is staged. */
  readonly after?: CommitId;
  /** 'too-many': more differs than can be held to find renames in; the rest has none. */
  readonly renames: 'found' | 'off' | 'too-many';
  /** More follows behind the limit. */
  readonly more: boolean;
}

interface Pair {
  readonly before: { readonly id: CommitId; readonly tree: NodeId };
  readonly after: { readonly id?: CommitId; readonly tree: NodeId };
}

/** @throws TarnError not-found, ambiguous, invalid, corrupt, io, aborted */
export async function openPair(
  { repository, workspace }: JobContext,
  moments: Moments,
  signal: AbortSignal,
): Promise<Pair> {
  const at = async (ref: string): Promise<{ id: CommitId; tree: NodeId }> => {
    const { commitId, commit } = await repository.resolve(ref, signal);
    return { id: commitId, tree: commit.tree };
  };
  switch (moments.kind) {
    case 'commits':
      return { before: await at(moments.from), after: await at(moments.to) };
    case 'since-parted': {
      const [from, after] = [await at(moments.from), await at(moments.to)];
      const parted = await whereParted(repository, from.id, after.id, moments, signal);
      const { tree } = await repository.readCommit(parted, signal);
      return { before: { id: parted, tree }, after };
    }
    case 'staged':
      return openStaged(workspace(moments.branch), () => at(`${moments.branch}@`), signal);
  }
}

async function openStaged(
  workspace: Workspace,
  head: () => Promise<Pair['before']>,
  signal: AbortSignal,
): Promise<Pair> {
  for (;;) {
    const before = await head();
    const after = { tree: await workspace.tree(signal) };
    // The branch may have moved meanwhile: what others committed is not staged here.
    if ((await head()).id === before.id) return { before, after };
  }
}

async function whereParted(
  repository: Repository,
  from: CommitId,
  to: CommitId,
  { from: fromText, to: toText }: { readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<CommitId> {
  const read = (id: CommitId) => repository.readCommit(id, signal);
  const [base] = await mergeBases(read, from, to, signal);
  if (base !== undefined) return base;
  throw new TarnError('invalid', `'${fromText}' and '${toText}' have no commit in common`, {
    hint: `compare the two as they are, with '..' instead of '...'`,
  });
}

/** The differences of `pair`, and whether renames were given up on the way. */
export function compare(
  { nodes }: Repository,
  pair: Pair,
  { paths, renames }: DiffInput,
  after: Key | undefined,
  signal: AbortSignal,
): { batches: AsyncIterable<readonly Difference[]>; renames: () => DiffEnd['renames'] } {
  let found: DiffEnd['renames'] = renames ? 'found' : 'off';
  const onGivenUp = (): void => {
    found = 'too-many';
  };
  const batches = differences(nodes, pair.before.tree, pair.after.tree, {
    signal,
    ...(paths.length === 0 ? {} : { spans: spansOfPaths(paths) }),
    ...(after === undefined ? {} : { after }),
    ...(renames ? { renames: { heldMax: RENAMES_HELD_MAX, onGivenUp } } : {}),
  });
  return { batches, renames: () => found };
}
