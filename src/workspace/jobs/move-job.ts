import type { Key } from '../../model/path.js';
import type { JobRun, JobTarget } from './job.js';

export interface MoveInput extends JobTarget {
  readonly branch: string;
  readonly from: Key;
  readonly to: Key;
  /** Overwrite what is there. */
  readonly force: boolean;
}

export interface TransferResult {
  /** Files, links and directory markers at the new place. */
  readonly entries: number;
}

/** Workspace.move; throws what that throws. */
export const run: JobRun<MoveInput, never, TransferResult> = async (
  { workspace },
  { branch, from, to, force },
  { signal },
) => ({ entries: await workspace(branch).move(from, to, { force, signal }) });
