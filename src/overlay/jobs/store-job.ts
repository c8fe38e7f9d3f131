import type { JobRun, JobTarget } from '../../workspace/jobs/job.js';
import { StagedFolder } from '../bytes/staged-folder.js';
import { filesIn } from './planned.js';
import type { FileStored, FileToStore } from './store.js';
import { storeFiles } from './store.js';

export interface StoreInput extends JobTarget {
  /** Of the workspace. */
  readonly folder: string;
  readonly files: readonly FileToStore[];
}

/** Stores files that nobody writes any more, so that a later commit finds them stored. */
export const run: JobRun<StoreInput, FileStored, void> = async (context, input, out) => {
  const staged = new StagedFolder(filesIn(input.folder));
  const found: FileStored[] = [];
  await storeFiles(
    context,
    staged,
    input.folder,
    input.files,
    (file) => void found.push(file),
    out.signal,
  );
  await out.rows(found);
};
