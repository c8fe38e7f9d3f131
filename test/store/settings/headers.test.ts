import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoreServer } from '../../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../../scripts/lib/store-servers.js';
import type { BucketStore } from '../../../src/store/bucket/bucket-store.js';
import { ForeignBucket } from '../../../src/store/foreign.js';
import { openBucket } from '../../../src/store/open-bucket.js';
import type { BucketOptions, BucketUrl } from '../../../src/store/storage-url.js';
import { parseStorageUrl } from '../../../src/store/storage-url.js';
import { ownEnvironment } from './environment.js';
import type { Received, Recorder } from './recorder.js';
import { startForwardProxy, startRecorder } from './recorder.js';

const MIB = 1_048_576;
const LARGE_BYTES = 70 * MIB;
const KEY = Buffer.alloc(32, 7);

let server: StoreServer;
let recorder: Recorder;
let scratch: string;
let place: BucketUrl;
const setEnvironment = ownEnvironment();

beforeAll(async () => {
  server = await startStoreServer('moto');
  scratch = await mkdtemp(join(tmpdir(), 'tarn-settings-'));
  await writeFile(join(scratch, 'key'), KEY);
});
afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});
beforeEach(async () => {
  setEnvironment(server.environment);
  place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  recorder = await startRecorder({ target: server.endpoint });
});
afterEach(() => recorder.stop());

async function opened(options: BucketOptions): Promise<BucketStore> {
  const { endpoint } = recorder;
  return openBucket({
    ...place,
    prefix: 'fleet',
    options: { ...place.options, endpoint, ...options },
  });
}

/** Every kind of request that a repository makes. */
async function everything(store: BucketStore): Promise<void> {
  await store.put('small', Buffer.from('digits'));
  const upload = await store.upload();
  const block = Buffer.alloc(MIB, 'lidar');
  for (let i = 0; i < LARGE_BYTES / MIB; i += 1) await upload.write(block);
  await upload.finish('large');
  expect((await store.get('small')).length).toBe(6);
  expect((await store.get('large', { range: { offset: 5, length: 5 } })).length).toBe(5);
  expect(await store.head('large')).toMatchObject({ size: LARGE_BYTES });
  for await (const { key } of store.list('')) await store.delete(key);
  await store.close();
}

type Kind = 'put' | 'create' | 'part' | 'complete' | 'get' | 'head' | 'list' | 'delete' | 'uploads';

function kindOf({ method, url }: Received): Kind {
  const { pathname, searchParams } = new URL(url, 'http://store');
  if (searchParams.has('uploads')) return method === 'POST' ? 'create' : 'uploads';
  if (searchParams.has('uploadId')) return method === 'PUT' ? 'part' : 'complete';
  if (method === 'GET' && !pathname.includes('/fleet/')) return 'list';
  return method.toLowerCase() as Kind;
}

/** The values of a header, by the kind of request; each kind must be there. */
function sent(header: string): Record<string, unknown> {
  const found: Record<string, Set<unknown>> = {};
  for (const one of recorder.received) (found[kindOf(one)] ??= new Set()).add(one.headers[header]);
  return Object.fromEntries(
    Object.entries(found).map(([kind, values]) => [
      kind,
      values.size === 1 ? [...values][0] : values,
    ]),
  );
}

describe('what an S3 server is sent', () => {
  it('with sse and a key: on what makes an object, and on nothing else', async () => {
    await everything(await opened({ sse: 'aws:kms', sseKmsKeyId: 'alias/fleet' }));
    const none = { part: undefined, complete: undefined, get: undefined, head: undefined };
    const others = { ...none, list: undefined, delete: undefined, uploads: undefined };
    expect(sent('x-amz-server-side-encryption')).toEqual({
      ...others,
      ...{ put: 'aws:kms', create: 'aws:kms' },
    });
    expect(sent('x-amz-server-side-encryption-aws-kms-key-id')).toEqual({
      ...others,
      ...{ put: 'alias/fleet', create: 'alias/fleet' },
    });
  });

  it("with a customer's key: on all that reads or writes an object or a part", async () => {
    await everything(await opened({ sseCKeyFile: join(scratch, 'key') }));
    const on = (value: string) => ({
      ...{ put: value, create: value, part: value, complete: value, get: value, head: value },
      ...{ list: undefined, delete: undefined, uploads: undefined },
    });
    const name = 'x-amz-server-side-encryption-customer';
    expect(sent(`${name}-algorithm`)).toEqual(on('AES256'));
    expect(sent(`${name}-key`)).toEqual(on(KEY.toString('base64')));
    expect(sent(`${name}-key-md5`)).toEqual(on(createHash('md5').update(KEY).digest('base64')));
  });

  it('where the requester pays: on everything', async () => {
    await everything(await opened({ requesterPays: true }));
    const kinds = ['put', 'create', 'part', 'complete', 'get', 'head', 'list', 'delete', 'uploads'];
    expect(sent('x-amz-request-payer')).toEqual(
      Object.fromEntries(kinds.map((kind) => [kind, 'requester'])),
    );
  });

  it('also of objects that are imported', async () => {
    const store = await opened({ sseCKeyFile: join(scratch, 'key') });
    await store.put('log', Buffer.from('digits'));
    await store.close();
    recorder.received.length = 0;
    const sseCKeyFile = join(scratch, 'key');
    const options = { ...place.options, endpoint: recorder.endpoint, sseCKeyFile };
    const bucket = await ForeignBucket.open({
      ...place,
      options: { ...options, requesterPays: true },
    });
    const object = await bucket.head('fleet/log');
    expect(object).toMatchObject({ size: 6 });
    bucket.close();
    expect(sent('x-amz-request-payer')['head']).toBe('requester');
    expect(sent('x-amz-server-side-encryption-customer-key')['head']).toBe(KEY.toString('base64'));
  });

  it('a bucket in the path, or in front of the host', async () => {
    const inPath = await opened({ pathStyle: true });
    await inPath.put('a', Buffer.from('a'));
    await inPath.close();
    expect(recorder.received.at(-1)).toMatchObject({
      url: `/${place.bucket}/fleet/a?x-id=PutObject`,
      headers: { host: `127.0.0.1:${recorder.port}` },
    });
    const proxy = await startForwardProxy(() => recorder.port);
    try {
      const endpoint = 'http://store.example.test:9000';
      const inHost = await opened({ endpoint, pathStyle: false, proxy: proxy.endpoint });
      await inHost.put('b', Buffer.from('b')).catch(() => undefined);
      await inHost.close();
      expect(recorder.received.at(-1)).toMatchObject({
        url: '/fleet/b?x-id=PutObject',
        headers: { host: `${place.bucket}.store.example.test:9000` },
      });
    } finally {
      await proxy.stop();
    }
  });
});

describe('what a GCS server is sent', () => {
  it('with a billing project: on everything', async () => {
    const gcs = await startStoreServer('fake-gcs');
    const through = await startRecorder({ target: gcs.endpoint });
    try {
      const { bucket } = parseStorageUrl(await gcs.makeBucket()) as BucketUrl;
      const options = { endpoint: through.endpoint, billingProject: 'fleet-1234' };
      await everything(await openBucket({ kind: 'gs', bucket, prefix: 'fleet', options }));
      expect(through.received.length).toBeGreaterThan(8);
      for (const { url } of through.received) {
        if (!url.includes('upload_id=')) expect(url).toContain('userProject=fleet-1234');
      }
    } finally {
      await through.stop();
      await gcs.stop();
    }
  });
});
