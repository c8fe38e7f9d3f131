import type { CommitId } from '../../model/ids.js';
import type { JobRun, JobTarget } from '../../workspace/jobs/job.js';
import type { CommittedEdits } from '../../workspace/commit-edits.js';
import type { WorkspaceBase } from '../../workspace/workspace.js';

export interface BaseInput extends JobTarget {
  readonly branch: string;
  /** As Layers.load. */
  readonly head?: CommitId;
  /** To be taken out of staging first. */
  readonly committed?: CommittedEdits;
}

/** Workspace.base; throws what that throws. */
export const run: JobRun<BaseInput, never, WorkspaceBase> = async (
  { workspace },
  { branch, head, committed },
  { signal },
) => {
  if (committed !== undefined) workspace(branch).clearCommitted(committed);
  return workspace(branch).base(signal, head);
};
