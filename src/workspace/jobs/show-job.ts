import { differences } from '../../history/diff.js';
import type { DifferenceCounts } from '../../history/stat.js';
import { TotalsSum } from '../../history/stat.js';
import type { Commit } from '../../model/commit.js';
import type { Totals } from '../../model/entry.js';
import type { CommitId } from '../../model/ids.js';
import type { Repository } from '../../repo/repository.js';
import type { RefKind } from '../../store/ref-store.js';
import type { JobRun, JobTarget } from './job.js';

export interface ShowInput extends JobTarget {
  readonly ref: string;
}

export interface ShownDetails extends Totals {
  readonly id: CommitId;
  readonly commit: Commit;
  readonly branches: readonly string[];
  readonly tags: readonly string[];
  /** Against the first parent, without renames; absent for a first commit. */
  readonly changes?: ChangeSummary;
}

export interface ChangeSummary {
  readonly counts: DifferenceCounts;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** There are more: counting ended. */
  readonly more: boolean;
}

/** So many changes are counted in well under a second. */
const COUNTED_MAX = 100_000;

export const run: JobRun<ShowInput, never, ShownDetails> = async ({ repository }, input, out) => {
  const { signal } = out;
  const { commitId: id, commit } = await repository.resolve(input.ref, signal);
  const tree = await repository.openTree(commit.tree, signal);
  const changes = await changesOf(repository, commit, signal);
  return {
    id,
    commit,
    ...tree.totals(),
    branches: await namesOf(repository, 'branch', id, signal),
    tags: await namesOf(repository, 'tag', id, signal),
    ...(changes === undefined ? {} : { changes }),
  };
};

async function changesOf(
  repository: Repository,
  { tree, parents: [parent] }: Commit,
  signal: AbortSignal,
): Promise<ChangeSummary | undefined> {
  if (parent === undefined) return undefined;
  const before = await repository.readCommit(parent, signal);
  const sum = new TotalsSum();
  let counted = 0;
  for await (const batch of differences(repository.nodes, before.tree, tree, { signal })) {
    for (const each of batch) sum.add(each);
    counted += batch.length;
    if (counted >= COUNTED_MAX) return { ...sum.totals, more: true };
  }
  return { ...sum.totals, more: false };
}

async function namesOf(
  repository: Repository,
  kind: RefKind,
  id: CommitId,
  signal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, commit } of repository.listRefs(kind, { signal })) {
    if (commit === id) found.push(name);
  }
  return found;
}
