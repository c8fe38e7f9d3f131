import { describe, expect, test } from 'vitest';
import type { BucketCall } from '../../../src/store/bucket/around.js';
import { aroundBucket } from '../../../src/store/bucket/around.js';
import { BucketStore } from '../../../src/store/bucket/bucket-store.js';
import { RequestLimit } from '../../../src/store/bucket/limit.js';
import { withDeadline } from '../../../src/store/bucket/deadline.js';
import { BucketMetrics } from '../../../src/store/bucket/metrics.js';
import { withRetries } from '../../../src/store/bucket/retries.js';
import { runObjectStoreSuite } from '../../suites/object-store.js';
import type { Failure } from './failing.js';
import { failing } from './failing.js';
import { MemoryBucket } from './memory-bucket.js';

interface Opened {
  readonly store: BucketStore;
  readonly memory: MemoryBucket;
  readonly metrics: BucketMetrics;
  readonly limit: RequestLimit;
}

/** As openBucket makes it, with short waits, over a bucket whose requests fail as planned. */
function open(
  plan: (call: BucketCall) => Failure | undefined,
  { attemptsMax = 5, timeoutMs = 5_000 } = {},
): Opened {
  const memory = new MemoryBucket();
  const metrics = new BucketMetrics();
  const limit = new RequestLimit();
  const counted = aroundBucket(aroundBucket(memory, failing(plan)), metrics.around);
  const bucket = withRetries(aroundBucket(counted, withDeadline(50)), {
    timeoutMs,
    limit: limit.around,
    attemptsMax,
    waitMs: 2,
    onThrottled: () => limit.throttled(),
  });
  return { store: new BucketStore(bucket, { metrics }), memory, metrics, limit };
}

/** The first `count` requests fail. */
function first(count: number, failure: Failure): () => Failure | undefined {
  let seen = 0;
  return () => {
    seen += 1;
    return seen <= count ? failure : undefined;
  };
}

runObjectStoreSuite('a bucket whose every third request fails or loses its answer', async () => {
  let seen = 0;
  const plan = (): Failure | undefined => {
    seen += 1;
    if (seen % 3 !== 0) return undefined;
    return seen % 2 === 0 ? { kind: 'error' } : { kind: 'done-but-error' };
  };
  return { store: open(plan).store, teardown: async () => undefined };
});

describe('retries', () => {
  test('a conditional put whose answer is lost is its own; by another it is a conflict', async () => {
    const { store, memory } = open(first(2, { kind: 'done-but-error' }));
    const made = await store.put('k', Buffer.from('same'), { ifNoneMatch: '*' });
    expect(made.etag).toBe(memory.objects.get('k')?.etag);
    const other = open(first(1, { kind: 'error' }));
    await other.memory.put('k', Buffer.from('same'), { writer: 'somebody' });
    await expect(
      other.store.put('k', Buffer.from('same'), { ifNoneMatch: '*' }),
    ).rejects.toMatchObject({ kind: 'conflict' });
  });

  test('a conditional put that was done and then replaced by another is a conflict', async () => {
    let puts = 0;
    const { store, memory } = open((call) => {
      if (call.method !== 'put') return undefined;
      puts += 1;
      if (puts === 1) return { kind: 'done-but-error' };
      memory.objects.clear();
      void memory.put('k', Buffer.from('later'), { writer: 'somebody' });
      return undefined;
    });
    await expect(store.put('k', Buffer.from('mine'), { ifNoneMatch: '*' })).rejects.toMatchObject({
      kind: 'conflict',
    });
  });

  test('an end comes to them, and the fault tells how often it was tried', async () => {
    const { store, metrics } = open(() => ({ kind: 'error' }), { attemptsMax: 3 });
    const fault = await store.head('k').catch((error: unknown) => error);
    expect(fault).toMatchObject({ kind: 'unavailable' });
    expect(String(fault)).toContain('(tried 3 times)');
    expect(metrics.requests).toBe(3);
  });

  test('what was answered is not asked again', async () => {
    const { store, metrics } = open(() => undefined);
    await expect(store.get('none')).rejects.toMatchObject({ kind: 'not-found' });
    expect(metrics.requests).toBe(1);
  });

  test('a request that stalls is given up and sent again', async () => {
    const { store } = open(first(1, { kind: 'stall' }));
    expect(await store.head('k')).toBeUndefined();
  });

  test('a store that is down is asked by one at a time, not by all', async () => {
    const { store, metrics } = open(() => ({ kind: 'error' }), { timeoutMs: 1_000 });
    const calls = Array.from({ length: 200 }, (_, i) => store.head(`k${i}`));
    const stop = new AbortController();
    const late = store.head('late', stop.signal);
    stop.abort();
    await expect(late).rejects.toMatchObject({ kind: 'aborted' });
    const outcomes = await Promise.allSettled(calls);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'unavailable' } });
    }
    expect(metrics.requests).toBeLessThan(40);
  });

  test('a storm of refusals makes fewer requests at once; then they become more again', async () => {
    let isStorm = true;
    const { store, limit } = open(() =>
      isStorm ? { kind: 'error', isThrottled: true } : undefined,
    );
    const before = limit.limit;
    await expect(store.head('k')).rejects.toMatchObject({ kind: 'unavailable' });
    expect(limit.limit).toBeLessThan(before);
    isStorm = false;
    const low = limit.limit;
    for (let round = 0; round < 30; round += 1) {
      await Promise.all(Array.from({ length: 40 }, (_, i) => store.head(`k${i}`)));
    }
    expect(limit.limit).toBeGreaterThan(low);
  });
});
