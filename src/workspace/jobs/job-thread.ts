import { Worker } from 'node:worker_threads';
import type { TrafficCounts } from '../../store/traffic.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { JobProgress, JobTarget } from './job.js';
import type { AboutThread, FromThread, ToThread } from './messages.js';
import { abortedJob, fromPlainError } from './messages.js';

/** How long an aborted job may take to tidy up before its thread is ended. */
const ABORT_GRACE_MS = 10_000;
/** How long a thread may take to close what it has open. */
const END_MS_MAX = 2_000;

export interface JobListeners {
  /** The next batch comes when it is done; what it throws ends the job. */
  readonly onRows?: (rows: readonly unknown[]) => Promise<void> | void;
  readonly onProgress?: (progress: JobProgress) => void;
  /** Told once before the end what the job asked of its repository's bucket. */
  readonly onTraffic?: (counts: TrafficCounts) => void;
  readonly signal?: AbortSignal;
}

interface Running {
  readonly listeners: JobListeners;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Settles when all rows so far are taken; never rejects. */
  taking: Promise<void>;
  /** What a listener threw. */
  fault?: { readonly error: unknown };
  /** Set once the job was told to stop. */
  kill?: NodeJS.Timeout;
}

/** One thread that runs jobs, one at a time, and holds open what they use. */
export class JobThread {
  readonly isBackground: boolean;
  readonly #worker: Worker;
  readonly #repositories = new Set<string>();
  readonly #exited: Promise<void>;
  #forgetting: (() => void)[] = [];
  #job: Running | undefined;
  #isEnding = false;
  #idleSinceMs = performance.now();

  /** @param onExit called once when the thread has ended, however that came */
  constructor(script: string, about: AboutThread, onExit: () => void) {
    this.isBackground = about.isBackground;
    this.#worker = new Worker(script, { workerData: about, execArgv: [] });
    this.#worker.on('message', (message: FromThread) => this.#hear(message));
    this.#worker.on('error', (error) => {
      this.#isEnding = true;
      this.#fail(asTarnError(error, 'running a job in its thread'));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#fail(new TarnError('internal', `the thread of a job ended early, with code ${code}`));
        for (const forgotten of this.#forgetting.splice(0)) forgotten();
        onExit();
        resolve();
      });
    });
    this.#worker.unref();
  }

  get isIdle(): boolean {
    return this.#job === undefined && !this.#isEnding;
  }

  /** For how long there was nothing to do, if it is idle. */
  get idleMs(): number {
    return performance.now() - this.#idleSinceMs;
  }

  /** Whether a job on the repository ran here, so that it may be open and its nodes at hand. */
  knows(repository: string): boolean {
    return this.#repositories.has(repository);
  }

  /** @throws TarnError what the job threw; aborted; internal when the thread died */
  async run(name: string, input: JobTarget, listeners: JobListeners): Promise<unknown> {
    const { signal } = listeners;
    const abort = (): void => this.#abort();
    this.#repositories.add(input.repository);
    this.#worker.ref();
    try {
      return await new Promise((resolve, reject) => {
        this.#job = { listeners, resolve, reject, taking: Promise.resolve() };
        this.#post({ kind: 'run', name, input });
        signal?.addEventListener('abort', abort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      clearTimeout(this.#job?.kill);
      this.#job = undefined;
      this.#idleSinceMs = performance.now();
      this.#worker.unref();
    }
  }

  /** Resolves once nothing of the repository is open here; no job on it may run. */
  async forget(repository: string): Promise<void> {
    if (!this.#repositories.delete(repository)) return;
    const forgotten = new Promise<void>((resolve) => this.#forgetting.push(resolve));
    this.#post({ kind: 'forget', repository });
    await forgotten;
  }

  /** Lets the idle thread close what it has open, and ends it. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#post({ kind: 'end' });
    const kill = setTimeout(() => void this.#worker.terminate(), END_MS_MAX);
    await this.#exited;
    clearTimeout(kill);
  }

  #hear(message: FromThread): void {
    if (message.kind === 'forgotten') return this.#forgetting.shift()?.();
    const job = this.#job;
    if (job === undefined) return;
    switch (message.kind) {
      case 'progress':
        return job.listeners.onProgress?.(message.progress);
      case 'rows':
        job.taking = job.taking.then(() => this.#take(job, message.rows));
        return;
      case 'done':
        job.listeners.onTraffic?.(message.traffic);
        return this.#settle(job, () => job.resolve(message.result));
      case 'failed':
        job.listeners.onTraffic?.(message.traffic);
        return this.#settle(job, () => job.reject(fromPlainError(message.error)));
    }
  }

  /** The thread is not told of rows that could not be taken: its next ones wait until it stops. */
  async #take(job: Running, rows: readonly unknown[]): Promise<void> {
    if (job.fault !== undefined) return;
    try {
      await job.listeners.onRows?.(rows);
      this.#post({ kind: 'taken' });
    } catch (error) {
      job.fault = { error };
      this.#abort();
    }
  }

  #settle(job: Running, settle: () => void): void {
    void job.taking.then(() => {
      if (job.fault === undefined) settle();
      else job.reject(job.fault.error);
    });
  }

  #fail(error: TarnError): void {
    const job = this.#job;
    job?.reject(job.listeners.signal?.aborted === true ? abortedJob() : error);
  }

  #abort(): void {
    if (this.#job === undefined) return;
    this.#post({ kind: 'abort' });
    this.#job.kill ??= setTimeout(() => void this.#worker.terminate(), ABORT_GRACE_MS);
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}
