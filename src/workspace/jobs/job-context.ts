import { Repository } from '../../repo/repository.js';
import { Home } from '../home.js';
import { Staging } from '../staging.js';
import { Workspace } from '../workspace.js';

/** Which workspace a job works on. */
export interface JobTarget {
  /** The home directory. */
  readonly home: string;
  readonly repository: string;
  /** Where the repository lies, as the home has it. */
  readonly storage: string;
  readonly branch: string;
}

/** What a job has open in its thread. */
export interface JobContext {
  readonly home: Home;
  readonly repository: Repository;
  readonly workspace: Workspace;
}

/** Opens the target for `work` and closes all of it afterwards, whatever happens. */
export async function withJobContext<T>(
  target: JobTarget,
  work: (context: JobContext) => Promise<T>,
): Promise<T> {
  const home = Home.open(target.home);
  const closers: (() => void | Promise<void>)[] = [() => home.close()];
  try {
    const repository = await Repository.open(target.repository, target.storage);
    closers.push(() => repository.close());
    const staging = new Staging(home.stagingFile(target.repository));
    closers.push(() => staging.close());
    const workspace = new Workspace(repository, staging, target.branch);
    return await work({ home, repository, workspace });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}
