import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { BucketStore } from '../../src/store/bucket/bucket-store.js';
import { openBucket } from '../../src/store/open-bucket.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';

const PART_BYTES = 16_777_216;
/** Three parts, of which the last makes the object. */
const BYTES = randomBytes(2 * PART_BYTES + 5);

let server: StoreServer;
let proxy: SlowProxy;
let uploads: string;
let url: BucketUrl;

beforeAll(async () => {
  server = await startStoreServer('fake-gcs');
  Object.assign(process.env, server.environment);
  proxy = await startSlowProxy(server.endpoint);
  uploads = join(await mkdtemp(join(tmpdir(), 'tarn-uploads-')), 'uploads');
  const { options, ...place } = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  url = { ...place, options: { ...options, endpoint: proxy.endpoint } };
});
afterAll(async () => {
  await proxy.stop();
  await server.stop();
  await rm(join(uploads, '..'), { recursive: true, force: true });
});

const isPart = (line: string): boolean => line.startsWith('PUT ') && line.includes('upload_id=');

/** As a process does that begins with what is in the directory. */
async function sent(store: BucketStore, key: string, signal?: AbortSignal): Promise<void> {
  const upload = await store.upload(signal);
  await upload.write(BYTES);
  await upload.finish(key);
}

/** An upload that was interrupted after its first part. */
async function interrupted(key: string): Promise<void> {
  const stop = new AbortController();
  let parts = 0;
  proxy.rules = {
    fault: (_request, line) => {
      if (isPart(line)) parts += 1;
      if (parts < 2) return undefined;
      stop.abort();
      return { kind: 'stall' };
    },
  };
  const store = await openBucket(url, { uploads });
  await expect(sent(store, key, stop.signal)).rejects.toMatchObject({ kind: 'aborted' });
  await store.close();
  proxy.rules = {};
}

/** Changes what is kept of the only upload. */
async function altered(change: (text: string) => string): Promise<void> {
  const [name = ''] = await readdir(uploads);
  const path = join(uploads, name);
  expect((await stat(path)).mode & 0o077).toBe(0);
  const text = await readFile(path, 'utf8');
  expect(change(text)).not.toBe(text);
  await writeFile(path, change(text));
}

describe('a large object on its way to Google Cloud Storage that was interrupted', () => {
  it('begins anew where the store has forgotten it', async () => {
    await interrupted('files/forgotten');
    await altered((text) => text.replace(/upload_id=\w{8}/, 'upload_id=00000000'));
    const store = await openBucket(url, { uploads });
    await sent(store, 'files/forgotten');
    expect(Buffer.compare(await store.get('files/forgotten'), BYTES)).toBe(0);
    expect(await readdir(uploads)).toEqual([]);
    await store.close();
  });

  it('is no object where the store has other bytes of it, and is sent again', async () => {
    await interrupted('files/other');
    // This server adds what comes to what it has: the part that is left out moves all behind it.
    await altered((text) => text.replace(`"sent":${PART_BYTES}`, `"sent":${2 * PART_BYTES}`));
    const store = await openBucket(url, { uploads });
    await expect(sent(store, 'files/other')).rejects.toMatchObject({
      kind: 'io',
      message: expect.stringContaining('other bytes than were sent') as string,
    });
    expect(await store.head('files/other')).toBeUndefined();
    await sent(store, 'files/other');
    expect(Buffer.compare(await store.get('files/other'), BYTES)).toBe(0);
    await store.close();
  });

  it('begins anew where the store says that its session has ended', async () => {
    await interrupted('files/ended');
    let refused = 0;
    proxy.rules = {
      fault: (_request, line) => {
        if (!isPart(line) || refused > 0) return undefined;
        refused += 1;
        return { kind: 'error', status: 410, code: 'Gone' };
      },
    };
    const store = await openBucket(url, { uploads });
    await sent(store, 'files/ended');
    expect(refused).toBe(1);
    expect(Buffer.compare(await store.get('files/ended'), BYTES)).toBe(0);
    await store.close();
    proxy.rules = {};
  });

  it('is not gone on with in a bucket of the same name at another endpoint', async () => {
    await interrupted('files/elsewhere');
    const there = { ...url, options: { ...url.options, endpoint: server.endpoint } };
    const store = await openBucket(there, { uploads });
    const { requests } = proxy;
    await sent(store, 'files/elsewhere');
    expect(proxy.requests).toBe(requests);
    await store.close();
  });

  it('is begun anew when it was left so long ago that the store has forgotten it', async () => {
    await rm(uploads, { recursive: true, force: true });
    await interrupted('files/old');
    const [name = ''] = await readdir(uploads);
    await utimes(join(uploads, name), 0, 0);
    let first: string | undefined;
    proxy.rules = { fault: (_request, line) => void (line.startsWith('P') && (first ??= line)) };
    const store = await openBucket(url, { uploads });
    await sent(store, 'files/old');
    expect(first).toMatch(/^POST .*uploadType=resumable/);
    await store.close();
    proxy.rules = {};
  });
});
