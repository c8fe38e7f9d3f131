import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startStoreServer } from '../../../scripts/lib/store-servers.js';
import type { BucketStore } from '../../../src/store/bucket/bucket-store.js';
import { openBucket } from '../../../src/store/open-bucket.js';
import type { BucketOptions, BucketUrl } from '../../../src/store/storage-url.js';
import { parseStorageUrl } from '../../../src/store/storage-url.js';
import { ownEnvironment } from './environment.js';
import type { Answer, Authority, Received, Recorder, RecorderOptions } from './recorder.js';
import { makeAuthority, startForwardProxy, startRecorder } from './recorder.js';

const LATER = new Date(Date.now() + 3_600_000).toISOString();
const JSON_TYPE = { 'content-type': 'application/json' };

let scratch: string;
const stops: (() => Promise<void>)[] = [];
const setEnvironment = ownEnvironment();

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tarn-credentials-'));
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await rm(scratch, { recursive: true, force: true });
});

async function recorder(options: RecorderOptions): Promise<Recorder> {
  const started = await startRecorder(options);
  stops.push(() => started.stop());
  return started;
}

async function file(name: string, text: string): Promise<string> {
  await writeFile(join(scratch, name), text);
  return join(scratch, name);
}

function json(value: object): Answer {
  return { status: 200, headers: JSON_TYPE, body: JSON.stringify(value) };
}

/** Every object has six bytes. */
const ANY_OBJECT: Answer = {
  status: 200,
  headers: { etag: '"1"', 'x-goog-generation': '1', 'content-length': '6' },
};

