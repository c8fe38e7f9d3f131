import type { CommitId } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import type { Change } from '../changes.js';
import type { JobRun, JobTarget } from './job.js';
import { RowBatches } from './row-batches.js';

export interface StatusInput extends JobTarget {
  readonly branch: string;
  readonly limit?: number;
  readonly after?: Key;
}

export interface StatusEnd {
  /** The branch's last commit. */
  readonly base: CommitId;
  /** Entries, of the changes that were given out. */
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** Changes are left behind the last one given out. */
  readonly more: boolean;
}

/** What is staged on a branch: Workspace.changes. */
export const run: JobRun<StatusInput, Change, StatusEnd> = async ({ workspace }, input, out) => {
  const { branch, limit, after } = input;
  const on = workspace(branch);
  const { source } = await on.view(out.signal);
  const rows = new RowBatches(out);
  const from = after === undefined ? {} : { after };
  const changes = on.changes({ ...from, signal: out.signal });
  const counts = await countChanges(changes, limit, (change) => rows.add(change));
  await rows.flush();
  return { base: source.commitId, ...counts };
};

/** Gives out the first changes, and counts them. */
export async function countChanges(
  changes: AsyncIterable<Change>,
  limit: number | undefined,
  give: (change: Change) => Promise<void> | void,
): Promise<Omit<StatusEnd, 'base'>> {
  const counts = { added: 0, changed: 0, removed: 0 };
  let left = limit ?? Infinity;
  for await (const change of changes) {
    if (left === 0) return { ...counts, more: true };
    counts[COUNTED_AS[change.change]] += change.entries;
    await give(change);
    left -= 1;
  }
  return { ...counts, more: false };
}

const COUNTED_AS = {
  added: 'added',
  removed: 'removed',
  changed: 'changed',
  'type-changed': 'changed',
  'metadata-changed': 'changed',
} as const;
