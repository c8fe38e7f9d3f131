import { keyToText } from '../../model/path.js';
import { WHOLE_SPAN } from '../../model/span.js';
import type { Outside } from '../../repo/fsck/fsck.js';
import { checkRepository } from '../../repo/fsck/fsck.js';
import type { Counts, Fault } from '../../repo/fsck/findings.js';
import { Repository } from '../../repo/repository.js';
import type { Staging } from '../staging.js';
import type { JobRun, JobTarget } from './job.js';

export interface FsckInput extends JobTarget {
  /** Structure only: contents are looked for, not read. */
  readonly fast: boolean;
}

/**
 * checkRepository, with what is staged in this home. The repository is opened anew: files that the
 * thread has open would still be there when they are gone from the disk.
 */
export const run: JobRun<FsckInput, Fault, Counts> = async (context, input, out) => {
  const { home, staging } = context;
  const { storage } = home.repository(input.repository);
  const repository = await Repository.open(input.repository, storage, { blocking: true });
  try {
    const branches: string[] = [];
    for await (const { name } of repository.listRefs('branch', { signal: out.signal })) {
      branches.push(name);
    }
    return await checkRepository(repository, {
      fast: input.fast,
      outside: staged(staging, branches),
      onFault: (fault) => out.rows([fault]),
      onProgress: ({ entries, bytes }) => out.progress({ files: entries, bytes }),
      signal: out.signal,
    });
  } finally {
    await repository.close();
  }
};

function* staged(staging: Staging, branches: readonly string[]): Iterable<Outside> {
  for (const branch of branches) {
    const { tree } = staging.state(branch);
    const where = `staged on branch '${branch}'`;
    if (tree !== undefined) yield { tree: tree.tree, where };
    for (const { key, entry } of staging.rows(branch, WHOLE_SPAN)) {
      if (entry !== undefined) yield { entry, where: `${where}, '${keyToText(key)}'` };
    }
  }
}
