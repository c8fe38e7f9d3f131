import { afterAll, beforeAll } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { openBucket } from '../../src/store/open-bucket.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { runObjectStoreSuite } from '../suites/object-store.js';

let server: StoreServer;
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
});
afterAll(() => server.stop());

runObjectStoreSuite('moto, S3', async () => {
  const url = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  return {
    store: await openBucket({ ...url, prefix: 'fleet/tarn' }),
    teardown: async () => undefined,
  };
});
