import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, readSync, rmSync, statSync, writeSync, closeSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CacheState } from '../../src/daemon/protocol/cache.js';
import type { StatsRow } from '../../src/daemon/protocol/stats.js';
import { run, Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';
import { BucketLog } from './bucket-log.js';

const LONG_MS = 120_000;
const MIB = 1_048_576;
const LOG_BYTES = 12 * MIB;

let stored: BucketLog;
const shells: Shell[] = [];
/** A directory of its own for each test. */
let scratch: string;

beforeAll(ensureBuilt);
beforeAll(async () => {
  stored = await BucketLog.create(LOG_BYTES);
}, LONG_MS);
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tarn-cache-'));
});
afterEach(async () => {
  for (const shell of shells.splice(0)) await shell.dispose();
  delete process.env['TARN_CACHE_DIR'];
  delete process.env['TARN_CACHE_FREE'];
  execFileSync('sh', ['-c', 'mountpoint -q "$0" && umount "$0" || true', scratch]);
  rmSync(scratch, { recursive: true, force: true });
}, LONG_MS);
afterAll(() => stored.dispose(), LONG_MS);

/** Another home that knows the repository, with a mount of it. */
async function machine(): Promise<{ shell: Shell; log: string }> {
  const shell = await Shell.open();
  shells.push(shell);
  await shell.must('repo', 'add', stored.storage);
  return { shell, log: await mounted(shell) };
}

async function mounted(shell: Shell): Promise<string> {
  const directory = await shell.mountPoint('frozen');
  await shell.must('mount', 'drive/main@', directory);
  return `${directory}/run.mcap`;
}

async function expectRight(log: string): Promise<void> {
  expect(await run('cmp', [log, stored.first.path('run.mcap')])).toMatchObject({
    code: 0,
    stdout: '',
  });
}

async function repositoryStats(shell: Shell): Promise<StatsRow & { kind: 'repository' }> {
  const [row] = await shell.jsonRows<StatsRow>('stats');
  if (row?.kind !== 'repository') throw new Error('there is no repository in a bucket');
  return row;
}

describe('the cache of what is read of a bucket', () => {
  it.skipIf(process.getuid?.() !== 0)(
    'on a full disk reads go on, and nothing is kept (needs root, to mount one)',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=5m,mode=700', 'tarn-test', scratch]);
      Object.assign(process.env, { TARN_CACHE_DIR: scratch, TARN_CACHE_FREE: '0' });
      const { shell, log } = await machine();
      await expectRight(log);
      const { fetchedBytes, refused, bytes } = await shell.json<CacheState>('cache', 'show');
      expect(fetchedBytes).toBeGreaterThanOrEqual(LOG_BYTES);
      expect(refused).toBeGreaterThan(0);
      expect(bytes).toBeLessThan(5 * MIB);
      const doctor = await shell.must('doctor');
      expect(doctor).toMatch(/warn {2}cache: .*was not kept [\d,]+ times?, for lack of room/);
      const logged = await readFile(join(shell.home, 'log', 'daemon.jsonl'), 'utf8');
      expect(logged.match(/"event":"cache full","why":"[^"]+"/g)).toHaveLength(1);
      await shell.must('umount', '--all');
      await expectRight(await mounted(shell));
      expect(await shell.must('cat', 'drive/main/run.mcap', '--range', '0-0')).toHaveLength(1);
    },
    LONG_MS,
  );

  it(
    'is shared by homes that are given one directory: what one fetched the other finds, and none takes what is open',
    async () => {
      Object.assign(process.env, { TARN_CACHE_DIR: join(scratch, 'shared') });
      const one = await machine();
      await expectRight(one.log);
      const other = await machine();
      await expectRight(other.log);
      expect((await repositoryStats(other.shell)).bytesFetched).toBeLessThan(MIB);
      const held = openSync(other.log, 'r');
      try {
        await one.shell.must('umount', '--all');
        await one.shell.must('cache', 'prune');
        readSync(held, Buffer.alloc(10), 0, 10, 5 * MIB);
        await expectRight(other.log);
        expect((await repositoryStats(other.shell)).bytesFetched).toBeLessThan(MIB);
      } finally {
        closeSync(held);
      }
    },
    LONG_MS,
  );

  it(
    'a directory that others may enter is refused in words',
    async () => {
      execFileSync('chmod', ['755', scratch]);
      Object.assign(process.env, { TARN_CACHE_DIR: scratch });
      const shell = await Shell.open();
      shells.push(shell);
      const refused = await shell.tarn(['repo', 'list']);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`'${scratch}' is not a directory private to this user`);
    },
    LONG_MS,
  );

  it(
    'a block that was damaged is fetched again, once, and counted',
    async () => {
      Object.assign(process.env, { TARN_CACHE_DIR: join(scratch, 'own') });
      const { shell, log } = await machine();
      await expectRight(log);
      await shell.must('daemon', 'stop');
      const data = join(scratch, 'own', 'data');
      const files = (await readdir(data, { recursive: true })).map((name) => join(data, name));
      const [large = ''] = files.filter((file) => statSync(file).size === LOG_BYTES);
      const fd = openSync(large, 'r+');
      writeSync(fd, Buffer.from('damage'), 0, 6, 3 * MIB + 5);
      closeSync(fd);
      await expectRight(await mounted(shell));
      const { cache, bytesFetched } = await repositoryStats(shell);
      expect(cache.healed).toBe(1);
      expect(bytesFetched).toBeGreaterThanOrEqual(MIB);
      expect(bytesFetched).toBeLessThan(2 * MIB);
      await expectRight(log);
      expect((await repositoryStats(shell)).cache.healed).toBe(1);
    },
    LONG_MS,
  );

  it(
    'has the size that its daemon was started with; one that runs keeps its own',
    async () => {
      const shell = await Shell.open();
      shells.push(shell);
      await shell.must('daemon', 'start', '--cache-size', '3GB', '--cache-free', '1GiB');
      expect(await shell.json('cache', 'show')).toMatchObject({
        bytesMax: 3_000_000_000,
        freeBytesMin: 1_073_741_824,
      });
      const late = await shell.tarn(['daemon', 'start', '--cache-size', '4GB']);
      expect(late.code).toBe(1);
      expect(late.stderr).toContain('with its own limits');
      expect((await shell.tarn(['daemon', 'start', '--cache-size', 'much'])).code).toBe(2);
    },
    LONG_MS,
  );
});
