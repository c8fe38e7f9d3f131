import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoreServer, StoreServerKind } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { BucketStore } from '../../src/store/bucket/bucket-store.js';
import type { Upload } from '../../src/store/object-store.js';
import { openBucket } from '../../src/store/open-bucket.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { runObjectStoreSuite } from '../suites/object-store.js';

async function first<T>(listing: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of listing) return item;
  return undefined;
}

const KINDS: readonly StoreServerKind[] = ['moto', 's3s-fs', 'azurite', 'fake-gcs'];

describe.each(KINDS)('over a socket', (kind) => {
  let server: StoreServer | undefined;
  beforeAll(async () => {
    server = await startStoreServer(kind);
    Object.assign(process.env, server.environment);
  });
  afterAll(() => server?.stop());

  const open = async (): Promise<BucketStore> => {
    const url = parseStorageUrl((await server?.makeBucket()) ?? '') as BucketUrl;
    return openBucket({ ...url, prefix: 'fleet/tarn' });
  };

  // Not over s3s-fs: of several conditional puts at once it takes more than one, and its listings tell
  // no ETag. The probe says so (probe.test.ts).
  if (kind !== 's3s-fs') {
    runObjectStoreSuite(kind, async () => ({
      store: await open(),
      teardown: async () => undefined,
    }));
  }

  test('a large object is sent in parts and read in pieces, and sent once', async () => {
    const store = await open();
    const block = Buffer.from(Uint8Array.from({ length: 1_000_003 }, (_, i) => (i * 31) & 0xff));
    const upload = async (): Promise<Upload> => {
      const started = await store.upload();
      for (let i = 0; i < 40; i += 1) await started.write(block);
      return started;
    };
    const size = 40 * block.length;
    const made = await (await upload()).finish('large');
    expect(made).toEqual({ key: 'large', size, etag: made.etag, created: true });
    expect(await store.head('large')).toEqual({ key: 'large', size, etag: made.etag });
    expect(Buffer.compare(await store.get('large'), Buffer.concat(Array(40).fill(block)))).toBe(0);
    const range = { offset: block.length, length: 20 * block.length };
    expect(
      Buffer.compare(await store.get('large', { range }), Buffer.concat(Array(20).fill(block))),
    ).toBe(0);
    expect(await (await upload()).finish('large')).toEqual({ ...made, created: false });
    const { part, put } = store.counts();
    expect((part?.bytesSent ?? 0) + (put?.bytesSent ?? 0)).toBeLessThanOrEqual(size);
    await store.close();
  });

  test('the last bytes of an object that has fewer are all of it', async () => {
    const store = await open();
    await store.put('digits', Buffer.from('0123456789'));
    for (const last of [3, 10, 11, 262_144]) {
      const found = await store.get('digits', { range: { last } });
      expect(Buffer.from(found).toString()).toBe('0123456789'.slice(-last));
    }
    await store.close();
  });

  test('a bucket that is not there is unavailable, by name', async () => {
    const url = parseStorageUrl((await server?.makeBucket()) ?? '') as BucketUrl;
    const store = await openBucket({ ...url, bucket: 'no-such-bucket' });
    await expect(first(store.list(''))).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('no-such-bucket') as string,
    });
    await store.close();
  });
});
