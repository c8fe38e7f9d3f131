import type { JobInput, JobName, JobResult, JobRow } from '../workspace/jobs/job.js';
import type { DaemonJobs } from './jobs.js';
import type { JobThreads } from '../workspace/jobs/threads.js';
import type { Output } from './output.js';

/**
 * Rows that a job may be ahead of its reader, so that one who reads a page at a time (`tarn log |
 * less`) keeps no thread from others: some 5 MB.
 */
const AHEAD_MAX = 10_000;

/** Runs a job and answers with its rows, each batch as it comes. @throws as JobThreads.run */
export async function streamJob<K extends JobName<DaemonJobs>, Row>(
  threads: JobThreads<DaemonJobs>,
  name: K,
  input: JobInput<DaemonJobs, K>,
  answer: {
    readonly row: (row: JobRow<DaemonJobs, K>) => Row;
    readonly output: Output<Row>;
    readonly signal: AbortSignal;
  },
): Promise<JobResult<DaemonJobs, K>> {
  const { row, output, signal } = answer;
  const sending = new Sending(output);
  const result = await threads.run(name, input, {
    signal,
    onRows: (rows) => sending.add(rows.map(row)),
    onProgress: (progress) => output.progress(progress),
  });
  await sending.end();
  return result;
}

class Sending<Row> {
  readonly #output: Output<Row>;
  #sent: Promise<void> = Promise.resolve();
  #waiting = 0;
  #fault: { readonly error: unknown } | undefined;

  constructor(output: Output<Row>) {
    this.#output = output;
  }

  /** Waits while too many have not been taken. */
  async add(rows: readonly Row[]): Promise<void> {
    this.#waiting += rows.length;
    this.#sent = this.#sent.then(() => this.#send(rows));
    if (this.#waiting > AHEAD_MAX) await this.#sent;
    this.#check();
  }

  async end(): Promise<void> {
    await this.#sent;
    this.#check();
  }

  async #send(rows: readonly Row[]): Promise<void> {
    if (this.#fault !== undefined) return;
    try {
      for (const row of rows) await this.#output.row(row);
      await this.#output.flush();
      this.#waiting -= rows.length;
    } catch (error) {
      this.#fault = { error };
    }
  }

  #check(): void {
    if (this.#fault !== undefined) throw this.#fault.error;
  }
}
