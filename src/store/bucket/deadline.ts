import { setMaxListeners } from 'node:events';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import type { Around, BucketCall } from './around.js';
import { TransientFault } from './faults.js';

/** The slowest link that is waited for while bytes are sent. */
const BYTES_PER_MS_MIN = 64;

/** What the bytes that a request carries may take beside its time limit. */
export function allowanceMs({ sent }: Pick<BucketCall, 'sent'>): number {
  return Math.ceil(sent / BYTES_PER_MS_MIN);
}

/**
 * Ends each request that brings nothing for `attemptMs`, and the time that its own bytes may take,
 * with a TransientFault: also one whose client does not heed its signal.
 */
export function withDeadline(attemptMs: number): Around {
  return async (call, run) => {
    const limitMs = attemptMs + allowanceMs(call);
    const overdue = (): TransientFault =>
      new TransientFault(`no answer within ${limitMs} ms; ${call.method} '${call.key}'`);
    return within(limitMs, overdue, call.signal, run);
  };
}

/** What to do when something came, by the signal of the work that waited for it. */
const ON_PROGRESS = new WeakMap<AbortSignal, () => void>();

/** Something came: what waits with this signal begins its time anew. */
export function progressed(signal: AbortSignal | undefined): void {
  if (signal !== undefined) ON_PROGRESS.get(signal)?.();
}

/**
 * The outcome of `run`, whose signal fires when nothing has progressed for `limitMs` or when `signal`
 * does.
 * @throws what `overdue` makes; TarnError aborted
 */
export async function within<T>(
  limitMs: number,
  overdue: () => Error,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  const stop = new AbortController();
  let end: (error: Error) => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => (end = reject));
  ended.catch(() => undefined);
  const finish = (error: Error): void => {
    end(error);
    stop.abort(error);
  };
  const onAbort = (): void =>
    finish(new TarnError('aborted', 'interrupted before it was done', { cause: signal?.reason }));
  const timer = setTimeout(() => finish(overdue()), limitMs);
  ON_PROGRESS.set(stop.signal, () => {
    timer.refresh();
    progressed(signal);
  });
  // As many as there are calls with this signal: each takes its own away again.
  if (signal !== undefined) setMaxListeners(0, signal);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const running = run(stop.signal);
    running.catch(() => undefined);
    return await Promise.race([ended, running]);
  } finally {
    ON_PROGRESS.delete(stop.signal);
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
