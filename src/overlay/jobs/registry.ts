import type { JobRegistry } from '../../workspace/jobs/job.js';
import type { JobThreads } from '../../workspace/jobs/threads.js';

/** The jobs of overlays, by the names under which `daemon status` shows them. */
export const OVERLAY_JOBS = {
  'stage-changes': { load: () => import('./stage-job.js'), isLong: false },
  'store-changes': { load: () => import('./store-job.js'), isLong: true, isBackground: true },
  'list-changes': { load: () => import('./list-job.js'), isLong: false },
  'journal-checkpoint': {
    load: () => import('./checkpoint-job.js'),
    isLong: false,
    isBackground: true,
  },
  'workspace-base': { load: () => import('./base-job.js'), isLong: false },
} satisfies JobRegistry;

export type OverlayJobs = typeof OVERLAY_JOBS;

export type OverlayThreads = Pick<JobThreads<OverlayJobs>, 'run'>;
