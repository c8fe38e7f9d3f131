import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ProxyFault, SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { BucketStore } from '../../src/store/bucket/bucket-store.js';
import { openBucket } from '../../src/store/open-bucket.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';

let server: StoreServer;
let proxy: SlowProxy;
let store: BucketStore;
let url: BucketUrl;

beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
});
afterAll(() => server.stop());

beforeEach(async () => {
  proxy = await startSlowProxy(server.endpoint);
  const place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  url = { ...place, options: { ...place.options, endpoint: proxy.endpoint } };
  store = await openBucket(url, { timeoutMs: 5_000 });
});
afterEach(async () => {
  await store.close();
  await proxy.stop();
});

/** The next `count` requests meet the fault. */
function failNext(fault: ProxyFault, count = 1): void {
  const first = proxy.requests;
  proxy.rules = { fault: (request) => (request < first + count ? fault : undefined) };
}

const BYTES = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 0xff));
const FAULTS: readonly ProxyFault[] = [
  { kind: 'reset' },
  { kind: 'lost-answer' },
  { kind: 'truncate', afterBytes: 60 },
  { kind: 'truncate', afterBytes: 100_000 },
  { kind: 'stall' },
];

describe('a store behind a bad line', () => {
  test.each(FAULTS)('$kind: what is read is right', async (fault) => {
    await store.put('k', BYTES);
    failNext(fault, 2);
    expect(Buffer.compare(await store.get('k'), BYTES)).toBe(0);
    failNext(fault);
    expect((await store.getTagged('k'))?.bytes.length).toBe(BYTES.length);
    failNext(fault);
    expect(await store.head('k')).toMatchObject({ size: BYTES.length });
    const into = Buffer.alloc(BYTES.length);
    failNext(fault, 2);
    const bytes = await store.get('k', { range: { offset: 0, length: BYTES.length }, into });
    expect(Buffer.compare(bytes, BYTES)).toBe(0);
  });

  test.each(FAULTS)('$kind: a conditional put succeeds once, and knows its own', async (fault) => {
    failNext(fault, 2);
    const first = await store.put('k', Buffer.from('first'), { ifNoneMatch: '*' });
    failNext(fault);
    const second = await store.put('k', Buffer.from('second'), { ifMatch: first.etag });
    expect(await store.head('k')).toEqual({ key: 'k', size: 6, etag: second.etag });
  });

  test('the equal bytes of another are not taken for its own', async () => {
    await store.put('k', Buffer.from('same'), { ifNoneMatch: '*' });
    failNext({ kind: 'lost-answer' });
    await expect(store.put('k', Buffer.from('same'), { ifNoneMatch: '*' })).rejects.toMatchObject({
      kind: 'conflict',
    });
  });

  test('an object in parts is there once and whole, whichever request fails', async () => {
    const piece = Buffer.alloc(5_000_000, 7);
    for (const at of [1, 3, 4, 5]) {
      const upload = await store.upload();
      for (let i = 0; i < 4; i += 1) await upload.write(piece);
      const first = proxy.requests;
      proxy.rules = {
        fault: (request) => (request === first + at ? { kind: 'lost-answer' } : undefined),
      };
      const key = `large/${at}`;
      expect(await upload.finish(key)).toMatchObject({ key, size: 20_000_000, created: true });
      expect((await store.get(key)).length).toBe(20_000_000);
    }
  });

  test('one that never answers is unavailable, within the time limit, in words that name it', async () => {
    const hurried = await openBucket(url, { timeoutMs: 1_500 });
    proxy.rules = { fault: () => ({ kind: 'stall' }) };
    const fault = await hurried.get('k').catch((error: unknown) => error);
    expect(fault).toMatchObject({ kind: 'unavailable', hint: expect.any(String) as string });
    expect(String(fault)).toContain(url.bucket);
    await hurried.close();
  });

  test('a signal ends what waits for an answer', async () => {
    proxy.rules = { fault: () => ({ kind: 'stall' }) };
    const stop = new AbortController();
    const reading = store.get('k', { signal: stop.signal });
    const seen = expect(reading).rejects.toMatchObject({ kind: 'aborted' });
    stop.abort();
    await seen;
  });

  test('requests that come apart are counted, with their bytes', async () => {
    await store.put('k', BYTES);
    await store.get('k', { range: { offset: 5, length: 10 } });
    failNext({ kind: 'reset' });
    await store.head('k');
    expect(store.counts()).toMatchObject({
      put: { requests: 1, failures: 0, bytesSent: BYTES.length },
      get: { requests: 1, bytesReceived: 10 },
      head: { requests: 2, failures: 1 },
    });
  });
});
