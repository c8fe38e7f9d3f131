import type { S3Client } from '@aws-sdk/client-s3';
import {
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { once } from 'node:events';
import { open, readdir, readFile, utimes } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SlowProxy } from '../../scripts/lib/slow-proxy.js';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { s3Client } from '../../src/store/s3/client.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { run, Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 120_000;
const MIB = 1_048_576;

let server: StoreServer;
let proxy: SlowProxy;
let client: S3Client;
let shell: Shell;
/** Where somebody else keeps logs; a new one for each test, imported to a path of the same name. */
let bucket: string;
let options: readonly string[];

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
  proxy = await startSlowProxy(server.endpoint);
  options = ['--endpoint', proxy.endpoint, '--region', 'us-east-1'];
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
}, LONG_MS);
afterAll(async () => {
  await shell.dispose();
  await proxy.stop();
  await server.stop();
}, LONG_MS);

beforeEach(async () => {
  const place = parseStorageUrl(await server.makeBucket()) as BucketUrl;
  ({ bucket } = place);
  client = s3Client(place.options, 10_000);
});
afterEach(() => {
  proxy.rules = {};
  client.destroy();
});

interface More {
  readonly StorageClass?: 'GLACIER' | 'DEEP_ARCHIVE' | 'GLACIER_IR';
}

async function put(key: string, body: string | Buffer, more: More = {}): Promise<string> {
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: Buffer.from(body),
    ...more,
  });
  return (await client.send(command)).VersionId ?? '';
}

async function remove(key: string, version?: string): Promise<void> {
  const which = version === undefined ? {} : { VersionId: version };
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, ...which }));
}

async function keepVersions(): Promise<void> {
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
}

/** Of all that is below `prefix`, to a folder with the name of the bucket. */
function importArgs(prefix = '', ...more: string[]): string[] {
  return ['import', `s3://${bucket}/${prefix}`, `drive/main/${bucket}`, ...options, ...more];
}

async function mounted<T>(ref: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await shell.mountPoint(`mount-${bucket}`);
  await shell.must('mount', ref, directory);
  try {
    return await work(directory);
  } finally {
    await shell.must('umount', directory);
  }
}

const at = (path: string): string => `drive/main/${bucket}/${path}`;

