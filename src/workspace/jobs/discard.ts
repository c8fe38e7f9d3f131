import { installed } from '../../util/installation.js';
import { runJob } from '../../util/worker.js';
import type { JobTarget } from './job-context.js';

export interface DiscardInput extends JobTarget {
  /** From Workspace.version: what is staged after that stays. */
  readonly versionMax: number;
}

/** Gives up what is staged on a branch, which may be gone, in a worker thread. @throws TarnError io */
export function runDiscard(input: DiscardInput): Promise<void> {
  return runJob(installed('dist/workspace/jobs/discard-worker.js'), input);
}
