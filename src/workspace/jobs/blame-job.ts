import { blame } from '../../history/blame.js';
import type { LoggedCommit } from '../../repo/log.js';
import { entrySize } from '../../model/entry.js';
import type { CommitId } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import { spansOfPaths } from '../../model/span.js';
import { TarnError } from '../../util/errors.js';
import type { JobRun, JobTarget } from './job.js';
import { RowBatches } from './row-batches.js';

export interface BlameInput extends JobTarget {
  readonly ref: string;
  /** A file, or a folder with all below it. */
  readonly path: Key;
  readonly limit?: number;
  readonly after?: Key;
}

export interface BlameLine {
  readonly key: Key;
  readonly size: number;
  readonly by: LoggedCommit;
}

export interface BlameEnd {
  readonly commit: CommitId;
}

/** @throws TarnError not-found when nothing is at the path */
export const run: JobRun<BlameInput, BlameLine, BlameEnd> = async ({ repository }, input, out) => {
  const { ref, path, limit, after } = input;
  const { signal } = out;
  const { commitId } = await repository.resolve(ref, signal);
  const found = await blame(repository, commitId, spansOfPaths([path]), {
    signal,
    onProgress: (files) => out.progress({ files, bytes: 0 }),
    ...(limit === undefined ? {} : { limit }),
    ...(after === undefined ? {} : { after }),
  });
  if (found.length === 0 && path !== '' && after === undefined && limit !== 0) {
    const place = `${input.repository}/${ref}/${keyToText(path)}`;
    throw new TarnError('not-found', `there is nothing at '${place}' in what is committed`, {
      hint: `see what there is with 'tarn ls ${input.repository}/${ref}@'`,
    });
  }
  const rows = new RowBatches(out);
  for (const { key, entry, by } of found) await rows.add({ key, size: entrySize(entry), by });
  await rows.flush();
  return { commit: commitId };
};
