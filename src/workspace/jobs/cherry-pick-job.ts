import type { CherryPickOptions } from '../../history/cherry-pick.js';
import { cherryPick } from '../../history/cherry-pick.js';
import type { Conflict } from '../../history/three-way.js';
import type { Brought } from './bring.js';
import { handOver, hearing } from './bring.js';
import type { JobRun, JobTarget } from './job.js';

export interface CherryPickInput
  extends JobTarget, Omit<CherryPickOptions, 'preferences' | 'onChanges' | 'signal'> {
  /** As parsePreference takes them. */
  readonly preferences: readonly string[];
}

/** cherryPick of history/cherry-pick.ts; throws what that throws. */
export const run: JobRun<CherryPickInput, Conflict, Brought> = async (
  { repository },
  input,
  out,
) => {
  const outcome = await cherryPick(repository, { ...input, ...hearing(input, out) });
  return handOver(outcome, out);
};
