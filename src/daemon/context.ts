import type { Home } from '../workspace/home.js';
import type { Jobs } from './jobs.js';
import type { Log } from './log.js';
import type { MountTable } from './mount-table.js';
import type { DaemonPaths } from './paths.js';
import type { Repositories } from './repositories.js';

/** What every operation may use. */
export interface Context {
  readonly paths: DaemonPaths;
  readonly home: Home;
  readonly log: Log;
  readonly repositories: Repositories;
  readonly mounts: MountTable;
  readonly jobs: Jobs;
  readonly startedMs: number;
  /** Ends the daemon; resolves when all is closed but the request that `keep` belongs to. */
  stop(keep?: AbortSignal): Promise<void>;
}
