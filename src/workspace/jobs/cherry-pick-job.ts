import type { CherryPickOptions } from '../../history/cherry-pick.js';
import { cherryPick } from '../../history/cherry-pick.js';
import { parsePreference } from '../../history/prefer.js';
import type { Conflict } from '../../history/three-way.js';
import type { Brought } from './bring.js';
import { handOver } from './bring.js';
import type { JobRun, JobTarget } from './job.js';

export interface CherryPickInput
  extends JobTarget, Omit<CherryPickOptions, 'preferences' | 'signal'> {
  /** As parsePreference takes them. */
  readonly preferences: readonly string[];
}

/** cherryPick of history/cherry-pick.ts; throws what that throws. */
export const run: JobRun<CherryPickInput, Conflict, Brought> = async (
  { repository },
  input,
  out,
) => {
  const preferences = input.preferences.map(parsePreference);
  const outcome = await cherryPick(repository, { ...input, preferences, signal: out.signal });
  return handOver(outcome, out);
};
