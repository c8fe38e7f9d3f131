import type { Key } from '../../model/path.js';
import { installed } from '../../util/installation.js';
import type { JobOptions } from '../../util/worker.js';
import { runJob } from '../../util/worker.js';
import type { JobTarget } from './job-context.js';

export interface RemoveInput extends JobTarget {
  /** Each the file of that name or, where there is none, all that is below it as a directory. */
  readonly paths: readonly Key[];
  /** Without it a directory is refused. */
  readonly recursive: boolean;
}

export interface RemoveResult {
  /** Entries that are gone from the branch. */
  readonly removed: number;
}

/**
 * Stages removals on a branch, one path after the other, in a worker thread: to take back what was
 * staged below a directory may take long, and so may the wait for another job's writes.
 * @throws TarnError not-found, is-directory, aborted, io; the paths before stay removed
 */
export function runRemove(
  input: RemoveInput,
  options: Pick<JobOptions<never>, 'signal'> = {},
): Promise<RemoveResult> {
  return runJob(installed('dist/workspace/jobs/remove-worker.js'), input, options);
}
