import { describe, expect, it } from 'vitest';
import type { DaemonJobs } from '../../src/daemon/jobs.js';
import type { Output } from '../../src/daemon/output.js';
import { streamJob } from '../../src/daemon/stream-job.js';
import type { JobThreads } from '../../src/workspace/jobs/threads.js';

const BATCH = 200;

/** A job that hands over so many rows; how many batches it got rid of is noted. */
function threadsWith(batches: number, taken: { batches: number }): JobThreads<DaemonJobs> {
  const run = async (
    _name: string,
    _input: unknown,
    { onRows }: { onRows: (rows: unknown[]) => Promise<void> },
  ): Promise<unknown> => {
    for (let n = 0; n < batches; n += 1) {
      await onRows(Array.from({ length: BATCH }, (_, i) => n * BATCH + i));
      taken.batches += 1;
    }
    return 'done';
  };
  return { run } as unknown as JobThreads<DaemonJobs>;
}

describe('a job that answers with rows', () => {
  const start = (batches: number, row: (n: number) => Promise<void>) => {
    const taken = { batches: 0 };
    const rows: number[] = [];
    const output = {
      row: (n: number) => (rows.push(n), row(n)),
      flush: async () => undefined,
      progress: () => undefined,
    } as unknown as Output<number>;
    const { signal } = new AbortController();
    const answer = { output, signal, row: (each: unknown) => Number(each) };
    const input = { repository: 'drive', ref: 'main', path: '' } as never;
    const done = streamJob(threadsWith(batches, taken), 'blame', input, answer);
    return { taken, rows, done };
  };

  it('sends each row once, in order', async () => {
    const { rows, done } = start(100, async () => undefined);
    expect(await done).toBe('done');
    expect(rows).toEqual(Array.from({ length: 100 * BATCH }, (_, n) => n));
  });

  it('is let run ahead of a reader who has stopped, but not without end', async () => {
    let goOn = (): void => undefined;
    const stopped = new Promise<void>((resolve) => (goOn = resolve));
    const short = start(20, () => stopped);
    const long = start(1_000, () => stopped);
    await expect.poll(() => short.taken.batches).toBe(20);
    await expect.poll(() => long.taken.batches).toBe(50);
    goOn();
    expect(await Promise.all([short.done, long.done])).toEqual(['done', 'done']);
    expect(long.rows).toHaveLength(1_000 * BATCH);
  });

  it('ends with what the reader ended with', async () => {
    const { done, taken } = start(10_000, () => Promise.reject(new Error('gone')));
    await expect(done).rejects.toThrow('gone');
    expect(taken.batches).toBeLessThan(60);
  });
});
