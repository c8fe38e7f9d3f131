import type { JobRun, JobTarget } from '../../workspace/jobs/job.js';
import type { WorkspaceBase } from '../../workspace/workspace.js';

export interface BaseInput extends JobTarget {
  readonly branch: string;
}

/** Workspace.base; throws what that throws. */
export const run: JobRun<BaseInput, never, WorkspaceBase> = (
  { workspace },
  { branch },
  { signal },
) => workspace(branch).base(signal);
