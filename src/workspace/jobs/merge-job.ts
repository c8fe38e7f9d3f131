import type { MergeOptions } from '../../history/merge.js';
import { merge } from '../../history/merge.js';
import type { Conflict } from '../../history/three-way.js';
import type { Brought } from './bring.js';
import { handOver, hearing } from './bring.js';
import type { JobContext, JobRun, JobTarget } from './job.js';

export interface MergeInput
  extends JobTarget, Omit<MergeOptions, 'preferences' | 'onChanges' | 'signal'> {
  /** As parsePreference takes them. */
  readonly preferences: readonly string[];
}

export interface MergeJobResult {
  readonly brought: Brought;
  /** The source is a branch with staged changes, which are not merged. */
  readonly leavesStaged: boolean;
}

/** merge of history/merge.ts; throws what that throws. */
export const run: JobRun<MergeInput, Conflict, MergeJobResult> = async (context, input, out) => {
  const leavesStaged = await hasStaged(context, input.source, out.signal);
  const outcome = await merge(context.repository, { ...input, ...hearing(input, out) });
  return { brought: await handOver(outcome, out), leavesStaged };
};

async function hasStaged(
  { repository, workspace }: JobContext,
  ref: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { branch } = await repository.resolve(ref, signal);
  if (branch === undefined) return false;
  for await (const _ of workspace(branch).changes({ signal })) return true;
  return false;
}
