import type { SqliteContentIndex } from '../../cache/content-index.js';
import type { SqliteVerifiedStamps } from '../../cache/verified-stamps.js';
import type { Repository } from '../../repo/repository.js';
import type { Home } from '../home.js';
import type { Staging } from '../staging.js';
import type { Workspace } from '../workspace.js';

/** What every job's input names: the repository that it works on, as the home knows it. */
export interface JobTarget {
  readonly repository: string;
}

/** What a job finds open in its thread; the thread keeps it open for the next one. */
export interface JobContext {
  readonly home: Home;
  readonly repository: Repository;
  readonly staging: Staging;
  /** A branch that does not exist shows when the workspace is used. */
  workspace(this: void, name: string): Workspace;
  /** What the repository is known to hold, so that equal content is stored once. */
  contentIndex(this: void, signal: AbortSignal): Promise<SqliteContentIndex>;
  readonly stamps: SqliteVerifiedStamps;
}

export interface JobProgress {
  readonly files: number;
  readonly bytes: number;
  /** Path that is being worked on. */
  readonly current?: string;
}

/** What a job says while it runs. */
export interface JobOutput<Row> {
  /** Fires when the job is no longer wanted: heard only by a job that gives way (util/give-way.ts). */
  readonly signal: AbortSignal;
  progress(this: void, progress: JobProgress): void;
  /**
   * Hands rows over, in batches of some hundreds; waits while the reader is behind.
   * @throws TarnError aborted
   */
  rows(this: void, batch: readonly Row[]): Promise<void>;
}

/** What the module of a job exports as `run`. Inputs, rows and results are plain data. */
export type JobRun<Input extends JobTarget, Row, Result> = (
  context: JobContext,
  input: Input,
  out: JobOutput<Row>,
) => Promise<Result>;

/** How the registry knows a job. */
export interface JobEntry {
  /** Called in the job's thread only. */
  readonly load: () => Promise<{ readonly run: JobRun<never, never, unknown> }>;
  /** It may run for minutes: one thread is always left to those that do not. */
  readonly isLong: boolean;
  /** Nobody waits for it: it has what processor time others leave. */
  readonly isBackground?: boolean;
}

/** Jobs by name. */
export type JobRegistry = Readonly<Record<string, JobEntry>>;

export type JobName<Jobs extends JobRegistry> = keyof Jobs & string;

type RunOf<Jobs extends JobRegistry, K extends JobName<Jobs>> = Awaited<
  ReturnType<Jobs[K]['load']>
>['run'];

export type JobInput<Jobs extends JobRegistry, K extends JobName<Jobs>> =
  RunOf<Jobs, K> extends JobRun<infer Input, never, unknown> ? Input : never;
export type JobRow<Jobs extends JobRegistry, K extends JobName<Jobs>> =
  RunOf<Jobs, K> extends JobRun<never, infer Row, unknown> ? Row : never;
export type JobResult<Jobs extends JobRegistry, K extends JobName<Jobs>> =
  RunOf<Jobs, K> extends JobRun<never, never, infer Result> ? Result : never;
