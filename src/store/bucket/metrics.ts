import { asTarnError } from '../../util/errors.js';
import type { ErrorKind } from '../../util/errors.js';
import type { Around, BucketMethod } from './around.js';

export interface MethodCounts {
  /** HTTP requests, retries among them. */
  readonly requests: number;
  /** Those that got no answer, or one of a fault: not that an object is absent, or not as expected. */
  readonly failures: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Time from the request to its whole answer, added up. */
  readonly totalMs: number;
}

export type BucketCounts = Readonly<Partial<Record<BucketMethod, MethodCounts>>>;

const NONE: MethodCounts = {
  requests: 0,
  failures: 0,
  bytesSent: 0,
  bytesReceived: 0,
  totalMs: 0,
};

/** Answers that say how things are, and what was no longer wanted. */
const NO_FAULTS: ReadonlySet<ErrorKind> = new Set(['not-found', 'conflict', 'aborted']);

/** What is asked of a bucket, by all that have it open with these. */
export class BucketMetrics {
  readonly #counts = new Map<BucketMethod, MethodCounts>();
  #retries = 0;
  #openSinceMs: number | undefined;

  /** Requests that were sent because one like them had failed. */
  get retries(): number {
    return this.#retries;
  }

  /** Since when the store has not answered and is asked only now and then (circuit.ts). */
  get openSinceMs(): number | undefined {
    return this.#openSinceMs;
  }

  readonly around: Around = async (call, run) => {
    const start = performance.now();
    let received = 0;
    let failures = 0;
    try {
      const result = await run(call.signal);
      received = bytesOf(result);
      return result;
    } catch (error) {
      if (!NO_FAULTS.has(asTarnError(error).kind)) failures = 1;
      throw error;
    } finally {
      this.#add(call.method, {
        requests: 1,
        failures,
        bytesSent: call.sent,
        bytesReceived: received,
        totalMs: performance.now() - start,
      });
    }
  };

  retried(): void {
    this.#retries += 1;
  }

  /** @param openSinceMs undefined once the store has answered */
  circuit(openSinceMs: number | undefined): void {
    this.#openSinceMs = openSinceMs;
  }

  /** What was counted elsewhere. */
  add(counts: BucketCounts, retries: number, openSinceMs: number | undefined): void {
    for (const [method, more] of Object.entries(counts)) this.#add(method as BucketMethod, more);
    this.#retries += retries;
    this.#openSinceMs = openSinceMs;
  }

  /** What is open stays so. */
  clear(): void {
    this.#counts.clear();
    this.#retries = 0;
  }

  counts(): BucketCounts {
    return Object.fromEntries(this.#counts);
  }

  /** Requests of all methods. */
  get requests(): number {
    return [...this.#counts.values()].reduce((sum, { requests }) => sum + requests, 0);
  }

  #add(method: BucketMethod, more: MethodCounts): void {
    const { requests, failures, bytesSent, bytesReceived, totalMs } =
      this.#counts.get(method) ?? NONE;
    this.#counts.set(method, {
      requests: requests + more.requests,
      failures: failures + more.failures,
      bytesSent: bytesSent + more.bytesSent,
      bytesReceived: bytesReceived + more.bytesReceived,
      totalMs: totalMs + more.totalMs,
    });
  }
}

function bytesOf(result: unknown): number {
  const { bytes } = (result ?? {}) as { bytes?: unknown };
  return bytes instanceof Uint8Array ? bytes.length : 0;
}
