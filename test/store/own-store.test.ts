import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { BucketStore } from '../../src/store/bucket/bucket-store.js';
import { openBucket } from '../../src/store/open-bucket.js';
import { probeStore } from '../../src/store/probe.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { runObjectStoreSuite } from '../suites/object-store.js';

/** A store of the reader's own: see docs/contributing.md. */
const given = process.env['TARN_STORE_URL'];

async function open(): Promise<BucketStore> {
  const url = parseStorageUrl(given ?? '') as BucketUrl;
  const parent = url.prefix.replace(/\/$/, '');
  const prefix = `${parent === '' ? '' : `${parent}/`}tarn-suite-${randomUUID()}`;
  return openBucket({ ...url, prefix });
}

async function empty(): Promise<void> {
  const url = parseStorageUrl(given ?? '') as BucketUrl;
  const store = await openBucket(url);
  for await (const { key } of store.list('tarn-suite-')) await store.delete(key);
  await store.close();
}

describe.skipIf(given === undefined)('the store that TARN_STORE_URL names', () => {
  runObjectStoreSuite(given ?? 'none', async () => ({ store: await open(), teardown: empty }));

  test('is good for a repository', async () => {
    const store = await open();
    for await (const result of probeStore(store)) expect(result).toMatchObject({ state: 'ok' });
    await store.close();
  });
});
