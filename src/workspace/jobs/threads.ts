import type { TrafficCounts } from '../../store/traffic.js';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import { installed } from '../../util/installation.js';
import type {
  JobInput,
  JobName,
  JobProgress,
  JobRegistry,
  JobResult,
  JobRow,
  JobTarget,
} from './job.js';
import { JobThread } from './job-thread.js';
import { abortedJob } from './messages.js';
import type { WorkspaceJobs } from './registry.js';
import { JOBS } from './registry.js';

/** Threads at once, each with buffers and a cache of its own; more jobs wait their turn. */
const THREADS_MAX = 3;
/** Jobs that may be long at once: one thread is left to those that are short. */
const LONG_MAX = THREADS_MAX - 1;
/** How long a thread is kept that has nothing to do; the last one stays. */
const IDLE_MS_MAX = 30_000;

export interface JobOptions<Jobs extends JobRegistry, K extends JobName<Jobs>> {
  /** The next batch comes when it is done; what it throws ends the job. */
  readonly onRows?: (rows: readonly JobRow<Jobs, K>[]) => Promise<void> | void;
  readonly onProgress?: (progress: JobProgress) => void;
  readonly signal?: AbortSignal;
}

/** A job that runs, or waits for its turn. */
export interface JobState {
  readonly id: number;
  readonly name: string;
  readonly repository: string;
  /** Of performance.now(). */
  readonly startedMs: number;
  readonly progress: JobProgress;
}

/** A job has ended, and asked so much of its repository's bucket. */
export type OnJobTraffic = (
  job: Pick<JobState, 'name' | 'repository'>,
  counts: TrafficCounts,
) => void;

interface Waiting {
  readonly isLong: boolean;
  readonly start: () => void;
}

/** What a daemon runs in threads. */
export interface JobModule<Jobs extends JobRegistry> {
  readonly jobs: Jobs;
  /** What a thread runs, with the same jobs: a built file, as threads load no TypeScript. */
  readonly script: string;
}

export const WORKSPACE_JOBS: JobModule<WorkspaceJobs> = {
  jobs: JOBS,
  script: installed('dist/workspace/jobs/thread.js'),
};

/**
 * Runs jobs in threads that stay, so that a short one costs what it does: the thread,
 * its modules, databases and tree nodes are there already.
 */
export class JobThreads<Jobs extends JobRegistry> {
  readonly #home: string;
  readonly #registry: Jobs;
  readonly #script: string;
  readonly #onTraffic: OnJobTraffic;
  readonly #threads = new Set<JobThread>();
  readonly #jobs = new Map<number, JobState>();
  /** Repositories that are worked on exclusively, until the promise resolves. */
  readonly #held = new Map<string, Promise<void>>();
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #runningLong = 0;
  #lastId = 0;
  #sweep: NodeJS.Timeout | undefined;

  /** @param home the directory */
  constructor(
    home: string,
    { jobs, script }: JobModule<Jobs>,
    onTraffic: OnJobTraffic = () => undefined,
  ) {
    this.#home = home;
    this.#registry = jobs;
    this.#script = script;
    this.#onTraffic = onTraffic;
  }

  /**
   * @throws TarnError what the job threw, or onRows; aborted; internal when the thread died
   */
  async run<K extends JobName<Jobs>>(
    name: K,
    input: JobInput<Jobs, K>,
    options: JobOptions<Jobs, K> = {},
  ): Promise<JobResult<Jobs, K>> {
    const { signal, onProgress } = options;
    const { repository } = input as JobTarget;
    throwIfAborted(signal);
    while (this.#held.has(repository)) await this.#held.get(repository);
    this.#lastId += 1;
    const id = this.#lastId;
    const state = { id, name, repository, startedMs: performance.now() };
    const note = (progress: JobProgress): void => void this.#jobs.set(id, { ...state, progress });
    note({ files: 0, bytes: 0 });
    const listeners = {
      ...options,
      onProgress: (progress: JobProgress): void => {
        note(progress);
        onProgress?.(progress);
      },
      onTraffic: (counts: TrafficCounts): void => this.#onTraffic({ name, repository }, counts),
    } as const;
    const { isLong = false, isBackground = false } = this.#registry[name] ?? {};
    try {
      await this.#turn(isLong, signal);
      try {
        throwIfAborted(signal);
        const thread = this.#threadFor(repository, isBackground);
        // The registry's types say what comes of a job of that name.
        return (await thread.run(name, input, listeners as object)) as JobResult<Jobs, K>;
      } finally {
        this.#running -= 1;
        if (isLong) this.#runningLong -= 1;
      }
    } finally {
      this.#jobs.delete(id);
      this.#startNext();
    }
  }

  /** What runs and what waits, in the order in which it was asked for. */
  jobs(): JobState[] {
    return [...this.#jobs.values()];
  }

  /**
   * Does `work` while no job is on the repository and no thread has any of it open; jobs that are
   * asked for meanwhile wait.
   * @throws TarnError busy when a job is on it; what `work` throws
   */
  async exclusively<T>(repository: string, work: () => Promise<T>): Promise<T> {
    while (this.#held.has(repository)) await this.#held.get(repository);
    const job = this.jobs().find((each) => each.repository === repository);
    if (job !== undefined) {
      throw new TarnError('busy', `'${job.name}' is at work on repository '${repository}'`, {
        hint: 'wait for it to end, or interrupt it',
      });
    }
    let release = (): void => undefined;
    this.#held.set(repository, new Promise((resolve) => (release = resolve)));
    try {
      await Promise.all([...this.#threads].map((thread) => thread.forget(repository)));
      return await work();
    } finally {
      this.#held.delete(repository);
      release();
    }
  }

  /** Ends the threads; no job may run. */
  async close(): Promise<void> {
    clearTimeout(this.#sweep);
    await Promise.all([...this.#threads].map((thread) => thread.end()));
  }

  /** Resolves when the job may run, and counts it as running. */
  #turn(isLong: boolean, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        isLong,
        start: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(abortedJob());
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiting);
      this.#startNext();
    });
  }

  #startNext(): void {
    if (this.#running >= THREADS_MAX) return;
    const isLongFull = this.#runningLong >= LONG_MAX;
    const index = this.#waiting.findIndex(({ isLong }) => !isLong || !isLongFull);
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (next === undefined) return;
    this.#running += 1;
    if (next.isLong) this.#runningLong += 1;
    next.start();
  }

  #threadFor(repository: string, isBackground: boolean): JobThread {
    const ofItsKind = [...this.#threads].filter((thread) => thread.isBackground === isBackground);
    // What was worked on last is at hand in the thread that was busy last.
    const idle = ofItsKind.filter((thread) => thread.isIdle).sort((a, b) => a.idleMs - b.idleMs);
    const found = idle.find((thread) => thread.knows(repository)) ?? idle[0];
    if (found !== undefined) return found;
    const about = { home: this.#home, isBackground };
    const made: JobThread = new JobThread(this.#script, about, () => {
      this.#threads.delete(made);
    });
    this.#threads.add(made);
    this.#endIdleLater();
    return made;
  }

  /** Looks again as long as there is more than one thread. */
  #endIdleLater(): void {
    if (this.#threads.size < 2) return;
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      for (const thread of this.#threads) {
        if (this.#threads.size < 2) return;
        if (!thread.isIdle || thread.idleMs < IDLE_MS_MAX) continue;
        this.#threads.delete(thread);
        void thread.end();
      }
      this.#endIdleLater();
    }, IDLE_MS_MAX).unref();
  }
}
