import type { LogQuery, ShownCommit } from '../../history/log.js';
import { searchHistory } from '../../history/log.js';
import type { Key } from '../../model/path.js';
import { spansOfPaths } from '../../model/span.js';
import type { JobRun, JobTarget } from './job.js';
import { RowBatches } from './row-batches.js';

export interface LogInput extends JobTarget, Omit<LogQuery, 'spans' | 'after' | 'signal'> {
  readonly ref: string;
  /** Commits that changed something at or below one of these; all when empty. */
  readonly paths: readonly Key[];
  /** A ref expression. */
  readonly after?: string;
}

export type LogEnd = Readonly<Record<never, never>>;

export const run: JobRun<LogInput, ShownCommit, LogEnd> = async ({ repository }, input, out) => {
  const { ref, paths, after, ...query } = input;
  const { signal } = out;
  const { commitId } = await repository.resolve(ref, signal);
  const passed = after === undefined ? undefined : await repository.resolve(after, signal);
  const rows = new RowBatches(out);
  const shown = searchHistory(repository, commitId, {
    ...query,
    signal,
    ...(paths.length === 0 ? {} : { spans: spansOfPaths(paths) }),
    ...(passed === undefined ? {} : { after: passed.commitId }),
  });
  for await (const each of shown) await rows.add(each);
  await rows.flush();
  return {};
};
