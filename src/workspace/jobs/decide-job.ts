import type { Key } from '../../model/path.js';
import type { JobRun, JobTarget } from './job.js';

export interface DecideInput extends JobTarget {
  readonly branch: string;
  readonly path: Key;
  /** What is staged, or what the branch has now. */
  readonly side: 'ours' | 'theirs';
}

/** Workspace.resolve; throws what that throws. */
export const run: JobRun<DecideInput, never, void> = (
  { workspace },
  { branch, path, side },
  { signal },
) => workspace(branch).resolve(path, side, signal);
