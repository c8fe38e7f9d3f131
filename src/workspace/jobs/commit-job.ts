import type { CommitId } from '../../model/ids.js';
import type { CommitOptions } from '../commit.js';
import type { JobRun, JobTarget } from './job.js';

export interface CommitInput extends JobTarget, Omit<CommitOptions, 'signal'> {
  readonly branch: string;
}

/** Workspace.commit; throws what that throws. */
export const run: JobRun<CommitInput, never, CommitId> = ({ workspace }, input, { signal }) =>
  workspace(input.branch).commit({ ...input, signal });
