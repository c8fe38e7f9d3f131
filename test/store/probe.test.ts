import { afterAll, describe, expect, test } from 'vitest';
import type { StoreServer, StoreServerKind } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { BucketStore } from '../../src/store/bucket/bucket-store.js';
import { openBucket } from '../../src/store/open-bucket.js';
import type { ProbeResult } from '../../src/store/probe.js';
import { probeStore, requireConditionalWrites } from '../../src/store/probe.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { MemoryBucket } from './bucket/memory-bucket.js';

const servers: StoreServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
});

async function storeOf(kind: StoreServerKind): Promise<BucketStore> {
  const server = await startStoreServer(kind);
  servers.push(server);
  Object.assign(process.env, server.environment);
  return openBucket(parseStorageUrl(await server.makeBucket()) as BucketUrl);
}

async function probed(store: BucketStore): Promise<ProbeResult[]> {
  const results: ProbeResult[] = [];
  for await (const result of probeStore(store)) results.push(result);
  return results;
}

async function keysIn(store: BucketStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

describe('the probe of a store', () => {
  test.each<StoreServerKind>(['moto', 'azurite', 'fake-gcs'])(
    '%s honours conditional writes; nothing is left there',
    async (kind) => {
      const store = await storeOf(kind);
      const results = await probed(store);
      expect(results.map(({ check, state }) => [check, state])).toEqual([
        ['rights', 'ok'],
        ['listing', 'ok'],
        ['conditional writes', 'ok'],
        ['latency', 'ok'],
        ['clock', 'ok'],
        ['versions', 'ok'],
      ]);
      await requireConditionalWrites(store);
      expect(await keysIn(store)).toEqual([]);
      await store.close();
    },
  );

  test('a store that accepts conditions and ignores them is refused, by name', async () => {
    const store = new BucketStore(new MemoryBucket({ isDeaf: true }));
    const failed = (await probed(store)).find(({ state }) => state === 'fail');
    expect(failed?.check).toBe('conditional writes');
    expect(failed?.detail).toContain("'memory://bucket' does not honour conditional writes");
    await expect(requireConditionalWrites(store)).rejects.toMatchObject({
      kind: 'unsupported',
      hint: expect.stringContaining('AWS S3') as string,
    });
    expect(await keysIn(store)).toEqual([]);
  });

  test('s3s-fs, which looks and writes in two steps, is refused', async () => {
    const store = await storeOf('s3s-fs');
    const results = await probed(store);
    expect(results).toContainEqual(expect.objectContaining({ check: 'listing', state: 'warn' }));
    expect(results).toContainEqual(
      expect.objectContaining({ check: 'conditional writes', state: 'fail' }),
    );
    await expect(requireConditionalWrites(store)).rejects.toMatchObject({ kind: 'unsupported' });
    await store.close();
  });

  test('a store that cannot be reached is one result, with what to do', async () => {
    const store = await openBucket(
      parseStorageUrl('s3://none?endpoint=http://127.0.0.1:9') as BucketUrl,
      { timeoutMs: 1_000 },
    );
    const results = await probed(store);
    expect(results).toMatchObject([{ check: 'store', state: 'fail' }]);
    expect(results[0]?.fix).toBeDefined();
    await store.close();
  });
});
