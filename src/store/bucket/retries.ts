import { randomUUID } from 'node:crypto';
import { TarnError } from '../../util/errors.js';
import type { Around, BucketCall } from './around.js';
import { aroundBucket } from './around.js';
import type { Bucket, BucketParts, BucketPut, BucketTag } from './bucket.js';
import { Circuit, pause } from './circuit.js';
import { allowanceMs, within } from './deadline.js';
import { TransientFault } from './faults.js';

export interface RetryPolicy {
  /** From the first attempt, or the last byte that came, to the end; beside what bytes to send may take. */
  readonly timeoutMs: number;
  readonly attemptsMax: number;
  /** Longest wait before the second attempt; it doubles with each. */
  readonly waitMs: number;
  /** Gives each attempt its turn. */
  readonly limit: Around;
  /** Told when the store asks for fewer requests. */
  readonly onThrottled?: () => void;
  /** Told before a request is sent once more. */
  readonly onRetry?: () => void;
  /** As of Circuit. */
  readonly onCircuit?: (openSinceMs: number | undefined) => void;
}

const WAIT_MS_MAX = 5_000;
/** Retries that are left: each takes one, and each success gives back a part of one. */
const BUDGET_MAX = 50;
const BUDGET_OF_SUCCESS = 0.2;

/**
 * Tries again what may succeed later: after random waits that grow, as long as the call's time and
 * the budget of retries, which all calls share, allow it.
 *
 * A conditional put whose answer was lost may have been done; its retry then finds the condition
 * broken by its own object. So each carries a writer of its own in the object's metadata, and such a
 * put has succeeded when the object there has it. If somebody else has replaced that object since,
 * the put is a conflict although its object was there for a while.
 */
export function withRetries(inner: Bucket, policy: RetryPolicy): Bucket {
  const retries = new Retries(inner.url, policy);
  const plain = aroundBucket(inner, (call, run) => retries.run(call, run));
  return {
    ...plain,
    put: (key, bytes, options) => {
      if (!isConditional(options)) return plain.put(key, bytes, options);
      const writer = options.writer ?? randomUUID();
      const { signal } = options;
      const sent = bytes.length;
      const sure = new OwnPut(inner, key, writer, bytes);
      return retries.run({ method: 'put', key, sent, signal }, (attempt) =>
        sure.orOwn(attempt, () => inner.put(key, bytes, { ...options, writer, signal: attempt })),
      );
    },
    startParts: async (key, size, given) => {
      const writer = given.writer ?? randomUUID();
      const options = { ...given, writer };
      const { signal } = options;
      const parts = await retries.run({ method: 'start', key, sent: 0, signal }, (attempt) =>
        inner.startParts(key, size, { ...options, signal: attempt }),
      );
      return retriedParts(parts, key, retries, new OwnPut(inner, key, writer));
    },
  };
}

function retriedParts(
  inner: BucketParts,
  key: string,
  retries: Retries,
  sure: OwnPut,
): BucketParts {
  return {
    partBytes: inner.partBytes,
    atOnce: inner.atOnce,
    isResumable: inner.isResumable,
    put: (index, bytes, signal) =>
      retries.run({ method: 'part', key, sent: bytes.length, signal }, (attempt) =>
        inner.put(index, bytes, attempt),
      ),
    complete: (signal) =>
      retries.run({ method: 'complete', key, sent: 0, signal }, (attempt) =>
        sure.orOwn(attempt, () => inner.complete(attempt)),
      ),
    abort: () =>
      retries.run({ method: 'abort', key, sent: 0, signal: undefined }, () => inner.abort()),
  };
}

function isConditional({ ifMatch, ifNoneMatch }: BucketPut): boolean {
  return ifMatch !== undefined || ifNoneMatch !== undefined;
}

/** A put that may have been done although it failed. */
class OwnPut {
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #writer: string;
  readonly #bytes: Uint8Array | undefined;
  #mayBeDone = false;

  /** @param bytes to compare where the store keeps no metadata */
  constructor(bucket: Bucket, key: string, writer: string, bytes?: Uint8Array) {
    this.#bucket = bucket;
    this.#key = key;
    this.#writer = writer;
    this.#bytes = bytes;
  }

