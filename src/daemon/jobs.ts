import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { OVERLAY_JOBS } from '../overlay/jobs/registry.js';
import type { JobModule } from '../workspace/jobs/threads.js';
import { JOBS as WORKSPACE } from '../workspace/jobs/registry.js';
import { installed } from '../util/installation.js';

/** Every job that the daemon runs in threads; daemon/job-thread.ts is what runs there. */
export const JOBS = { ...WORKSPACE, ...OVERLAY_JOBS };

export type DaemonJobs = typeof JOBS;

/** Beside the daemon that is bundled; where that is not, as in tests, the built one. */
const BUNDLED = fileURLToPath(new URL('./job-thread.js', import.meta.url));

export const DAEMON_JOBS: JobModule<DaemonJobs> = {
  jobs: JOBS,
  script: existsSync(BUNDLED) ? BUNDLED : installed('dist/daemon/job-thread.js'),
};
