import type { ObjectCache } from '../cache/object-cache.js';
import type { Home } from '../workspace/home.js';
import type { JobThreads } from '../workspace/jobs/threads.js';
import type { DaemonJobs } from './jobs.js';
import type { FollowedBranches } from './followed-branches.js';
import type { Log } from './log.js';
import type { MountTable } from './mount-table.js';
import type { DaemonPaths } from './paths.js';
import type { Repositories } from './repositories.js';
import type { Workspaces } from './workspaces.js';

/** What every operation may use. */
export interface Context {
  readonly paths: DaemonPaths;
  readonly home: Home;
  readonly log: Log;
  readonly repositories: Repositories;
  /** What was read of buckets. */
  readonly objectCache: ObjectCache;
  readonly mounts: MountTable;
  /** What read-only mounts of branches show. */
  readonly followed: FollowedBranches;
  /** What programs change through mounts. */
  readonly workspaces: Workspaces;
  /** Where work runs that the event loop, which answers the mounts, must not wait for. */
  readonly threads: JobThreads<DaemonJobs>;
  readonly startedMs: number;
  /** Ends the daemon; resolves when all is closed but the request that `keep` belongs to. */
  stop(keep?: AbortSignal): Promise<void>;
}
