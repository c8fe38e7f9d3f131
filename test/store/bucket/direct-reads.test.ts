import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { BucketBytes } from '../../../src/store/bucket/bucket.js';
import { TransientFault } from '../../../src/store/bucket/faults.js';
import { S3Bucket } from '../../../src/store/s3/s3-bucket.js';
import type { BucketOptions, BucketUrl } from '../../../src/store/storage-url.js';
import { parseStorageUrl } from '../../../src/store/storage-url.js';
import { ownEnvironment } from '../settings/environment.js';
import { makeAuthority, startForwardProxy, startRecorder } from '../settings/recorder.js';
import type { Script, ScriptedServer } from './scripted-server.js';
import { startScriptedServer } from './scripted-server.js';

const BODY = 'lidar, radar, camera';
const ROOM = 64;
const TIMEOUT_MS = 300;
const WHOLE = {
  status: 200,
  headers: { etag: '"tag"', 'content-length': `${BODY.length}` },
  body: BODY,
};
const PLAIN = answer(
  'HTTP/1.1 206 Partial Content',
  [`Content-Length: ${BODY.length}`, 'Vary: Origin', 'vary: Accept'],
  BODY,
);

let server: { stop(): Promise<void> };
let bucket: S3Bucket;
const setEnvironment = ownEnvironment();
afterEach(async () => {
  bucket.close();
  await server.stop();
});

async function serve(script: Script): Promise<ScriptedServer> {
  const scripted = await startScriptedServer(script);
  server = scripted;
  open(scripted.endpoint);
  return scripted;
}