describe('objects of a bucket that are imported', () => {
  it(
    'are counted, staged, committed, listed, read and mounted, with no byte of them copied',
    async () => {
      const log = Buffer.alloc(9_000_000, 'lidar and more ');
      await put('raw/run-8421/log.mcap', log);
      await put('raw/run-8421/front/000001.jpg', 'jpeg');
      await put('raw/run-8421/a b+c%20é.txt', 'name');
      await put('raw/run-8421/empty/', '');
      await put('other/x', 'other');
      const dry = await shell.must(...importArgs('raw/', '--dry-run'));
      expect(dry).toContain('would import 3 files, 8.6 MiB from s3://');
      expect((await shell.tarn(['ls', at('')])).code).toBe(1);
      const before = proxy.bytesAnswered;
      expect(await shell.must(...importArgs('raw/'))).toContain('imported 3 files, 8.6 MiB');
      expect(proxy.bytesAnswered - before).toBeLessThan(20_000);
      await shell.must('commit', 'drive/main', '-m', 'import');
      expect(await shell.must('cat', at('run-8421/a b+c%20é.txt'))).toBe('name');
      expect(await shell.must('stat', at('run-8421/log.mcap'))).toMatch(
        /imported +from s3:\/\/.*endpoint=.*\/raw\/run-8421\/log\.mcap/,
      );
      await mounted('drive/main@', async (directory) => {
        const read = await readFile(`${directory}/${bucket}/run-8421/log.mcap`);
        expect(Buffer.compare(read, log)).toBe(0);
        const listed = await run('find', [`${directory}/${bucket}`, '-type', 'd']);
        expect(listed.stdout).toContain('run-8421/empty');
      });
      expect(await shell.must('fsck', 'drive')).toContain('nothing is wrong');
    },
    LONG_MS,
  );

  it('are filtered by patterns below the prefix, and one of them is imported by its key', async () => {
    for (const key of ['a/1.jpg', 'a/1.txt', 'b/2.jpg', 'tmp/3.jpg']) await put(key, key);
    const filters = ['--include', '**/*.jpg', '--exclude', 'tmp/**'];
    expect(await shell.must(...importArgs('', ...filters))).toContain('imported 2 files');
    const rows = await shell.jsonRows<{ path: string }>('ls', '-r', at(''));
    expect(rows.map(({ path }) => path)).toEqual([`${bucket}/a/1.jpg`, `${bucket}/b/2.jpg`]);
    await shell.must('import', `s3://${bucket}/a/1.txt`, at('one.txt'), ...options);
    expect(await shell.must('cat', at('one.txt'))).toBe('a/1.txt');
    await shell.must('import', `s3://${bucket}/a`, at('folder'), ...options);
    expect(await shell.must('cat', at('folder/1.txt'))).toBe('a/1.txt');
  });

  it('are filtered by size and by when they were stored, and so are files of a folder', async () => {
    for (const size of [0, 10, 100, 1_000]) await put(`${size}.bin`, Buffer.alloc(size));
    const imported = async (...filters: string[]): Promise<string[]> => {
      await shell.must('import', `s3://${bucket}/`, at('some'), ...options, ...filters);
      const rows = await shell.jsonRows<{ path: string }>('ls', '-r', at('some'));
      await shell.must('rm', '-r', at('some'), '--yes');
      return rows.map(({ path }) => path.slice(`${bucket}/some/`.length));
    };
    expect(await imported('--min-size', '10', '--max-size', '0.1KB')).toEqual([
      '10.bin',
      '100.bin',
    ]);
    expect(await imported('--since', '1 hour ago', '--min-size', '1KB')).toEqual(['1000.bin']);
    const none = await shell.tarn(importArgs('', '--until', '1 hour ago', '--dry-run'));
    expect(none.stdout).toContain('would import 0 files');
    for (const size of [10, 1_000]) await shell.file(`folder/${size}.bin`, Buffer.alloc(size));
    await utimes(shell.path('folder/10.bin'), 1_000_000_000, 1_000_000_000);
    const some = ['import', shell.path('folder'), at('folder'), '--until', '2001-09-10'];
    expect(await shell.must(...some)).toContain('imported 1 file, 10 B');
    expect(await shell.must(...some.slice(0, 3), '--min-size', '11')).toContain('1 file, 1000 B');
    const wrong = await shell.tarn(importArgs('', '--min-size', 'huge'));
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain("--min-size takes bytes, as 4KiB or 2GB, not 'huge'");
  });

  it(
    'are read in pieces: what a program reads is about what is fetched',
    async () => {
      const log = Buffer.alloc(24 * MIB);
      for (let i = 0; i < log.length; i += 4096) log.writeUInt32LE(i, i);
      await put('log.mcap', log);
      await shell.must(...importArgs());
      await shell.must('commit', 'drive/main', '-m', 'import');
      await mounted('drive/main', async (directory) => {
        const file = await open(`${directory}/${bucket}/log.mcap`);
        try {
          const start = proxy.bytesAnswered;
          for (const offset of [log.length - 4096, 8 * MIB, 16 * MIB]) {
            const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, offset);
            expect(Buffer.compare(buffer, log.subarray(offset, offset + 4096))).toBe(0);
          }
          // The kernel reads ahead of a program that reads a few pages.
          expect(proxy.bytesAnswered - start).toBeLessThan(1.3 * MIB);
        } finally {
          await file.close();
        }
        const start = proxy.bytesAnswered;
        const read = await readFile(`${directory}/${bucket}/log.mcap`);
        expect(Buffer.compare(read, log)).toBe(0);
        expect(proxy.bytesAnswered - start).toBeLessThan(1.3 * log.length);
      });
    },
    LONG_MS,
  );

  it(
    'that were overwritten or deleted since are told on read and by fsck, and never served',
    async () => {
      for (const key of ['kept', 'overwritten', 'deleted']) await put(key, `bytes of ${key}`);
      await shell.must(...importArgs());
      await shell.must('commit', 'drive/main', '-m', 'import');
      await put('overwritten', 'other bytes');
      await remove('deleted');
      const changed = await shell.tarn(['cat', at('overwritten')]);
      expect(changed).toMatchObject({ code: 1, stdout: '' });
      expect(changed.stderr).toMatch(
        /'overwritten' in 's3:\/\/bucket-\d+' has changed: it had 20 bytes with the ETag \w+ when it was imported, and has 11 bytes with the ETag \w+ since 20\d\d-/,
      );
      expect(changed.stderr).toContain("import it again with 'tarn import'");
      const gone = await shell.tarn(['cat', at('deleted')]);
      expect(gone.stderr).toContain(
        `the imported object 'deleted' in 's3://${bucket}' was deleted`,
      );
      await mounted('drive/main', async (directory) => {
        const read = await run('cat', [`${directory}/${bucket}/overwritten`]);
        expect(read).toMatchObject({ code: 1, stdout: '' });
        expect(read.stderr).toContain('Input/output error');
        expect(await readFile(`${directory}/${bucket}/kept`, 'utf8')).toBe('bytes of kept');
      });
      const found = await shell.tarn(['fsck', 'drive']);
      expect(found.code).toBe(1);
      expect(found.stdout).toContain("object 'overwritten'");
      expect(found.stdout).toContain("object 'deleted'");
      expect(found.stdout).not.toContain("object 'kept'");
    },
    LONG_MS,
  );

  it('are told by read and fsck with the version that still has the bytes, where there is one', async () => {
    await keepVersions();
    await put('log.mcap', 'as it was');
    // Who imports may not see that there are versions.
    const refused = { kind: 'error', status: 403, code: 'AccessDenied' } as const;
    proxy.rules = { fault: (_, line) => (line.includes('?versioning') ? refused : undefined) };
    await shell.must(...importArgs());
    await shell.must('commit', 'drive/main', '-m', 'import');
    proxy.rules = {};
    await put('log.mcap', 'overwritten');
    for (const args of [
      ['cat', at('log.mcap')],
      ['fsck', 'drive'],
    ]) {
      const { code, stdout, stderr } = await shell.tarn(args);
      expect(code).toBe(1);
      expect(`${stdout}${stderr}`).toMatch(
        /'log\.mcap' .* since 20.*; version '\S+' of it still has/,
      );
    }
  });

  /** What was read is let go of soon after its reader has it. */
  async function pruned(): Promise<void> {
    await expect.poll(() => shell.json('cache', 'prune')).toMatchObject({ bytesLeft: 0 });
  }

  it('are read as they were for as long as the bucket keeps their version', async () => {
    await keepVersions();
    await put('a', 'other');
    const version = await put('log.mcap', 'as it was');
    await shell.must(...importArgs());
    await put('log.mcap', 'overwritten');
    expect(await shell.must('cat', at('log.mcap'))).toBe('as it was');
    await remove('log.mcap');
    await pruned();
    expect(await shell.must('cat', at('log.mcap'))).toBe('as it was');
    await remove('log.mcap', version);
    await pruned();
    const gone = await shell.tarn(['cat', at('log.mcap')]);
    expect(gone).toMatchObject({ code: 1, stdout: '' });
    expect(gone.stderr).toContain("'log.mcap'");
  });

  it('that must be restored first are counted by their class, and named when they are read', async () => {
    await put('warm', 'bytes');
    await put('cold', 'bytes', { StorageClass: 'DEEP_ARCHIVE' });
    await put('colder', 'bytes', { StorageClass: 'GLACIER' });
    await put('instant', 'bytes', { StorageClass: 'GLACIER_IR' });
    const ran = await shell.tarn(importArgs());
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain('1 object in the storage class DEEP_ARCHIVE must be restored');
    expect(ran.stderr).toContain('1 object in the storage class GLACIER must be restored');
    expect(ran.stderr).not.toContain('GLACIER_IR');
    const read = await shell.tarn(['cat', at('cold')]);
    expect(read).toMatchObject({ code: 1, stdout: '' });
    expect(read.stderr).toContain("object 'cold'");
    expect(read.stderr).toContain('archived (DEEP_ARCHIVE) and must be restored before');
    expect(await shell.must('cat', at('instant'))).toBe('bytes');
  });

  it('are checked by their hashes with --verify, and what changes since is told', async () => {
    const log = Buffer.alloc(3 * MIB + 5, 'lidar');
    await put('log.mcap', log);
    await put('small', 'small');
    await shell.must(...importArgs('', '--verify'));
    const found = await shell.json<{ content: string }>('stat', at('log.mcap'));
    const file = await shell.file('log.mcap', log);
    await shell.must('put', file, at('same.mcap'));
    expect(found.content).toBe(
      (await shell.json<{ content: string }>('stat', at('same.mcap'))).content,
    );
    expect((await shell.must('cat', at('log.mcap'))).length).toBe(log.length);
    expect(await shell.must('cat', at('small'))).toBe('small');
    await shell.must('commit', 'drive/main', '-m', 'verified');
    await put('log.mcap', 'other');
    expect((await shell.must('cat', at('log.mcap'))).length).toBe(log.length);
    const checked = await shell.tarn(['fsck', 'drive']);
    expect(checked.stdout).toContain(`object 'log.mcap' in 's3://${bucket}' has changed`);
  });
});

