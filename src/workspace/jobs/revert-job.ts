import type { RevertOptions } from '../../history/revert.js';
import { revert } from '../../history/revert.js';
import type { Conflict } from '../../history/three-way.js';
import type { Brought } from './bring.js';
import { handOver, hearing } from './bring.js';
import type { JobRun, JobTarget } from './job.js';

export interface RevertInput
  extends JobTarget, Omit<RevertOptions, 'preferences' | 'onChanges' | 'signal'> {
  /** As parsePreference takes them. */
  readonly preferences: readonly string[];
}

/** revert of history/revert.ts; throws what that throws. */
export const run: JobRun<RevertInput, Conflict, Brought> = async ({ repository }, input, out) => {
  const outcome = await revert(repository, { ...input, ...hearing(input, out) });
  return handOver(outcome, out);
};
