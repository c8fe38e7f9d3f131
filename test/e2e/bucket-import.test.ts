import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { s3Client } from '../../src/store/s3/client.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;
const DAY = 'raw/2025-06-14';

let server: StoreServer;
let client: S3Client;
let shell: Shell;
/** Of the logs of a fleet, which somebody else wrote. */
let bucket: string;
let options: readonly string[];

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
  options = ['--endpoint', server.endpoint, '--region', 'us-east-1'];
}, LONG_MS);
afterAll(() => server.stop());

beforeEach(async () => {
  const place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  ({ bucket } = place);
  client = s3Client(place.options, 10_000);
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
}, LONG_MS);
afterEach(async () => {
  client.destroy();
  await shell.dispose();
}, LONG_MS);

async function put(key: string, body: string | Buffer, more: object = {}): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ...more }));
}

async function importDay(...more: string[]): Promise<string> {
  return shell.must('import', `s3://${bucket}/${DAY}/`, `drive/main/${DAY}`, ...options, ...more);
}

describe('objects of a bucket that are imported', () => {
  it(
    'are counted, staged, committed, read and mounted, with no byte of them copied',
    async () => {
      const log = Buffer.alloc(9_000_000, 'lidar and more ');
      await put(`${DAY}/run-8421/log.mcap`, log);
      await put(`${DAY}/run-8421/front/000001.jpg`, 'jpeg');
      await put(`${DAY}/run-8421/a b+c%20é.txt`, 'name');
      await put(`other/x`, 'other');
      expect(await importDay('--dry-run')).toContain('would import 3 files, 8.6 MiB from s3://');
      expect((await shell.tarn(['ls', `drive/main/${DAY}`])).code).toBe(1);
      expect(await importDay()).toContain('imported 3 files, 8.6 MiB');
      await shell.must('commit', 'drive/main', '-m', 'import');
      expect(await shell.must('cat', `drive/main/${DAY}/run-8421/a b+c%20é.txt`)).toBe('name');
      const mount = await shell.mountPoint('main');
      await shell.must('mount', 'drive/main@', mount);
      expect(Buffer.compare(await readFile(`${mount}/${DAY}/run-8421/log.mcap`), log)).toBe(0);
      await shell.must('umount', mount);
      expect(await shell.must('fsck', 'drive')).toContain('nothing is wrong');
    },
    LONG_MS,
  );
});