function open(endpoint: string, options: BucketOptions = {}): void {
  setEnvironment({ AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local-secret' });
  const place = parseStorageUrl('s3://bucket?region=us-east-1') as BucketUrl;
  const given = { ...place.options, endpoint, ...options };
  bucket = new S3Bucket({ ...place, options: given }, TIMEOUT_MS);
}

function answer(status: string, fields: readonly string[], body: string): string {
  return [status, 'ETag: "tag"', ...fields, '', body].join('\r\n');
}

async function read(into = Buffer.alloc(ROOM), signal?: AbortSignal): Promise<BucketBytes> {
  const range = { offset: 0, length: BODY.length };
  const found = await bucket.get('k', { range, into, signal });
  if (found === 'behind-end') throw new Error('nothing is there');
  return found;
}

async function text(): Promise<string> {
  const into = Buffer.alloc(ROOM);
  const { bytes } = await read(into);
  return Buffer.from(bytes).toString();
}

function fault(): Promise<unknown> {
  return read().catch((error: unknown) => error);
}

describe('bytes that are read straight to where they are wanted', () => {
  it('are right wherever an answer is cut in pieces, and come over one connection', async () => {
    const scripted = await serve((request) => [
      PLAIN.slice(0, request + 1),
      PLAIN.slice(request + 1),
    ]);
    for (let cut = 1; cut < PLAIN.length; cut += 1) expect(await text()).toBe(BODY);
    expect(scripted.connections).toBe(1);
    expect(scripted.requests[0]).toMatch(/^GET \/bucket\/k\?x-id=GetObject HTTP\/1\.1\r\n/);
    expect(scripted.requests[0]).toContain('\r\nrange: bytes=0-19\r\n');
  });

  it('are right byte for byte', async () => {
    await serve(() => [PLAIN]);
    const into = Buffer.alloc(ROOM);
    const { bytes, etag } = await read(into);
    expect(Buffer.from(bytes).toString()).toBe(BODY);
    expect(etag).toBe('tag');
    expect(bytes.buffer).toBe(into.buffer);
    expect(into.subarray(BODY.length)).toEqual(Buffer.alloc(ROOM - BODY.length));
  });

  it('are asked for over a new connection when the server has closed the one that was kept', async () => {
    const scripted = await serve((request, socket) => {
      if (request === 1) socket.resetAndDestroy();
      return [PLAIN];
    });
    expect(await text()).toBe(BODY);
    expect(await text()).toBe(BODY);
    expect(scripted.connections).toBe(2);
  });

  it.each([
    ['that says so', 'Connection: close', ''],
    ['with bytes behind its body', 'Connection: keep-alive', 'HTTP/1.1 200 OK\r\n'],
  ])('come over a new connection after an answer %s', async (_what, field, behind) => {
    const fields = [`Content-Length: ${BODY.length}`, field];
    const scripted = await serve(() => [
      answer('HTTP/1.1 206 Partial Content', fields, BODY + behind),
    ]);
    expect(await text()).toBe(BODY);
    expect(await text()).toBe(BODY);
    expect(scripted.connections).toBe(2);
  });

  it('are never those of an answer that nobody asked for', async () => {
    const other = PLAIN.replace(BODY, BODY.toUpperCase());
    let isClosed: Promise<unknown> | undefined;
    await serve((request, socket) => {
      isClosed ??= once(socket, 'close');
      return request === 0 ? [PLAIN, other] : [PLAIN];
    });
    expect(await text()).toBe(BODY);
    await isClosed;
    expect(await text()).toBe(BODY);
  });

  it('are none when the connection ends within the answer, or nothing comes any more', async () => {
    const cuts = [0, 5, PLAIN.length - BODY.length, PLAIN.length - 1];
    const ends = [
      (socket: Socket): void => void socket.end(),
      (socket: Socket): void => void socket.resetAndDestroy(),
      (): void => undefined,
    ];
    const cases = cuts.flatMap((cut) => ends.map((end) => ({ cut, end })));
    const scripted = await serve(async function* (request, socket) {
      const { cut = 0, end } = cases[request] ?? {};
      yield PLAIN.slice(0, cut);
      end?.(socket);
    });
    while (scripted.requests.length < cases.length) {
      expect(await fault()).toBeInstanceOf(TransientFault);
    }
  });

  it('are not written any more once the reader has given up', async () => {
    let go: () => void = () => undefined;
    let half: () => void = () => undefined;
    const halfSent = new Promise<void>((resolve) => (half = resolve));
    await serve(async function* (request) {
      yield PLAIN.slice(0, -10);
      if (request === 0) {
        half();
        await new Promise<void>((resolve) => (go = resolve));
      }
      yield PLAIN.slice(-10);
    });
    const [into, stop] = [Buffer.alloc(ROOM), new AbortController()];
    const reading = read(into, stop.signal);
    await halfSent;
    stop.abort();
    into.fill('x');
    await expect(reading).rejects.toMatchObject({ kind: 'aborted' });
    go();
    expect(await text()).toBe(BODY);
    expect(into.toString()).toBe('x'.repeat(ROOM));
  });
});

const LENGTH = `Content-Length: ${BODY.length}`;
const CHUNKED = `5\r\n${BODY.slice(0, 5)}\r\n0\r\n\r\n`;
const MISSING = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>';
const NOT_FOUND = 'HTTP/1.1 404 Not Found';

describe('answers that are not plain', () => {
  it.each([
    ['after 100 Continue', [`HTTP/1.1 100 Continue\r\n\r\n`, PLAIN]],
    ['of HTTP/1.0', [PLAIN.replace('HTTP/1.1', 'HTTP/1.0')]],
    ['with two ETags', [answer('HTTP/1.1 200 OK', ['ETag: "tag"', LENGTH], BODY)]],
    ['with a long head', [answer('HTTP/1.1 200 OK', [LENGTH, `x: ${'y'.repeat(9_000)}`], BODY)]],
  ])('%s are read all the same, the next over a new connection', async (_what, pieces) => {
    await serve(() => pieces);
    expect(await text()).toBe(BODY);
    expect(await text()).toBe(BODY);
  });

  it('are read where the room is too small', async () => {
    await serve(() => [PLAIN]);
    const { bytes } = await read(Buffer.alloc(3));
    expect(Buffer.from(bytes).toString()).toBe(BODY);
  });

  it.each([
    ['of its length', [`Content-Length: ${MISSING.length}`], MISSING],
    [
      'in chunks',
      ['Transfer-Encoding: chunked'],
      `${MISSING.length.toString(16)}\r\n${MISSING}\r\n0\r\n\r\n`,
    ],
  ])('say that there is no object, in a body %s', async (_what, fields, body) => {
    await serve(() => [answer(NOT_FOUND, fields, body)]);
    expect(await fault()).toMatchObject({ kind: 'not-found' });
  });

  it.each([
    ['two lengths', [LENGTH, 'Content-Length: 3'], BODY],
    ['two lengths in one', ['Content-Length: 20, 20'], BODY],
    ['a length and chunks', [LENGTH, 'Transfer-Encoding: chunked'], CHUNKED],
    ['a length that is none', ['Content-Length: +20'], BODY],
    ['a field with a space in its name', [LENGTH, 'x y: z'], BODY],
    ['a field that has no colon', [LENGTH, 'nothing'], BODY],
    ['a head without end', [LENGTH, `x: ${'y'.repeat(40_000)}`], BODY],
  ])('with %s are refused', async (_what, fields, body) => {
    await serve(() => [answer('HTTP/1.1 206 Partial Content', fields, body)]);
    expect(await fault()).toBeInstanceOf(Error);
  });

  it('with another first line are refused', async () => {
    await serve(() => [PLAIN.replace('HTTP/1.1 206', 'HTTP/1.1  206')]);
    expect(await fault()).toBeInstanceOf(Error);
  });
});

describe('a store that is reached', () => {
  it('with TLS is read so where its authority is trusted, and not at all where it is not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tarn-authority-'));
    const authority = await makeAuthority(folder, ['127.0.0.1']);
    const secure = await startRecorder({ certificate: authority, answer: () => WHOLE });
    server = secure;
    try {
      open(secure.endpoint);
      expect(await fault()).toMatchObject({ kind: 'unavailable' });
      bucket.close();
      expect(secure.received).toEqual([]);
      open(secure.endpoint, { caFile: authority.file });
      expect(await text()).toBe(BODY);
      expect(secure.received[0]?.headers['connection']).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('through a proxy is read through it', async () => {
    const store = await startRecorder({ answer: () => WHOLE });
    server = store;
    const proxy = await startForwardProxy(() => store.port);
    try {
      open('http://store.test', { proxy: proxy.endpoint });
      expect(await text()).toBe(BODY);
      expect(proxy.asked.length).toBe(1);
    } finally {
      await proxy.stop();
    }
  });
});