describe('credentials of AWS', () => {
  interface Signed {
    readonly key: string | undefined;
    readonly token: string | undefined;
  }

  function signed({ headers }: Received): Signed {
    const [, key] = /Credential=([^/]+)\//.exec(headers.authorization ?? '') ?? [];
    return { key, token: headers['x-amz-security-token'] as string | undefined };
  }

  const none = { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' };

  async function opened(store: Recorder, options: BucketOptions = {}): Promise<BucketStore> {
    const url = `s3://fleet/drive?endpoint=${encodeURIComponent(store.endpoint)}&region=us-east-1`;
    const place = parseStorageUrl(url) as BucketUrl;
    const all = { ...place.options, ...options };
    return openBucket({ ...place, options: all }, { timeoutMs: 5_000 });
  }

  /** Who a store is asked by, with this environment. */
  async function asker(
    environment: Readonly<Record<string, string>>,
    options: BucketOptions = {},
  ): Promise<Signed | undefined> {
    const store = await recorder({ answer: () => ANY_OBJECT });
    setEnvironment({ ...none, ...environment });
    const bucket = await opened(store, options);
    await bucket.head('log');
    await bucket.close();
    return store.received.map(signed).at(-1);
  }

  it('come from the environment, or from a profile of the files', async () => {
    const given = {
      AWS_ACCESS_KEY_ID: 'AKENV',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_SESSION_TOKEN: 't',
    };
    expect(await asker(given)).toEqual({ key: 'AKENV', token: 't' });
    const text = ['default', 'lab'].map(
      (name) => `[${name}]\naws_access_key_id = AK${name}\naws_secret_access_key = s\n`,
    );
    const files = { AWS_SHARED_CREDENTIALS_FILE: await file('credentials', text.join('')) };
    expect((await asker(files))?.key).toBe('AKdefault');
    expect((await asker({ ...files, AWS_PROFILE: 'lab' }))?.key).toBe('AKlab');
    expect((await asker({ ...files, ...given }, { profile: 'lab' }))?.key).toBe('AKlab');
  });

  it('come from a program that a profile names', async () => {
    const said = { Version: 1, AccessKeyId: 'AKPROCESS', SecretAccessKey: 's', Expiration: LATER };
    const program = await file('program', `#!/bin/sh\necho '${JSON.stringify(said)}'\n`);
    const config = `[profile fleet]\ncredential_process = sh ${program}\n`;
    const files = { AWS_CONFIG_FILE: await file('config', config) };
    expect((await asker({ ...files, AWS_PROFILE: 'fleet' }))?.key).toBe('AKPROCESS');
  });

  it('come from a role that is taken with the token of a file, or by a profile', async () => {
    const asked: string[] = [];
    const sts = await recorder({
      answer: (_, body) => {
        asked.push(body);
        const action = new URLSearchParams(body).get('Action') ?? '';
        return {
          status: 200,
          headers: { 'content-type': 'text/xml' },
          body: `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>
            <Credentials><AccessKeyId>AK${action}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
            <SessionToken>session</SessionToken><Expiration>${LATER}</Expiration></Credentials>
            </${action}Result></${action}Response>`,
        };
      },
    });
    const given = {
      AWS_ENDPOINT_URL_STS: sts.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/fleet',
      AWS_WEB_IDENTITY_TOKEN_FILE: await file('token', 'of-the-pod'),
    };
    expect(await asker(given)).toEqual({ key: 'AKAssumeRoleWithWebIdentity', token: 'session' });
    expect(asked[0]).toContain('WebIdentityToken=of-the-pod');
    expect(asked[0]).toContain(encodeURIComponent(given.AWS_ROLE_ARN));
    const credentials = '[base]\naws_access_key_id = AKBASE\naws_secret_access_key = s\n';
    const config = `[profile fleet]\nrole_arn = ${given.AWS_ROLE_ARN}\nsource_profile = base\n`;
    const files = {
      AWS_SHARED_CREDENTIALS_FILE: await file('credentials', credentials),
      AWS_CONFIG_FILE: await file('config', config),
    };
    const { AWS_ENDPOINT_URL_STS, AWS_REGION } = given;
    const role = await asker({ ...files, AWS_ENDPOINT_URL_STS, AWS_REGION }, { profile: 'fleet' });
    expect(role).toEqual({ key: 'AKAssumeRole', token: 'session' });
    expect(sts.received.map(signed).at(-1)?.key).toBe('AKBASE');
  });

  it('come from the container that it runs in, and are asked for again before they expire', async () => {
    let asked = 0;
    const container = await recorder({
      answer: ({ url, headers }) => {
        if (url !== '/role' || headers.authorization !== 'of-the-container') return { status: 403 };
        asked += 1;
        const Expiration = asked === 1 ? new Date(Date.now() + 2_000).toISOString() : LATER;
        return json({ AccessKeyId: `AK${asked}`, SecretAccessKey: 's', Token: 't', Expiration });
      },
    });
    const store = await recorder({ answer: () => ANY_OBJECT });
    setEnvironment({
      ...none,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.endpoint}/role`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'of-the-container',
    });
    const bucket = await opened(store);
    await bucket.head('log');
    await expect
      .poll(async () => {
        await bucket.head('log');
        return store.received.map((one) => signed(one).key).at(-1);
      })
      .toBe('AK2');
    await bucket.close();
    expect(store.received.map((one) => signed(one).key)[0]).toBe('AK1');
  });

  it("come from the machine's role", async () => {
    const role = { AccessKeyId: 'AKROLE', SecretAccessKey: 's', Token: 't', Expiration: LATER };
    const metadata = await recorder({
      answer: ({ method, url, headers }) => {
        if (method === 'PUT') return { status: 200, body: 'metadata-token' };
        if (headers['x-aws-ec2-metadata-token'] !== 'metadata-token') return { status: 401 };
        return url.endsWith('/security-credentials/')
          ? { status: 200, body: 'fleet' }
          : json({ Code: 'Success', Type: 'AWS-HMAC', LastUpdated: LATER, ...role });
      },
    });
    const given = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
    };
    expect(await asker(given)).toEqual({ key: 'AKROLE', token: 't' });
  });

  it('that a store finds expired are read again, of a file that was renewed since', async () => {
    const text = (key: string): string =>
      `[default]\naws_access_key_id = ${key}\naws_secret_access_key = s\naws_session_token = t\n`;
    const credentials = await file('credentials', text('AKOLD'));
    const store = await recorder({
      answer: (one) => {
        if (signed(one).key === 'AKNEW') {
          return one.method === 'HEAD' ? ANY_OBJECT : { status: 200, headers: { etag: '"1"' } };
        }
        const Error =
          '<Error><Code>ExpiredToken</Code><Message>The token has expired.</Message></Error>';
        return { status: 400, ...(one.method === 'HEAD' ? {} : { body: Error }) };
      },
    });
    setEnvironment({ ...none, AWS_SHARED_CREDENTIALS_FILE: credentials });
    const [heads, puts] = [await opened(store), await opened(store)];
    await expect(puts.put('log', Buffer.from('digits'))).rejects.toMatchObject({
      kind: 'denied',
      message: expect.stringContaining('credentials have expired') as string,
    });
    await expect(heads.head('log')).rejects.toMatchObject({ kind: 'denied' });
    await file('credentials', text('AKNEW'));
    expect(await heads.head('log')).toMatchObject({ size: 6 });
    expect(await puts.put('log', Buffer.from('digits'))).toMatchObject({ etag: '1' });
    for (const bucket of [heads, puts]) await bucket.close();
  });

  it('that are nowhere are missing at once, in these words', async () => {
    await expect(asker({})).rejects.toMatchObject({
      kind: 'denied',
      message: "no credentials for 's3://fleet/drive' were found",
    });
  });
});

describe('credentials of Google', () => {
  let authority: Authority;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tarn-authority-'));
    authority = await makeAuthority(folder, [
      ...['127.0.0.1', 'oauth2.googleapis.com', 'store.example.test'],
    ]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  function anyStore(): Promise<Recorder> {
    const found = json({ name: 'drive/log', size: '6', generation: '1' });
    return recorder({ certificate: authority, answer: () => found });
  }

  /** What the store gets as authorization, behind a certificate, as Google's credentials need it. */
  async function asker(
    store: Recorder,
    account: string,
    options: BucketOptions = {},
  ): Promise<string | undefined> {
    setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: account });
    const { endpoint } = store;
    const all = { endpoint, caFile: authority.file, ...options };
    const bucket = await openBucket({ kind: 'gs', bucket: 'fleet', prefix: 'drive', options: all });
    expect(await bucket.head('log')).toMatchObject({ size: 6 });
    await bucket.close();
    return store.received.at(-1)?.headers.authorization;
  }

  const token = (access_token: string) =>
    json({ access_token, token_type: 'Bearer', expires_in: 3_600 });

  it('come from an external account, by the token of a file', async () => {
    const bodies: string[] = [];
    const sts = await recorder({
      answer: (_, body) => {
        bodies.push(body);
        return token('of-the-workload');
      },
    });
    const account = {
      type: 'external_account',
      audience: '//iam.googleapis.com/fleet',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${sts.endpoint}/v1/token`,
      credential_source: { file: await file('subject', 'of-the-pod') },
    };
    const name = await file('account.json', JSON.stringify(account));
    expect(await asker(await anyStore(), name)).toBe('Bearer of-the-workload');
    expect(bodies[0]).toContain('subject_token=of-the-pod');
  });

  it('come from a service account, which is asked for through the same proxy and certificates', async () => {
    const oauth = await recorder({ certificate: authority, answer: () => token('of-the-service') });
    const store = await anyStore();
    const isGoogle = (host: string) => host === 'oauth2.googleapis.com';
    const proxy = await startForwardProxy((host) => (isGoogle(host) ? oauth : store).port);
    stops.push(() => proxy.stop());
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const account = {
      type: 'service_account',
      client_email: 'fleet@example.iam.gserviceaccount.com',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
    const name = await file('account.json', JSON.stringify(account));
    const endpoint = 'https://store.example.test';
    expect(await asker(store, name, { endpoint, proxy: proxy.endpoint })).toBe(
      'Bearer of-the-service',
    );
    expect(proxy.asked).toContain('CONNECT oauth2.googleapis.com:443');
  });
});

describe('credentials of Azure', () => {
  const LONG_MS = 30_000;

  it(
    'come from a connection string, a key or a token of shared access',
    async () => {
      const server = await startStoreServer('azurite');
      stops.push(() => server.stop());
      const { bucket, options } = parseStorageUrl(await server.makeBucket()) as BucketUrl;
      const store = await recorder({ target: server.endpoint });
      const { account = '' } = options;
      const endpoint = `${store.endpoint}/${account}`;
      const key = server.environment['AZURE_STORAGE_KEY'] ?? '';
      const written = async (given: Record<string, string>, more: BucketOptions) => {
        setEnvironment(given);
        const opened = await openBucket({ kind: 'az', bucket, prefix: 'fleet', options: more });
        await opened.put(`log-${Object.keys(given).join()}`, Buffer.from('digits'));
        await opened.close();
        return store.received.at(-1);
      };
      const secret = `AccountName=${account};AccountKey=${key}`;
      const connection = `DefaultEndpointsProtocol=http;${secret};BlobEndpoint=${endpoint};`;
      const signature = expect.stringMatching(`^SharedKey ${account}:`) as string;
      const byString = await written({ AZURE_STORAGE_CONNECTION_STRING: connection }, {});
      expect(byString?.headers.authorization).toEqual(signature);
      const byKey = await written({ AZURE_STORAGE_KEY: key }, { account, endpoint });
      expect(byKey?.headers.authorization).toEqual(signature);
      const token = await sharedAccess(account, key, bucket);
      const bySas = await written({ AZURE_STORAGE_SAS_TOKEN: token }, { account, endpoint });
      expect(bySas?.headers.authorization).toBeUndefined();
      expect(bySas?.url).toContain('sig=');
    },
    LONG_MS,
  );

  it("come from the machine's identity", async () => {
    const authority = await makeAuthority(scratch, ['127.0.0.1']);
    const identity = await recorder({
      answer: ({ url, headers }) =>
        headers['x-identity-header'] === 'of-the-machine' &&
        decodeURIComponent(url).includes('resource=https://storage.azure.com')
          ? json({
              access_token: 'of-the-identity',
              token_type: 'Bearer',
              expires_on: String(Math.floor(Date.now() / 1000) + 3_600),
            })
          : { status: 403 },
    });
    const store = await recorder({ certificate: authority, answer: () => ANY_OBJECT });
    setEnvironment({
      IDENTITY_ENDPOINT: `${identity.endpoint}/token`,
      IDENTITY_HEADER: 'of-the-machine',
      AZURE_TOKEN_CREDENTIALS: 'prod',
    });
    const options = { account: 'fleet', endpoint: store.endpoint, caFile: authority.file };
    const bucket = await openBucket({ kind: 'az', bucket: 'logs', prefix: 'fleet', options });
    expect(await bucket.head('log')).toMatchObject({ size: 6 });
    await bucket.close();
    expect(store.received.at(-1)?.headers.authorization).toBe('Bearer of-the-identity');
  });
});

describe("tokens of Azure's directory", () => {
  const LOGIN = 'login.microsoftonline.com';
  const TENANT = '9c3f4a52-4d0c-4e6f-8e62-3f8b6a2d7c11';
  const CLIENT = '0b7d1f7e-52a4-4c55-9d3e-6a1f2c9b8e40';
  let authority: Authority;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tarn-authority-'));
    authority = await makeAuthority(folder, [LOGIN, 'fleet.blob.core.windows.net']);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** What is sent for a token, and then to the store, both through a proxy: nothing else is reached. */
  async function asked(given: Readonly<Record<string, string>>, refusal?: Answer) {
    const forms: URLSearchParams[] = [];
    const login = await recorder({
      certificate: authority,
      answer: ({ url }, body) => {
        if (url.startsWith('/common/discovery/')) {
          const issuer = `https://${LOGIN}/${TENANT}/v2.0`;
          return json({ tenant_discovery_endpoint: issuer, metadata: [] });
        }
        if (!url.includes('/oauth2/v2.0/token')) {
          const of = `https://${LOGIN}/${TENANT}`;
          return json({
            issuer: `${of}/v2.0`,
            authorization_endpoint: `${of}/oauth2/v2.0/authorize`,
            token_endpoint: `${of}/oauth2/v2.0/token`,
            jwks_uri: `${of}/discovery/v2.0/keys`,
          });
        }
        forms.push(new URLSearchParams(body));
        if (refusal !== undefined) return refusal;
        return json({ access_token: 'of-the-directory', token_type: 'Bearer', expires_in: 3_600 });
      },
    });
    const store = await recorder({ certificate: authority, answer: () => ANY_OBJECT });
    const proxy = await startForwardProxy((host) => (host === LOGIN ? login : store).port);
    stops.push(() => proxy.stop());
    setEnvironment({
      ...{ AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT, AZURE_TOKEN_CREDENTIALS: 'prod' },
      ...given,
    });
    const options = { account: 'fleet', proxy: proxy.endpoint, caFile: authority.file };
    const bucket = await openBucket({ kind: 'az', bucket: 'logs', prefix: 'fleet', options });
    stops.push(() => bucket.close());
    expect(await bucket.head('log')).toMatchObject({ size: 6 });
    expect(store.received.at(-1)?.headers.authorization).toBe('Bearer of-the-directory');
    const [form = new URLSearchParams()] = forms;
    expect(forms).toHaveLength(1);
    expect(form.get('client_id')).toBe(CLIENT);
    expect(form.get('scope')).toContain('https://storage.azure.com/.default');
    return { form, login };
  }

  it('are given for the secret of a client', async () => {
    const { form, login } = await asked({ AZURE_CLIENT_SECRET: 'of-the-client' });
    expect(form.get('client_secret')).toBe('of-the-client');
    expect(login.received.at(-1)?.url).toContain(`/${TENANT}/oauth2/v2.0/token`);
  });

  it('that are refused are told with the reason', async () => {
    const error_description = 'AADSTS7000215: Invalid client secret provided.';
    const body = JSON.stringify({ error: 'invalid_client', error_description });
    const refusal = { status: 401, headers: JSON_TYPE, body };
    await expect(asked({ AZURE_CLIENT_SECRET: 'another' }, refusal)).rejects.toMatchObject({
      kind: 'denied',
      message: expect.stringMatching(/^no token was given for 'az:.*AADSTS7000215/) as string,
      hint: expect.stringContaining('secret') as string,
    });
  });

  it('are given for the token of a workload, of a file', async () => {
    const { form } = await asked({
      AZURE_FEDERATED_TOKEN_FILE: await file('subject', 'of-the-pod'),
    });
    expect(form.get('client_assertion')).toBe('of-the-pod');
    expect(form.get('client_assertion_type')).toContain('jwt-bearer');
  });
});

/** For an hour, to all of the container. */
async function sharedAccess(account: string, key: string, container: string): Promise<string> {
  const { ContainerSASPermissions, generateBlobSASQueryParameters, StorageSharedKeyCredential } =
    await import('@azure/storage-blob');
  const permissions = ContainerSASPermissions.parse('racwdl');
  const expiresOn = new Date(LATER);
  return generateBlobSASQueryParameters(
    { containerName: container, permissions, expiresOn },
    new StorageSharedKeyCredential(account, key),
  ).toString();
}
