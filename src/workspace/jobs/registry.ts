import type { JobRegistry } from './job.js';

/** The jobs of workspaces, by the names under which `daemon status` shows them. */
export const JOBS = {
  put: { load: () => import('./put-job.js'), isLong: true },
  import: { load: () => import('./import-job.js'), isLong: true },
  'import-objects': { load: () => import('./import-objects-job.js'), isLong: true },
  rm: { load: () => import('./remove-job.js'), isLong: false },
  mv: { load: () => import('./move-job.js'), isLong: true },
  cp: { load: () => import('./copy-job.js'), isLong: true },
  reset: { load: () => import('./reset-job.js'), isLong: false },
  status: { load: () => import('./status-job.js'), isLong: false },
  commit: { load: () => import('./commit-job.js'), isLong: false },
  conflicts: { load: () => import('./conflicts-job.js'), isLong: false },
  decide: { load: () => import('./decide-job.js'), isLong: false },
  discard: { load: () => import('./discard-job.js'), isLong: false },
  merge: { load: () => import('./merge-job.js'), isLong: false },
  revert: { load: () => import('./revert-job.js'), isLong: false },
  'cherry-pick': { load: () => import('./cherry-pick-job.js'), isLong: false },
  'merge-base': { load: () => import('./merge-base-job.js'), isLong: false },
  resolve: { load: () => import('./resolve-job.js'), isLong: false },
  settings: { load: () => import('./settings-job.js'), isLong: false },
  diff: { load: () => import('./diff-job.js'), isLong: false },
  'diff-stat': { load: () => import('./diff-stat-job.js'), isLong: false },
  log: { load: () => import('./log-job.js'), isLong: false },
  blame: { load: () => import('./blame-job.js'), isLong: false },
  bisect: { load: () => import('./bisect-job.js'), isLong: false },
  fsck: { load: () => import('./fsck-job.js'), isLong: true },
  show: { load: () => import('./show-job.js'), isLong: false },
} satisfies JobRegistry;

export type WorkspaceJobs = typeof JOBS;
