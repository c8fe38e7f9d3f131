import type { JobRun, JobTarget } from '../../workspace/jobs/job.js';
import { checkpointJournal } from '../journal/journal.js';

export interface CheckpointInput extends JobTarget {
  /** Of a journal. */
  readonly path: string;
  /** Number of the first change that stays in the log. */
  readonly before: number;
}

/** Brings the log of a journal into its file: on a thread, since it waits for the disk. */
export const run: JobRun<CheckpointInput, never, undefined> = async (
  _context,
  { path, before },
) => {
  checkpointJournal(path, before);
  return undefined;
};
