import { constants, setPriority } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { parentPort, workerData } from 'node:worker_threads';
import type { ErrorKind } from '../../util/errors.js';
import { TarnError } from '../../util/errors.js';
import { unlessAborted } from '../../util/abort.js';
import type { JobContext, JobEntry, JobOutput, JobRun, JobTarget } from './job.js';
import type { AboutThread, FromThread, ToThread } from './messages.js';
import { abortedJob, BATCHES_MAX, plainError } from './messages.js';
import { KeptOpen } from './kept-open.js';

type Jobs = Readonly<Record<string, Pick<JobEntry, 'load'>>>;

/** The thread's side of JobThread: runs jobs one after the other and keeps what they opened. */
class Thread {
  readonly #port: MessagePort;
  readonly #jobs: Jobs;
  readonly #open: KeptOpen;
  #job: RunningJob | undefined;

  constructor(port: MessagePort, home: string, jobs: Jobs) {
    this.#port = port;
    this.#jobs = jobs;
    this.#open = new KeptOpen(home);
  }

  async hear(message: ToThread): Promise<void> {
    switch (message.kind) {
      case 'run':
        return this.#run(message.name, message.input);
      case 'abort':
        return this.#job?.abort();
      case 'taken':
        return this.#job?.taken();
      case 'forget':
        await this.#open.forget(message.repository);
        return this.#say({ kind: 'forgotten' });
      case 'end':
        await this.#open.close();
        return this.#port.close();
    }
  }

  async #run(name: string, input: JobTarget): Promise<void> {
    const job = new RunningJob((message) => this.#say(message));
    this.#job = job;
    try {
      const module = await this.#jobs[name]?.load();
      if (module === undefined) throw new TarnError('internal', `there is no job '${name}'`);
      // The sender's types say that the input is this job's.
      const run = module.run as JobRun<JobTarget, unknown, unknown>;
      const context: JobContext = await this.#open.contextFor(input.repository);
      const result = await run(context, input, job.output);
      this.#job = undefined;
      this.#say({ kind: 'done', result, traffic: this.#open.takeTraffic(input.repository) });
    } catch (thrown) {
      const error = plainError(job.output.signal.aborted ? abortedJob() : thrown);
      if (BREAKING.has(error.kind))
        await this.#open.forget(input.repository).catch(() => undefined);
      this.#job = undefined;
      this.#say({ kind: 'failed', error, traffic: this.#open.takeTraffic(input.repository) });
    }
  }

  #say(message: FromThread): void {
    this.#port.postMessage(message);
  }
}

/** After these the repository is opened anew: its files may have been replaced or repaired by then. */
const BREAKING: ReadonlySet<ErrorKind> = new Set(['corrupt', 'io', 'no-space', 'internal']);

class RunningJob {
  readonly output: JobOutput<unknown>;
  readonly #controller = new AbortController();
  #batches = 0;
  #onTaken: (() => void) | undefined;

  constructor(say: (message: FromThread) => void) {
    const { signal } = this.#controller;
    this.output = {
      signal,
      progress: (progress) => say({ kind: 'progress', progress }),
      rows: async (rows) => {
        if (signal.aborted) throw abortedJob();
        say({ kind: 'rows', rows });
        this.#batches += 1;
        if (this.#batches < BATCHES_MAX) return;
        await unlessAborted(new Promise<void>((resolve) => (this.#onTaken = resolve)), signal);
      },
    };
  }

  abort(): void {
    this.#controller.abort(abortedJob());
  }

  taken(): void {
    this.#batches -= 1;
    this.#onTaken?.();
  }
}

/**
 * Serves a JobThread from within its thread, until it is told to end.
 * @param jobs how each is loaded, by its name
 */
export function serveJobs(jobs: Jobs): void {
  const port = parentPort;
  if (port === null) throw new TarnError('internal', 'jobs run only in a worker thread');
  const { home, isBackground } = workerData as AboutThread;
  // On Linux of the calling thread alone.
  if (isBackground) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const thread = new Thread(port, home, jobs);
  port.on('message', (message: ToThread) => void thread.hear(message));
}
