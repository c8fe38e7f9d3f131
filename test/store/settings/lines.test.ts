import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { StoreServer, StoreServerKind } from '../../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../../scripts/lib/store-servers.js';
import { openBucket } from '../../../src/store/open-bucket.js';
import type { BucketOptions, BucketUrl } from '../../../src/store/storage-url.js';
import { parseStorageUrl } from '../../../src/store/storage-url.js';
import { ownEnvironment } from './environment.js';
import type { Authority, ForwardProxy, Recorder } from './recorder.js';
import { makeAuthority, startForwardProxy, startRecorder } from './recorder.js';

const KINDS: readonly StoreServerKind[] = ['s3s-fs', 'azurite', 'fake-gcs'];
/** A host that only the proxy finds. */
const FAR = 'store.example.test';

let scratch: string;
let authority: Authority;
const stops: (() => Promise<void>)[] = [];
const setEnvironment = ownEnvironment();

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tarn-lines-'));
  const hosts = ['127.0.0.1', FAR, '*.s3.eu-central-1.amazonaws.com'];
  authority = await makeAuthority(scratch, hosts);
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

interface Line {
  readonly server: StoreServer;
  /** The server with a certificate of an authority that nobody knows. */
  readonly secure: Recorder;
  readonly proxy: ForwardProxy;
  readonly place: BucketUrl;
}

async function lineTo(kind: StoreServerKind): Promise<Line> {
  const server = await startStoreServer(kind);
  stops.push(() => server.stop());
  const place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  const secure = await startRecorder({ target: server.endpoint, certificate: authority });
  stops.push(() => secure.stop());
  const proxy = await startForwardProxy(() => secure.port);
  stops.push(() => proxy.stop());
  return { server, secure, proxy, place };
}

/** With credentials of Google's, which go nowhere without TLS: a token that a file brings. */
async function environmentOf({ server }: Line): Promise<Record<string, string>> {
  if (server.kind !== 'fake-gcs') return { ...server.environment };
  const tokens = await startRecorder({
    answer: () => ({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ access_token: 'fleet-token', token_type: 'Bearer', expires_in: 3600 }),
    }),
  });
  stops.push(() => tokens.stop());
  const [subject, file] = [join(scratch, 'subject'), join(scratch, 'google.json')];
  await writeFile(subject, 'subject-token');
  const account = {
    type: 'external_account',
    audience: 'fleet',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${tokens.endpoint}/v1/token`,
    credential_source: { file: subject },
  };
  await writeFile(file, JSON.stringify(account));
  return { GOOGLE_APPLICATION_CREDENTIALS: file };
}

/** What came of a put and a get. */
async function roundTrip(place: BucketUrl, options: BucketOptions): Promise<string> {
  const all = { ...place.options, ...options };
  const store = await openBucket({ ...place, prefix: 'fleet', options: all }, { timeoutMs: 2_000 });
  try {
    await store.put('log', Buffer.from('lidar'));
    return Buffer.from(await store.get('log')).toString();
  } catch (error) {
    return (error as Error).message;
  } finally {
    await store.delete('log').catch(() => undefined);
    await store.close();
  }
}

/** Under another origin, with the path that an endpoint may have. */
function movedTo(endpoint: string, { options }: BucketUrl): string {
  const { pathname } = new URL(options.endpoint ?? '');
  return `${endpoint}${pathname === '/' ? '' : pathname}`;
}

describe.each(KINDS)('%s behind TLS', (kind) => {
  it('is trusted by the certificate of its authority, in ca-file, and not without', async () => {
    const line = await lineTo(kind);
    setEnvironment(await environmentOf(line));
    const endpoint = movedTo(line.secure.endpoint, line.place);
    const caFile = authority.file;
    expect(await roundTrip(line.place, { endpoint, caFile })).toBe('lidar');
    expect(line.secure.received.length).toBeGreaterThan(2);
    line.secure.received.length = 0;
    expect(await roundTrip(line.place, { endpoint })).toContain('not a trusted server');
    expect(line.secure.received).toEqual([]);
  });

  it('is reached through the proxy of the option or the environment, unless NO_PROXY names it', async () => {
    const line = await lineTo(kind);
    const environment = await environmentOf(line);
    const caFile = authority.file;
    const endpoint = movedTo(`https://${FAR}:8443`, line.place);
    const isAsked = async (
      given: Record<string, string>,
      options: BucketOptions,
    ): Promise<[string, boolean]> => {
      setEnvironment({ ...environment, ...given });
      line.proxy.asked.length = 0;
      const came = await roundTrip(line.place, { caFile, ...options });
      const hosts = new Set(line.proxy.asked);
      hosts.delete(`CONNECT ${FAR}:8443`);
      expect([...hosts]).toEqual([]);
      return [came, line.proxy.asked.length > 0];
    };
    const proxy = line.proxy.endpoint;
    expect(await isAsked({}, { endpoint, proxy })).toEqual(['lidar', true]);
    expect(await isAsked({ HTTPS_PROXY: proxy, NO_PROXY: '127.0.0.1' }, { endpoint })).toEqual([
      'lidar',
      true,
    ]);
    const direct = { endpoint: movedTo(line.secure.endpoint, line.place) };
    expect(await isAsked({ HTTPS_PROXY: proxy, NO_PROXY: '127.0.0.1' }, direct)).toEqual([
      'lidar',
      false,
    ]);
  });
});

describe.each(KINDS)('%s without TLS', (kind) => {
  it('is asked for by its whole URL, of a proxy that opens no tunnels', async () => {
    const server = await startStoreServer(kind);
    stops.push(() => server.stop());
    const place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
    const port = Number(new URL(server.endpoint).port);
    const proxy = await startForwardProxy(() => port);
    stops.push(() => proxy.stop());
    setEnvironment({ ...server.environment, HTTP_PROXY: proxy.endpoint });
    const endpoint = movedTo(`http://${FAR}`, place);
    expect(await roundTrip(place, { endpoint })).toBe('lidar');
    expect(proxy.asked.length).toBeGreaterThan(2);
    for (const asked of proxy.asked) expect(asked).toContain(` http://${FAR}/`);
  });
});

describe('S3 without an endpoint', () => {
  it('is asked at the host of the bucket in its region, through the proxy', async () => {
    const { server, secure, proxy, place } = await lineTo('moto');
    const options = { region: 'eu-central-1', proxy: proxy.endpoint };
    setEnvironment({ ...server.environment, AWS_CA_BUNDLE: authority.file });
    await roundTrip({ ...place, options: {} }, options);
    const host = `${place.bucket}.s3.eu-central-1.amazonaws.com`;
    expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT ${host}:443`]));
    expect(secure.received[0]).toMatchObject({
      method: 'PUT',
      url: '/fleet/log?x-id=PutObject',
      headers: { host, authorization: expect.stringContaining('/eu-central-1/s3/') as string },
    });
  });
});
