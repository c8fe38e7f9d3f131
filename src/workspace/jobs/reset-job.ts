import { ROOT_KEY } from '../../model/path.js';
import type { Key } from '../../model/path.js';
import type { JobRun, JobTarget } from './job.js';

export interface ResetInput extends JobTarget {
  readonly branch: string;
  /** Everything when empty. */
  readonly paths: readonly Key[];
}

export interface ResetResult {
  /** Whether there was anything to give up. */
  readonly reset: boolean;
}

/** Workspace.reset; throws what that throws. */
export const run: JobRun<ResetInput, never, ResetResult> = async (
  { workspace },
  { branch, paths },
  { signal },
) => ({
  reset: await workspace(branch).reset(paths.length === 0 ? [ROOT_KEY] : paths, signal),
});
