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
  const { branch, limit = Infinity, after } = input;
  const on = workspace(branch);
  const { source } = await on.view(out.signal);
  const counts = { added: 0, changed: 0, removed: 0 };
  const rows = new RowBatches(out);
  const from = after === undefined ? {} : { after };
  let left = limit;
  let more = false;
  for await (const change of on.changes({ ...from, signal: out.signal })) {
    more = left === 0;
    if (more) break;
    counts[COUNTED_AS[change.change]] += change.entries;
    await rows.add(change);
    left -= 1;
  }
  await rows.flush();
  return { base: source.commitId, ...counts, more };
};

const COUNTED_AS = {
  added: 'added',
  removed: 'removed',
  changed: 'changed',
  'type-changed': 'changed',
  'metadata-changed': 'changed',
} as const;
