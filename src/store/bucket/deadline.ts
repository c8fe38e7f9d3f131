import { setMaxListeners } from 'node:events';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import type { Around, BucketCall } from './around.js';
import { TransientFault } from './faults.js';

/** The slowest link that is waited for. */
const BYTES_PER_MS_MIN = 64;

/** What the bytes of a request may take beside its time limit. */
export function allowanceMs({ sent, asked }: Pick<BucketCall, 'sent' | 'asked'>): number {
  return Math.ceil((sent + asked) / BYTES_PER_MS_MIN);
}

/**
 * Ends each request after `attemptMs`, and the time that its bytes may take, with a TransientFault:
 * also one that has stalled, or whose client does not heed its signal.
 */
export function withDeadline(attemptMs: number): Around {
  return async (call, run) => {
    const limitMs = attemptMs + allowanceMs(call);
    const overdue = (): TransientFault =>
      new TransientFault(`no answer within ${limitMs} ms; ${call.method} '${call.key}'`);
    return within(limitMs, overdue, call.signal, run);
  };
}

/**
 * The outcome of `run`, whose signal fires when it takes too long or `signal` does.
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
  // As many as there are calls with this signal: each takes its own away again.
  if (signal !== undefined) setMaxListeners(0, signal);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const running = run(stop.signal);
    running.catch(() => undefined);
    return await Promise.race([ended, running]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
