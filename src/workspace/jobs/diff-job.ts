import type { Difference, DifferenceKind } from '../../history/difference.js';
import { TotalsSum } from '../../history/stat.js';
import type { Entry } from '../../model/entry.js';
import { entrySize } from '../../model/entry.js';
import type { Key } from '../../model/path.js';
import type { DiffEnd, DiffInput } from './diff-input.js';
import { compare, openPair } from './diff-input.js';
import type { JobRun } from './job.js';
import { RowBatches } from './row-batches.js';

export interface DiffPageInput extends DiffInput {
  readonly limit?: number;
  readonly after?: Key;
  /** Without what was there and what is. */
  readonly namesOnly: boolean;
}

/** A Difference as it travels from thread to thread: without where the bytes lie. */
export interface DiffLine {
  readonly kind: DifferenceKind;
  readonly key: Key;
  readonly from?: Key;
  readonly before?: EntryFacts;
  readonly after?: EntryFacts;
}

export interface EntryFacts extends Pick<Entry, 'kind' | 'mode' | 'mtimeSec' | 'mtimeNsec'> {
  /** Bytes. */
  readonly size: number;
  readonly content?: string;
  readonly target?: string;
}

/** What differs, path by path; the totals are of the rows that were given out. */
export const run: JobRun<DiffPageInput, DiffLine, DiffEnd> = async (context, input, out) => {
  const { limit = Infinity, after, moments, namesOnly } = input;
  const { signal } = out;
  const pair = await openPair(context, moments, signal);
  const { batches, renames } = compare(context.repository, pair, input, after, signal);
  const rows = new RowBatches(out);
  const sum = new TotalsSum();
  let left = limit;
  let more = false;
  for await (const batch of batches) {
    more = batch.length > left;
    for (const each of more ? batch.slice(0, left) : batch) {
      sum.add(each);
      await rows.add(lineOf(each, namesOnly));
    }
    left -= batch.length;
    if (more) break;
  }
  await rows.flush();
  const { id } = pair.after;
  const ends = { before: pair.before.id, ...(id === undefined ? {} : { after: id }) };
  return { ...ends, ...sum.totals, renames: renames(), more };
};

function lineOf({ kind, key, from, before, after }: Difference, namesOnly: boolean): DiffLine {
  const line = { kind, key, ...(from === undefined ? {} : { from }) };
  if (namesOnly) return line;
  return {
    ...line,
    ...(before === undefined ? {} : { before: factsOf(before) }),
    ...(after === undefined ? {} : { after: factsOf(after) }),
  };
}

function factsOf(entry: Entry): EntryFacts {
  const { kind, mode, mtimeSec, mtimeNsec } = entry;
  const named = entry.kind === 'file' ? { content: entry.content } : { target: entry.target };
  return { kind, size: entrySize(entry), mode, mtimeSec, mtimeNsec, ...named };
}
