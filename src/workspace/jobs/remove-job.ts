import type { Key } from '../../model/path.js';
import { removePaths } from '../remove-paths.js';
import type { JobRun, JobTarget } from './job.js';

export interface RemoveInput extends JobTarget {
  readonly branch: string;
  readonly paths: readonly Key[];
  /** Without it a directory is refused. */
  readonly recursive: boolean;
}

export interface RemoveResult {
  /** Entries that are gone from the branch. */
  readonly removed: number;
}

/** Stages removals on a branch; throws what removePaths throws. */
export const run: JobRun<RemoveInput, never, RemoveResult> = async (
  { workspace },
  { branch, paths, recursive },
  { signal },
) => ({ removed: await removePaths(workspace(branch), paths, { recursive, signal }) });
