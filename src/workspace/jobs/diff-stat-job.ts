import type { FolderTotals } from '../../history/stat.js';
import { FolderSums, TotalsSum } from '../../history/stat.js';
import type { Key } from '../../model/path.js';
import type { DiffEnd, DiffInput } from './diff-input.js';
import { compare, openPair } from './diff-input.js';
import type { JobRun } from './job.js';
import { RowBatches } from './row-batches.js';

export interface DiffStatInput extends DiffInput {
  /** Levels of folders. */
  readonly depth: number;
  /** Of folders, as `after`. */
  readonly limit?: number;
  readonly after?: Key;
}

/** What differs, by folder; the totals are of all. */
export const run: JobRun<DiffStatInput, FolderTotals, DiffEnd> = async (context, input, out) => {
  const { limit = Infinity, after, moments, depth } = input;
  const { signal } = out;
  const pair = await openPair(context, moments, signal);
  const { batches, renames } = compare(context.repository, pair, input, undefined, signal);
  const all = new TotalsSum();
  const folders = new FolderSums(depth);
  for await (const batch of batches) {
    for (const each of batch) {
      all.add(each);
      folders.add(each);
    }
  }
  const page = folders.rows().filter(({ folder }) => after === undefined || folder > after);
  const rows = new RowBatches(out);
  for (const each of page.slice(0, limit)) await rows.add(each);
  await rows.flush();
  const { id } = pair.after;
  const ends = { before: pair.before.id, ...(id === undefined ? {} : { after: id }) };
  return { ...ends, ...all.totals, renames: renames(), more: page.length > limit };
};
