import { bisectCandidates } from '../../history/bisect.js';
import type { CommitId } from '../../model/ids.js';
import type { LoggedCommit } from '../../repo/log.js';
import type { JobRun, JobTarget } from './job.js';
import { RowBatches } from './row-batches.js';

export interface BisectInput extends JobTarget {
  /** Ref expressions. */
  readonly good: string;
  readonly bad: string;
}

export interface BisectEnd {
  readonly good: CommitId;
  readonly bad: CommitId;
}

/** The commits that may have brought what is bad. @throws as bisectCandidates */
export const run: JobRun<BisectInput, LoggedCommit, BisectEnd> = async (context, input, out) => {
  const { repository } = context;
  const { signal } = out;
  const { commitId: good } = await repository.resolve(input.good, signal);
  const { commitId: bad } = await repository.resolve(input.bad, signal);
  const rows = new RowBatches(out);
  for (const each of await bisectCandidates(repository, good, bad, signal)) await rows.add(each);
  await rows.flush();
  return { good, bad };
};
