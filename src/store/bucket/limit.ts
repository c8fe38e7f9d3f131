import { setMaxListeners } from 'node:events';
import { TarnError } from '../../util/errors.js';
import type { Around } from './around.js';
import { SOCKETS_MAX } from './agents.js';
import { progressed } from './deadline.js';

const START = 16;
const MIN = 1;
/** A storm of refusals is one event. */
const HALVED_EACH_MS = 500;

/**
 * As many requests in flight as help: one more after each round that went well, half as many when the
 * store asks for fewer.
 */
export class RequestLimit {
  #limit = START;
  #running = 0;
  #halvedMs = -HALVED_EACH_MS;
  /** What lets each go, with the signal that it waits with. */
  readonly #waiting = new Map<() => void, AbortSignal | undefined>();

  get limit(): number {
    return Math.floor(this.#limit);
  }

  readonly around: Around = async (call, run) => {
    if (this.#running < this.limit) this.#running += 1;
    else await this.#turn(call.signal);
    const isFull = this.#running >= this.limit;
    try {
      const result = await run(call.signal);
      if (isFull) this.#limit = Math.min(SOCKETS_MAX, this.#limit + 1 / this.#limit);
      // Whoever waits comes nearer: only a queue that stands takes of the time of a call.
      for (const signal of this.#waiting.values()) progressed(signal);
      return result;
    } finally {
      this.#running -= 1;
      this.#wake();
    }
  };

  throttled(): void {
    const nowMs = performance.now();
    if (nowMs - this.#halvedMs < HALVED_EACH_MS) return;
    this.#halvedMs = nowMs;
    this.#limit = Math.max(MIN, this.#limit / 2);
  }

  /** Waits; whoever is woken counts as running from then on. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        this.#waiting.delete(go);
        this.#running += 1;
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      const stop = (): void => {
        this.#waiting.delete(go);
        reject(
          new TarnError('aborted', 'interrupted before it was done', { cause: signal?.reason }),
        );
      };
      if (signal?.aborted === true) stop();
      else {
        if (signal !== undefined) setMaxListeners(0, signal);
        signal?.addEventListener('abort', stop, { once: true });
        this.#waiting.set(go, signal);
      }
    });
  }

  #wake(): void {
    for (const go of this.#waiting.keys()) {
      if (this.#running >= this.limit) return;
      go();
    }
  }
}
