import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { Bucket } from '../../src/store/bucket/bucket.js';
import { BucketMetrics } from '../../src/store/bucket/metrics.js';
import type { ForeignObject } from '../../src/store/foreign.js';
import { ForeignBucket } from '../../src/store/foreign.js';
import { connect } from '../../src/store/open-bucket.js';
import { s3Client } from '../../src/store/s3/client.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';

let server: StoreServer;
let url: BucketUrl;
let bucket: Bucket;
let foreign: ForeignBucket;

beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
});
afterAll(() => server.stop());

beforeEach(async () => {
  url = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  bucket = await connect(url, new BucketMetrics());
  foreign = await ForeignBucket.open(url);
  return () => {
    bucket.close();
    foreign.close();
  };
});

async function keepVersions(): Promise<void> {
  const client = s3Client(url.options, 10_000);
  await client.send(
    new PutBucketVersioningCommand({
      Bucket: url.bucket,
      VersioningConfiguration: { Status: 'Enabled' },
    }),
  );
  client.destroy();
}

async function all(prefix: string): Promise<ForeignObject[]> {
  const found: ForeignObject[] = [];
  for await (const page of foreign.list(prefix)) found.push(...page);
  return found;
}

async function put(...keys: string[]): Promise<void> {
  for (const key of keys) await bucket.put(key, Buffer.from(`bytes of ${key}`), {});
}

async function pinOf(key: string): Promise<ForeignObject> {
  const found = (await all(key)).find((object) => object.key === key);
  if (found === undefined) throw new Error(`'${key}' is not listed`);
  return found;
}

const inBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe('objects of others', () => {
  const KEYS = [
    ...['a', 'a b', 'a+b', '100%', 'a%20b', 'ä/ö', 'a//b', './x', '../y', '/z', 'a/b', 'a/b/c'],
    ...[
      'dir/',
      'dir/x',
      '日本/語',
      '\u{1f697}/car',
      '\uffee/low',
      'tab\tkey',
      '<&>"\'',
      'x'.repeat(1_000),
    ],
  ];

  test('any key is listed as it is, in byte order, with size, ETag and time', async () => {
    await put(...KEYS);
    const found = await all('');
    expect(found.map(({ key }) => key)).toEqual([...KEYS].sort(inBytes));
    for (const { key, size, etag, mtimeMs } of found) {
      expect(size).toBe(Buffer.byteLength(`bytes of ${key}`));
      expect(etag).toMatch(/^[0-9a-f]{32}$/);
      expect(Math.abs(Date.now() - mtimeMs)).toBeLessThan(600_000);
    }
    expect((await all('a')).map(({ key }) => key)).toEqual(
      KEYS.filter((key) => key.startsWith('a')).sort(inBytes),
    );
    expect(await all('nothing/there')).toEqual([]);
  });

  test('each is read by its pin, whole or a range', async () => {
    await put(...KEYS);
    for (const pin of await all('')) {
      const expected = `bytes of ${pin.key}`;
      expect(Buffer.from(await foreign.read(pin, 0, pin.size)).toString()).toBe(expected);
      expect(Buffer.from(await foreign.read(pin, 2, 5)).toString()).toBe('tes');
      await foreign.check(pin);
    }
  });

  test('many groups are listed in order, whatever their size', async () => {
    const keys = Array.from({ length: 30 }, (_, group) =>
      Array.from({ length: group % 4 }, (_nothing, i) => `raw/day-${group}/part/${i}`),
    ).flat();
    keys.push('raw/', 'raw/day-1.txt', 'raw/z');
    await put(...keys);
    expect((await all('raw/')).map(({ key }) => key)).toEqual(keys.sort(inBytes));
  });

  test('a listing goes on behind any key, and passes by the groups in front of it', async () => {
    const keys = ['a', 'a/', 'a/1', 'a/2/x', 'a!', 'b/1/x', 'b/1/y', 'b/2', 'c', 'c//d', 'ä/ö'];
    keys.push(...Array.from({ length: 12 }, (_, i) => `g-${String(i).padStart(2, '0')}/x`));
    await put(...keys);
    keys.sort(inBytes);
    for (const after of [...keys, 'a/2', 'b/1/xx', 'g-05', 'zz']) {
      const found: string[] = [];
      for await (const page of foreign.list('', { after }))
        found.push(...page.map(({ key }) => key));
      expect([after, found]).toEqual([after, keys.filter((key) => inBytes(key, after) > 0)]);
    }
    const before = foreign.counts().list?.requests ?? 0;
    for await (const page of foreign.list('', { after: 'g-10/x' })) void page;
    expect((foreign.counts().list?.requests ?? 0) - before).toBeLessThan(10);
  });

  test('an object that was overwritten is told, with what it was, is, and since when', async () => {
    await put('log.mcap');
    const pin = await pinOf('log.mcap');
    await bucket.put('log.mcap', Buffer.from('other'), {});
    for (const work of [() => foreign.read(pin, 0, 4), () => foreign.check(pin)]) {
      const fault = await work().catch((error: unknown) => error);
      expect(fault).toMatchObject({
        kind: 'corrupt',
        hint: expect.stringContaining('import') as string,
      });
      expect(String(fault)).toContain(
        `'log.mcap' in 's3://${url.bucket}' has changed: it had 17 bytes with the ETag ${pin.etag}`,
      );
      expect(String(fault)).toMatch(/has 5 bytes with the ETag [0-9a-f]{32} since 20\d\d-.*Z/);
    }
    await bucket.delete('log.mcap');
    const gone = { kind: 'corrupt', message: expect.stringContaining('was deleted') as string };
    await expect(foreign.read(pin, 0, 4)).rejects.toMatchObject(gone);
    await expect(foreign.check(pin)).rejects.toMatchObject(gone);
  });

  test('with versions, what was pinned is read also after it was overwritten or deleted', async () => {
    await keepVersions();
    await put('a', 'log.mcap');
    const pin = await pinOf('log.mcap');
    expect(pin.version).toBeDefined();
    await bucket.put('log.mcap', Buffer.from('other'), {});
    expect(Buffer.from(await foreign.read(pin, 0, 5)).toString()).toBe('bytes');
    await bucket.delete('log.mcap');
    expect(Buffer.from(await foreign.read(pin, 0, 5)).toString()).toBe('bytes');
    expect((await all('')).map(({ key }) => key)).toEqual(['a']);
  });

  test('the message names the version that still has the bytes of an ETag', async () => {
    await keepVersions();
    await put('log.mcap');
    const { version, ...pin } = await pinOf('log.mcap');
    await bucket.put('log.mcap', Buffer.from('other'), {});
    await expect(foreign.read(pin, 0, 4)).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining(`version '${version}' of it still has the bytes`) as string,
      hint: expect.stringContaining('copy that version over it') as string,
    });
  });

  test('a reader that stops early ends the listing', async () => {
    await put(...Array.from({ length: 20 }, (_, i) => `${i}/x`));
    for await (const page of foreign.list('')) {
      expect(page.length).toBeGreaterThan(0);
      break;
    }
    await expect(all('0/')).resolves.toHaveLength(1);
  });
});
