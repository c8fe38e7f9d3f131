import type { JobRun, JobTarget } from './job.js';

export interface DiscardInput extends JobTarget {
  readonly branch: string;
  /** From Workspace.version: what is staged after that stays. */
  readonly versionMax: number;
}

/** Gives up what is staged on a branch, which may be gone. @throws TarnError io */
export const run: JobRun<DiscardInput, never, void> = async (
  { workspace },
  { branch, versionMax },
) => workspace(branch).discard(versionMax);
