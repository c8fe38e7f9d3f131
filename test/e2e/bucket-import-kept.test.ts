import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { BucketMetrics } from '../../src/store/bucket/metrics.js';
import { connect } from '../../src/store/open-bucket.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;
const MIB = 1_048_576;

let server: StoreServer;
let proxy: SlowProxy;
let shell: Shell;

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
  proxy = await startSlowProxy(server.endpoint);
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
}, LONG_MS);
afterAll(async () => {
  await shell.dispose();
  await proxy.stop();
  await server.stop();
}, LONG_MS);

it(
  'imported objects are kept on this machine as they are read: the second time nothing is asked of the bucket, which may be gone',
  async () => {
    const place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
    const bucket = await connect(place, new BucketMetrics());
    const put = (key: string, bytes: string | Buffer) => bucket.put(key, Buffer.from(bytes), {});
    const at = (path: string): string => `drive/main/raw/${path}`;
    const log = Buffer.alloc(3 * MIB + 5, 'lidar and more ');
    await put('log.mcap', log);
    await put('small', 'small');
    await put('other', 'other');
    const options = ['--endpoint', proxy.endpoint, '--region', 'us-east-1'];
    await shell.must('import', `s3://${place.bucket}/`, 'drive/main/raw', ...options);
    await shell.must('commit', 'drive/main', '-m', 'import');
    const directory = await shell.mountPoint('mounted');
    await shell.must('mount', 'drive/main@', directory);
    expect(Buffer.compare(await readFile(`${directory}/raw/log.mcap`), log)).toBe(0);
    await shell.must('umount', directory);
    expect(await shell.json('prefetch', at('small'))).toMatchObject({ files: 1, bytes: 5 });
    expect(await shell.json('cache', 'verify')).toMatchObject({ damaged: 0, unchecked: 0 });
    await shell.must('daemon', 'stop');
    await put('log.mcap', 'overwritten');

    proxy.rules = { fault: () => ({ kind: 'reset' }) };
    const before = proxy.requests;
    const offline = await shell.mountPoint('offline');
    await shell.must('mount', '--offline', 'drive/main', offline);
    const read = await readFile(`${offline}/raw/log.mcap`);
    expect(Buffer.compare(read, log)).toBe(0);
    await expect(readFile(`${offline}/raw/other`)).rejects.toMatchObject({ code: 'EIO' });
    const said = await readFile(shell.path('home/log/daemon.jsonl'), 'utf8');
    expect(said).toContain(
      `the imported object 'other' in 's3://${place.bucket}' is not in the cache`,
    );
    await shell.must('umount', offline);
    expect(await shell.must('cat', at('small'))).toBe('small');
    expect(proxy.requests).toBe(before);

    proxy.rules = {};
    const found = await shell.tarn(['fsck', 'drive']);
    expect(found.stdout).toContain("object 'log.mcap'");
    // What was read is let go of soon after its reader has it.
    await expect.poll(() => shell.json('cache', 'prune')).toMatchObject({ bytesLeft: 0 });
    expect((await shell.tarn(['cat', at('log.mcap')])).stderr).toContain('has changed');
    const local = await shell.file('local', 'local');
    await shell.must('put', local, at('local'));
    bucket.close();
    const none = await shell.tarn(['prefetch', at('local')]);
    expect(none.stderr).toContain('on this machine, and so does all that was asked for');
  },
  LONG_MS,
);
