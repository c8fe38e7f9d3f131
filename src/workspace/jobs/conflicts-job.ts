import type { StagedConflict } from '../conflicts.js';
import type { JobRun, JobTarget } from './job.js';

export interface ConflictsInput extends JobTarget {
  readonly branch: string;
}

const BATCH = 500;

/** Workspace.conflicts; throws what that throws. */
export const run: JobRun<ConflictsInput, StagedConflict, { readonly conflicts: number }> = async (
  { workspace },
  { branch },
  out,
) => {
  const found = await workspace(branch).conflicts(out.signal);
  for (let at = 0; at < found.length; at += BATCH) await out.rows(found.slice(at, at + BATCH));
  return { conflicts: found.length };
};
