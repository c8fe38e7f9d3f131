import type { CommitId } from '../../model/ids.js';
import type { JobRun, JobTarget } from '../../workspace/jobs/job.js';
import type { WorkspaceBase } from '../../workspace/workspace.js';

export interface BaseInput extends JobTarget {
  readonly branch: string;
  /** As Layers.load. */
  readonly head?: CommitId;
}

/** Workspace.base; throws what that throws. */
export const run: JobRun<BaseInput, never, WorkspaceBase> = (
  { workspace },
  { branch, head },
  { signal },
) => workspace(branch).base(signal, head);
