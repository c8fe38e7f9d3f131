import type { Resolved } from '../../repo/resolve.js';
import type { JobRun, JobTarget } from './job.js';

export interface ResolveInput extends JobTarget {
  /** An expression. */
  readonly ref: string;
}

/** Resolves an expression that goes far back: a thread reads commits without giving way. */
export const run: JobRun<ResolveInput, never, Resolved> = ({ repository }, { ref }, { signal }) =>
  repository.resolve(ref, signal);
