import { mergeBases } from '../../history/merge-base.js';
import type { CommitId } from '../../model/ids.js';
import type { JobRun, JobTarget } from './job.js';

export interface MergeBaseInput extends JobTarget {
  /** Ref expressions. */
  readonly a: string;
  readonly b: string;
}

/** mergeBases of history/merge-base.ts; throws what that and resolving throws. */
export const run: JobRun<MergeBaseInput, never, CommitId[]> = async (
  { repository },
  input,
  { signal },
) => {
  const { commitId: a } = await repository.resolve(input.a, signal);
  const { commitId: b } = await repository.resolve(input.b, signal);
  return mergeBases((id) => repository.readCommit(id, signal), a, b, signal);
};
