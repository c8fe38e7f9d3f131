import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { azureContainer } from '../../src/store/azure/client.js';
import type { Bucket } from '../../src/store/bucket/bucket.js';
import { BucketMetrics } from '../../src/store/bucket/metrics.js';
import { connect } from '../../src/store/open-bucket.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { run, Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;
const MIB = 1_048_576;
const CLOUDS = ['azurite', 'fake-gcs', 'moto'] as const;

const servers = new Map<string, StoreServer>();
let first: Shell;
let second: Shell;
/** Of the repository, which lies in moto. */
let storage: string;

beforeAll(ensureBuilt);
beforeAll(async () => {
  for (const kind of CLOUDS) {
    const server = await startStoreServer(kind);
    servers.set(kind, server);
    Object.assign(process.env, server.environment);
  }
  storage = (await made('moto')).replace('?', '/drive?');
  first = await Shell.open();
  second = await Shell.open();
  await first.must('repo', 'create', 'drive', '--storage', storage);
  await second.must('repo', 'add', storage);
}, LONG_MS);
afterAll(async () => {
  await first.dispose();
  await second.dispose();
  for (const server of servers.values()) await server.stop();
}, LONG_MS);

function made(kind: string): Promise<string> {
  const server = servers.get(kind);
  if (server === undefined) throw new Error(`${kind} was not started`);
  return server.makeBucket();
}

/** A bucket of this cloud that holds a log and 25 frames, and its URL with the prefix `raw/`. */
async function filled(kind: string, log: Buffer): Promise<{ bucket: Bucket; url: string }> {
  const text = await made(kind);
  const bucket = await connect(parseStorageUrl(text) as BucketUrl, new BucketMetrics());
  await bucket.put('raw/run 1/log+é.mcap', log, {});
  for (let i = 10; i < 35; i++) await bucket.put(`raw/frames-${i}/1.jpg`, Buffer.from(`${i}`), {});
  return { bucket, url: text.replace('?', '/raw/?') };
}

describe.each(CLOUDS)('objects in %s, of a repository in a bucket of S3', (kind) => {
  const log = Buffer.alloc(5 * MIB + 11);
  for (let i = 0; i + 4 < log.length; i += 4_096) log.writeUInt32LE(i, i);

  it(
    'are imported on one machine and read on another, and told when they changed',
    async () => {
      const { bucket, url } = await filled(kind, log);
      const to = `drive/main/${kind}`;
      expect(await first.must('import', url, to, '--dry-run')).toContain(
        'import 26 files, 5.0 MiB',
      );
      expect(await first.must('import', url, to)).toContain('imported 26 files, 5.0 MiB');
      await first.must('commit', 'drive/main', '-m', `import from ${kind}`);

      const directory = await second.mountPoint(kind);
      await second.must('mount', 'drive/main', directory);
      const read = await readFile(`${directory}/${kind}/run 1/log+é.mcap`);
      expect(Buffer.compare(read, log)).toBe(0);
      expect(await readFile(`${directory}/${kind}/frames-34/1.jpg`, 'utf8')).toBe('34');
      expect(
        await second.must('cat', `${to}/run 1/log+é.mcap`, '--range', '4096-4099'),
      ).toHaveLength(4);

      await bucket.put('raw/frames-10/1.jpg', Buffer.from('other'), {});
      await bucket.delete('raw/frames-11/1.jpg');
      const changed = await second.tarn(['cat', `${to}/frames-10/1.jpg`]);
      expect(changed).toMatchObject({ code: 1, stdout: '' });
      expect(changed.stderr).toContain("'raw/frames-10/1.jpg'");
      expect(changed.stderr).toMatch(/it had 2 bytes .* and has 5 bytes .* since 20\d\d-/);
      const gone = await second.tarn(['cat', `${to}/frames-11/1.jpg`]);
      expect(gone.stderr).toContain("object 'raw/frames-11/1.jpg'");
      expect(gone.stderr).toContain('was deleted');
      const seen = await run('cat', [`${directory}/${kind}/frames-11/1.jpg`]);
      expect(seen.stderr).toContain('Input/output error');
      const found = await first.tarn(['fsck', 'drive']);
      expect(found.code).toBe(1);
      expect(found.stdout).toContain("'raw/frames-10/1.jpg'");
      expect(found.stdout).toContain("'raw/frames-11/1.jpg'");
      expect(found.stdout).not.toContain("'raw/frames-12/1.jpg'");
      await second.must('umount', directory);
      bucket.close();
    },
    LONG_MS,
  );

  it(
    'are kept in the cache once they were verified, and then read without the network',
    async () => {
      const { bucket, url } = await filled(kind, log);
      const to = `drive/verified-${kind}/logs`;
      await first.must('branch', 'create', `drive/verified-${kind}`);
      await first.must('import', '--verify', url, to, '--include', '**/*.mcap');
      await first.must('commit', `drive/verified-${kind}`, '-m', 'verified');
      await second.must('prefetch', to);
      const directory = await second.mountPoint(`offline-${kind}`);
      await second.must('mount', '--offline', `drive/verified-${kind}`, directory);
      const read = await readFile(`${directory}/logs/run 1/log+é.mcap`);
      expect(Buffer.compare(read, log)).toBe(0);
      await second.must('umount', directory);
      bucket.close();
    },
    LONG_MS,
  );
});

describe('blobs of Azure in the tier Archive', () => {
  it('are imported and counted by it, and reading one says that it must be restored', async () => {
    const text = await made('azurite');
    const place = parseStorageUrl(text) as BucketUrl;
    const bucket = await connect(place, new BucketMetrics());
    for (const name of ['cold', 'warm']) await bucket.put(`raw/${name}`, Buffer.from(name), {});
    bucket.close();
    const { container } = await azureContainer(place);
    await container.getBlobClient('raw/cold').setAccessTier('Archive');
    const ran = await first.tarn(['import', text.replace('?', '/raw/?'), 'drive/main/tiers']);
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain('1 object in the storage class Archive must be restored');
    const read = await first.tarn(['cat', 'drive/main/tiers/cold']);
    expect(read).toMatchObject({ code: 1, stdout: '' });
    expect(read.stderr).toContain("object 'raw/cold'");
    expect(read.stderr).toContain('archived (Archive) and must be restored before');
    expect(await first.must('cat', 'drive/main/tiers/warm')).toBe('warm');
  });
});