describe('keys that no file system can show', () => {
  const LONG = `long/${'n'.repeat(256)}`;
  const HIDDEN = ['a//b', './x', 'y/../z', '..', '/', '//', 'dir-with-bytes/', LONG];
  const SHOWN = ['a', 'a/c', 'a b+c%20&?#é/日本.txt', '-rf', '\u{1f697}'];

  it(
    'are listed, read, copied, compared and removed by every other door; doctor lists them',
    async () => {
      const fits = 'k'.repeat(1_024 - bucket.length - 1);
      const keys = [...HIDDEN, ...SHOWN, fits];
      for (const key of keys) await put(key, `bytes of ${key}`);
      await put('t'.repeat(1_024), 'too long behind a prefix');
      const ran = await shell.tarn(importArgs());
      expect(ran.code).toBe(1);
      expect(ran.stdout).toContain(`imported ${keys.length} files`);
      expect(ran.stderr).toMatch(
        /failed s3:.*ttt: .*at most 1024 are allowed: import it to a shorter/,
      );
      const rows = await shell.jsonRows<{ path: string }>('ls', '-r', at(''));
      const inBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect(rows.map(({ path }) => path)).toEqual(
        [...keys].sort(inBytes).map((key) => `${bucket}/${key}`),
      );
      for (const key of keys) expect(await shell.must('cat', at(key))).toBe(`bytes of ${key}`);
      await shell.must('get', at('a//b'), shell.path('got'));
      expect(await readFile(shell.path('got'), 'utf8')).toBe('bytes of a//b');
      await shell.must('commit', 'drive/main', '-m', 'any key');
      const paths = await shell.jsonRows<{ path: string }>('diff', 'drive/main~1', 'drive/main');
      expect(paths.map(({ path }) => path)).toContain(`${bucket}/y/../z`);
      const doctor = await shell.must('doctor', 'drive');
      for (const key of HIDDEN) expect(doctor).toContain(`'${bucket}/${key}' is not shown`);
      for (const key of SHOWN) expect(doctor).not.toContain(`'${bucket}/${key}' is not`);
      await mounted('drive/main', async (directory) => {
        const found = await run('find', [`${directory}/${bucket}`, '-type', 'f']);
        const names = ['a~file', 'a/c', ...SHOWN.slice(2)].map(
          (name) => `${directory}/${bucket}/${name}`,
        );
        const shown = found.stdout.trim().split('\n');
        expect(shown.filter((path) => !path.endsWith('kkk')).sort(inBytes)).toEqual(
          names.sort(inBytes),
        );
        expect(await readFile(`${directory}/${bucket}/a~file`, 'utf8')).toBe('bytes of a');
      });
      await shell.must('rm', at('a//b'));
      expect((await shell.tarn(['cat', at('a//b')])).code).toBe(1);
    },
    LONG_MS,
  );
});

