import { TarnError } from './errors.js';

/** @throws TarnError aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal);
}

/**
 * The promise's outcome, or an aborted error as soon as `signal` fires: for work that goes on for
 * the sake of others who wait for it.
 * @throws TarnError aborted
 */
export async function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(abortedError(signal));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}

function abortedError(signal: AbortSignal): TarnError {
  return new TarnError('aborted', 'interrupted before it was done', { cause: signal.reason });
}