  async orOwn(signal: AbortSignal | undefined, put: () => Promise<BucketTag>): Promise<BucketTag> {
    try {
      return await put();
    } catch (error) {
      if (error instanceof TransientFault) this.#mayBeDone = true;
      else if (this.#mayBeDone && isRefusal(error)) {
        const own = await this.#own(signal);
        if (own !== undefined) return own;
      }
      throw error;
    }
  }

  async #own(signal: AbortSignal | undefined): Promise<BucketTag | undefined> {
    const found = await this.#bucket.head(this.#key, { signal });
    if (found === undefined) return undefined;
    if (found.writer !== undefined || this.#bytes === undefined) {
      return found.writer === this.#writer ? { etag: found.etag } : undefined;
    }
    const there = await this.#bucket.get(this.#key, { ifMatch: found.etag, signal });
    const isOwn = there !== 'behind-end' && Buffer.compare(there.bytes, this.#bytes) === 0;
    return isOwn ? { etag: found.etag } : undefined;
  }
}

/** A conflict; or the parts are gone, since they have become an object. */
function isRefusal(error: unknown): boolean {
  return error instanceof TarnError && (error.kind === 'conflict' || error.kind === 'not-found');
}

class Retries {
  readonly #policy: RetryPolicy;
  readonly #circuit: Circuit;
  readonly #url: string;
  #budget = BUDGET_MAX;

  constructor(url: string, policy: RetryPolicy) {
    this.#url = url;
    this.#policy = policy;
    this.#circuit = new Circuit(url, policy.timeoutMs, policy.onCircuit);
  }

  async run<T>(
    call: BucketCall,
    attempt: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    const limitMs = this.#policy.timeoutMs + allowanceMs(call);
    let last: TransientFault | undefined;
    const overdue = (): TarnError =>
      new TarnError(
        'unavailable',
        `'${this.#url}' did not do it within ${limitMs} ms (${call.method} '${call.key}')${last === undefined ? '' : `; ${last.message}`}`,
        {
          hint: 'see whether the network and the store are up; a daemon with a longer TARN_TIMEOUT waits longer',
        },
      );
    return within(limitMs, overdue, call.signal, async (signal) => {
      for (let tried = 1; ; tried += 1) {
        const outcome = await this.#once({ ...call, signal }, attempt);
        if ('done' in outcome) return outcome.done;
        last = outcome.fault;
        if (last.isThrottled) this.#policy.onThrottled?.();
        if (tried >= this.#policy.attemptsMax || this.#budget < 1) throw gaveUp(last, tried);
        this.#budget -= 1;
        await pause(this.#waitMs(last, tried), signal);
        this.#policy.onRetry?.();
      }
    });
  }

  async #once<T>(
    call: BucketCall,
    attempt: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<{ done: T } | { fault: TransientFault }> {
    try {
      // Those who come to their turn after the store has failed wait for it to answer again.
      const done = await this.#policy.limit(call, (signal) => this.#admitted(signal, attempt));
      return { done };
    } catch (error) {
      if (error instanceof TransientFault) return { fault: error };
      throw error;
    }
  }

  async #admitted<T>(
    signal: AbortSignal | undefined,
    attempt: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    await this.#circuit.admit(signal);
    try {
      const done = await attempt(signal);
      this.#succeeded();
      return done;
    } catch (error) {
      if (error instanceof TransientFault) this.#circuit.failed();
      else if (error instanceof TarnError && error.kind === 'aborted') this.#circuit.cancelled();
      else this.#succeeded();
      throw error;
    }
  }

  /** It answered, if only to refuse. */
  #succeeded(): void {
    this.#circuit.succeeded();
    this.#budget = Math.min(BUDGET_MAX, this.#budget + BUDGET_OF_SUCCESS);
  }

  #waitMs(fault: TransientFault, tried: number): number {
    const longest = Math.min(WAIT_MS_MAX, this.#policy.waitMs * 2 ** (tried - 1));
    return Math.max(fault.afterMs, Math.random() * longest);
  }
}

function gaveUp(fault: TransientFault, tried: number): TarnError {
  return new TarnError('unavailable', `${fault.message} (tried ${tried} times)`, {
    hint:
      fault.hint ??
      'see whether the endpoint is right and the network and the store are up, and run the command again',
    cause: fault,
  });
}