describe('an import that does not come to its end', () => {
  const RUNS = 20;
  beforeEach(async () => {
    for (let i = 0; i < RUNS; i++) await put(`run-${String(i).padStart(2, '0')}/log.mcap`, 'log');
  });

  it(
    'says how far it came and that nothing is staged, and goes on from there',
    async () => {
      const isLate = /prefix=run-1[5-9]%2F/;
      proxy.rules = {
        fault: (_, line) =>
          isLate.test(line) ? { kind: 'error', status: 403, code: 'AccessDenied' } : undefined,
      };
      const failed = await shell.tarn(importArgs());
      expect(failed.code).toBe(1);
      expect(failed.stderr).toContain('15 objects were listed by then, and nothing is staged yet');
      expect(failed.stderr).toContain('run the same command again: it goes on from there');
      expect((await shell.tarn(['ls', at('')])).code).toBe(1);
      const lines: string[] = [];
      proxy.rules = { fault: (_, line) => void lines.push(line) };
      const again = await shell.tarn(importArgs());
      expect(again.code).toBe(0);
      expect(again.stdout).toContain(`imported ${RUNS} files`);
      expect(again.stderr).toContain(
        'went on after 15 files that an interrupted import had listed',
      );
      expect(lines.some((line) => line.includes('prefix=run-01'))).toBe(false);
      expect(await shell.must('cat', at('run-00/log.mcap'))).toBe('log');
      expect(await shell.must('cat', at('run-19/log.mcap'))).toBe('log');
      const anew = await shell.tarn(importArgs());
      expect(anew.stderr).not.toContain('went on');
    },
    LONG_MS,
  );

  it(
    'stages nothing when it is interrupted by Ctrl-C, and goes on from there',
    async () => {
      let late: () => void = () => undefined;
      const isLate = new Promise<void>((resolve) => (late = resolve));
      proxy.rules = {
        fault: (_, line) => {
          // Asked for when the first was read: sixteen are under way beside it.
          if (!/prefix=run-1[7-9]%2F/.test(line)) return undefined;
          late();
          return { kind: 'stall' };
        },
      };
      const child = shell.start(importArgs());
      let said = '';
      child.stderr?.on('data', (text: Buffer) => (said += text.toString()));
      await isLate;
      child.kill('SIGINT');
      const [code] = (await once(child, 'close')) as [number];
      expect(code).toBe(130);
      expect(said).toContain('nothing is staged yet; run the same command again');
      expect((await shell.tarn(['ls', at('')])).code).toBe(1);
      const isKept = async () =>
        (await readdir(shell.home, { recursive: true })).some((path) =>
          /imports\/\w+\.json$/.test(path),
        );
      await expect.poll(isKept, { timeout: LONG_MS }).toBe(true);
      proxy.rules = {};
      const again = await shell.tarn(importArgs());
      expect(again.code).toBe(0);
      expect(again.stdout).toContain(`imported ${RUNS} files`);
      expect(again.stderr).toMatch(/went on after \d+ files that an interrupted import had listed/);
      const rows = await shell.jsonRows<{ path: string }>('ls', '-r', at(''));
      expect(rows).toHaveLength(RUNS);
    },
    LONG_MS,
  );

  it('says that there are no credentials, and how they are given', async () => {
    const other = await Shell.open();
    try {
      const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', HOME: other.root };
      await other.tarn(['repo', 'create', 'drive'], { env: none });
      const ran = await other.tarn(importArgs(), { env: none });
      expect(ran).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr).toContain(`no credentials for 's3://${bucket}' were found`);
      expect(ran.stderr).toContain("hint: give them as the cloud's own tools take them");
    } finally {
      await other.dispose();
    }
  });

  it(
    'goes on where it was when it was killed',
    async () => {
      const other = await Shell.open();
      try {
        await other.must('repo', 'create', 'drive');
        await other.must('daemon', 'stop');
        const killed = await other.tarn(importArgs(), {
          env: { TARN_FAULT_POINT: 'import-listed' },
        });
        expect(killed.code).not.toBe(0);
        const again = await other.tarn(importArgs());
        expect(again.code).toBe(0);
        expect(again.stderr).toContain(`went on after ${RUNS} files`);
        expect(await other.must('cat', at('run-19/log.mcap'))).toBe('log');
        const anew = await other.tarn(importArgs('', '--anew'));
        expect(anew.stderr).not.toContain('went on');
      } finally {
        await other.dispose();
      }
    },
    LONG_MS,
  );

  it(
    'says in words what is wrong with the bucket, the prefix or the rights',
    async () => {
      const refuses = async (args: string[], ...words: string[]): Promise<void> => {
        const ran = await shell.tarn(args);
        expect(ran.code).not.toBe(0);
        expect(ran.stdout).toBe('');
        for (const word of words) expect(ran.stderr).toContain(word);
      };
      const to = 'drive/main/bad';
      await refuses(['import', 's3://no-such-bucket/x/', to, ...options], 'there is no bucket');
      await refuses(['import', `s3://${bucket}/nowhere/`, to, ...options], 'there is no object in');
      await refuses(['import', `s3://${bucket}/nowhere`, to, ...options], 'there is no object in');
      await refuses(['import', `s3://${bucket}/`, 'drive/none/x', ...options], "'none'");
      await refuses(['import', '/data', to, '--region', 'eu'], '--region goes with the URL');
      proxy.rules = { fault: () => ({ kind: 'error', status: 403, code: 'AccessDenied' }) };
      await refuses(['import', `s3://${bucket}/`, to, ...options], 'the store refuses', 'listing');
      proxy.rules = { fault: () => ({ kind: 'error', status: 301, code: 'PermanentRedirect' }) };
      await refuses(['import', `s3://${bucket}/`, to, ...options], 'in another region');
      expect((await shell.tarn(['ls', to])).code).toBe(1);
    },
    LONG_MS,
  );
});
