import { TransientFault } from './faults.js';
import type { Around, BucketMethod } from './around.js';

export interface MethodCounts {
  /** HTTP requests, retries among them. */
  readonly requests: number;
  /** Those that failed so that they may succeed later, or got no answer. */
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

/** What was asked of a bucket since it was opened. */
export class BucketMetrics {
  readonly #counts = new Map<BucketMethod, MethodCounts>();

  readonly around: Around = async (call, run) => {
    const start = performance.now();
    let received = 0;
    let failures = 0;
    try {
      const result = await run(call.signal);
      received = bytesOf(result);
      return result;
    } catch (error) {
      if (error instanceof TransientFault) failures = 1;
      throw error;
    } finally {
      const { requests, ...counts } = this.#counts.get(call.method) ?? NONE;
      this.#counts.set(call.method, {
        requests: requests + 1,
        failures: counts.failures + failures,
        bytesSent: counts.bytesSent + call.sent,
        bytesReceived: counts.bytesReceived + received,
        totalMs: counts.totalMs + performance.now() - start,
      });
    }
  };

  counts(): BucketCounts {
    return Object.fromEntries(this.#counts);
  }

  /** Requests of all methods. */
  get requests(): number {
    return [...this.#counts.values()].reduce((sum, { requests }) => sum + requests, 0);
  }
}

function bytesOf(result: unknown): number {
  const { bytes } = (result ?? {}) as { bytes?: unknown };
  return bytes instanceof Uint8Array ? bytes.length : 0;
}
