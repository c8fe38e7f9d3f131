import type { CommitId } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import type { JobOptions } from '../../util/worker.js';
import { installed } from '../../util/installation.js';
import { runJob } from '../../util/worker.js';
import type { JobTarget } from './job-context.js';

export interface CommitInput extends JobTarget {
  readonly message: string;
  readonly author: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970 UTC; now without it. */
  readonly dateMs?: number;
  readonly paths?: readonly Key[];
}

/** Workspace.commit in a worker thread; throws what that throws. */
export function runCommit(
  input: CommitInput,
  options: Pick<JobOptions<never>, 'signal'> = {},
): Promise<CommitId> {
  return runJob(installed('dist/workspace/jobs/commit-worker.js'), input, options);
}
