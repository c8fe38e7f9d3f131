import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ForeignBucket } from '../../src/store/foreign.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import type { ScriptedServer } from './bucket/scripted-server.js';
import { startScriptedServer } from './bucket/scripted-server.js';

const OBJECT = 'sixteen bytes...';
const PIN = { key: 'scan.laz', etag: 'a', size: OBJECT.length };

let server: ScriptedServer;
/** The head's end and the body, as the server answers whatever it is asked. */
let answer: { readonly head: string; readonly body: string };
let bucket: ForeignBucket;

beforeEach(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'somebody');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'something');
  server = await startScriptedServer(() => [
    `HTTP/1.1 ${answer.head}\r\nETag: "a"\r\nContent-Length: ${answer.body.length}\r\n\r\n${answer.body}`,
  ]);
  const endpoint = encodeURIComponent(server.endpoint);
  bucket = await ForeignBucket.open(
    parseStorageUrl(`s3://scans?endpoint=${endpoint}&region=us-east-1`) as BucketUrl,
  );
});
afterEach(async () => {
  bucket.close();
  await server.stop();
  vi.unstubAllEnvs();
});

it.each([
  ['the whole object', { head: '200 OK', body: OBJECT }],
  [
    'fewer bytes',
    { head: `206 Partial Content\r\nContent-Range: bytes 8-15/${OBJECT.length}`, body: '...' },
  ],
])('bytes of a pinned object are refused from a store that gives %s', async (_what, given) => {
  answer = given;
  await expect(bucket.read(PIN, 8, 16)).rejects.toMatchObject({
    kind: 'io',
    message: expect.stringContaining("of 'scan.laz' in 's3://scans'") as string,
  });
});

it('bytes of a pinned object come from a store that honours ranges', async () => {
  const head = `206 Partial Content\r\nContent-Range: bytes 8-15/${OBJECT.length}`;
  answer = { head, body: OBJECT.slice(8) };
  expect(Buffer.from(await bucket.read(PIN, 8, 16)).toString()).toBe(OBJECT.slice(8));
});
