import { TarnError } from '../util/errors.js';
import type { JobRow, Progress } from './protocol.js';

/** How far a running job is; the runner updates it. */
export interface Job {
  readonly repository: string;
  update(progress: Progress): void;
}

/** Jobs at once, each a thread with buffers of its own; more wait their turn. */
const RUNNING_MAX = 4;

/** What the daemon is busy with, for `daemon status` and to keep a repository from going away. */
export class Jobs {
  readonly #running = new Map<number, JobRow & { startedMs: number }>();
  readonly #waiting: (() => void)[] = [];
  #last = 0;
  #active = 0;

  /** Runs `work`, in its turn, as a job that shows until it ends. */
  async run<T>(operation: string, repository: string, work: (job: Job) => Promise<T>): Promise<T> {
    this.#last += 1;
    const id = this.#last;
    const row = { id, operation, repository, seconds: 0, files: 0, bytes: 0 };
    const startedMs = performance.now();
    this.#running.set(id, { ...row, startedMs });
    const update = ({ files, bytes }: Progress): void => {
      this.#running.set(id, { ...row, files, bytes, startedMs });
    };
    try {
      await this.#turn();
      return await work({ repository, update });
    } finally {
      this.#running.delete(id);
      this.#active -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** A turn that its job no longer wants comes all the same: the work begins by seeing that. */
  async #turn(): Promise<void> {
    this.#active += 1;
    if (this.#active <= RUNNING_MAX) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  rows(): JobRow[] {
    const nowMs = performance.now();
    return [...this.#running.values()].map(({ startedMs, ...row }) => ({
      ...row,
      seconds: Math.round((nowMs - startedMs) / 100) / 10,
    }));
  }

  /** @throws TarnError busy when a job works on the repository, or waits to */
  checkNone(repository: string): void {
    const job = this.rows().find((each) => each.repository === repository);
    if (job === undefined) return;
    throw new TarnError('busy', `a ${job.operation} works on repository '${repository}'`, {
      hint: 'wait for it to end, or interrupt it',
    });
  }
}
