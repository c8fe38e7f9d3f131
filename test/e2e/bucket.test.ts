import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startSlowProxy } from '../../scripts/lib/slow-proxy.js';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { StatsRow } from '../../src/daemon/protocol/stats.js';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';

const LONG_MS = 180_000;
const MIB = 1_048_576;

let server: StoreServer;
const shells: Shell[] = [];

beforeAll(ensureBuilt);
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
}, LONG_MS);
afterEach(async () => {
  for (const shell of shells.splice(0)) await shell.dispose();
}, LONG_MS);
afterAll(() => server.stop());

/** A machine with a new repository `drive`, which reaches the server through a proxy. */
async function machineBehind(endpoint: string): Promise<Shell> {
  const shell = await machine();
  const { url } = await place();
  const options = ['--endpoint', endpoint, '--region', 'us-east-1'];
  await shell.must('repo', 'create', 'drive', '--storage', url, ...options);
  return shell;
}

/** A machine: a home of its own. */
async function machine(): Promise<Shell> {
  const shell = await Shell.open();
  shells.push(shell);
  return shell;
}

/** `s3://bucket/drive` and the options that go with it. */
async function place(): Promise<{ url: string; options: string[]; storage: string }> {
  const [bucket = '', query = ''] = (await server.makeBucket()).split('?');
  const url = `${bucket}/drive`;
  const options = ['--endpoint', server.endpoint, '--region', 'us-east-1'];
  return { url, options, storage: `${url}?${query}` };
}

async function staged(shell: Shell): Promise<{ storage: string }> {
  const { url, options, storage } = await place();
  await shell.must('repo', 'create', 'drive', '--storage', url, ...options);
  await shell.must('put', await shell.file('one.json', 'one'), 'drive/main/labels/one.json');
  return { storage };
}

/** Reads pieces of a file at places that have no order; the number of blocks in which they lie. */
async function readHereAndThere(
  path: string,
  size: number,
  { length, count }: { readonly length: number; readonly count: number },
): Promise<number> {
  const blocks = new Set<number>();
  const file = await open(path);
  try {
    for (let i = 1; i <= count; i += 1) {
      const offset = Math.floor(((i * 0.618_034) % 1) * (size - length));
      const last = Math.floor((offset + length - 1) / MIB);
      for (let block = Math.floor(offset / MIB); block <= last; block += 1) blocks.add(block);
      const { bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      expect(bytesRead).toBe(length);
    }
  } finally {
    await file.close();
  }
  return blocks.size;
}

const messages = async (shell: Shell): Promise<string[]> =>
  (await shell.jsonRows<{ message: string }>('log', 'drive/main')).map(({ message }) => message);

describe('a repository in a bucket, by the command line', () => {
  it(
    'goes from one machine to another and back, with no database beside the bucket',
    async () => {
      const first = await machine();
      const { url, options, storage } = await place();
      const made = await first.json('repo', 'create', 'drive', '--storage', url, ...options);
      expect(made).toEqual({ name: 'drive', storage });
      await first.file('src/labels/1.json', 'one');
      const log = Buffer.alloc(3_000_000, 'a log of a drive ');
      await first.file('src/run.mcap', log);
      await first.must('put', '-r', first.path('src'), 'drive/main');
      await first.must('commit', 'drive/main', '-m', 'one drive');
      await first.must('branch', 'create', 'drive/labels');

      const second = await machine();
      expect(await second.json('repo', 'add', url, ...options)).toEqual({ name: 'drive', storage });
      const frozen = await second.mountPoint('frozen');
      await second.must('mount', 'drive/main@', frozen);
      expect(Buffer.compare(await readFile(`${frozen}/run.mcap`), log)).toBe(0);
      const work = await second.mountPoint('work');
      await second.must('mount', '--write', 'drive/labels', work);
      await writeFile(`${work}/labels/1.json`, 'edited');
      await writeFile(`${work}/labels/2.json`, 'new');
      await second.must('commit', 'drive/labels', '-m', 'labels');
      await second.must('merge', 'drive/labels', 'main');
      await second.must('tag', 'create', 'drive/golden', 'main');
      expect(await readFile(`${frozen}/labels/1.json`, 'utf8')).toBe('one');

      expect(await first.must('cat', 'drive/main/labels/1.json')).toBe('edited');
      expect(await first.must('cat', 'drive/golden/labels/2.json')).toBe('new');
      expect(await first.must('diff', 'drive/main~1', 'drive/main')).toContain('labels/2.json');
      expect(await first.must('fsck', 'drive')).toContain('nothing is wrong');
      const again = await first.tarn(['repo', 'create', 'x', '--storage', url, ...options]);
      expect(again.code).toBe(1);
      expect(again.stderr).toContain('holds a repository already');
    },
    LONG_MS,
  );

  it.each(['commit-prepared', 'commit-saved', 'commit-ref-moved'])(
    'loses nothing when it is killed in a commit, at %s',
    async (point) => {
      const shell = await machine();
      await staged(shell);
      await shell.must('daemon', 'stop');
      const args = ['commit', 'drive/main', '-m', 'labels'];
      const killed = await shell.tarn(args, { env: { TARN_FAULT_POINT: point } });
      expect(killed.code).not.toBe(0);
      expect(await shell.must('cat', 'drive/main/labels/one.json')).toBe('one');
      const isDone = point === 'commit-ref-moved';
      expect((await messages(shell)).filter((each) => each === 'labels')).toHaveLength(
        isDone ? 1 : 0,
      );
      const again = await shell.tarn(args);
      expect(again.code).toBe(isDone ? 1 : 0);
      expect((await messages(shell)).filter((each) => each === 'labels')).toHaveLength(1);
      expect(await shell.must('fsck', 'drive')).toContain('nothing is wrong');
    },
    LONG_MS,
  );

  it(
    'finds that a commit of a mount, killed when it was made, conflicts with what others did since',
    async () => {
      const shell = await machine();
      const { storage } = await staged(shell);
      await shell.must('commit', 'drive/main', '-m', 'labels');
      await shell.must('daemon', 'stop');
      const work = await shell.mountPoint('work');
      const env = { TARN_FAULT_POINT: 'commit-ref-moved' };
      const mounted = await shell.tarn(['mount', '--write', 'drive/main', work], { env });
      expect(mounted.code).toBe(0);
      await writeFile(`${work}/labels/one.json`, 'mine');
      const args = ['commit', 'drive/main', '-m', 'mine'];
      expect((await shell.tarn(args)).code).not.toBe(0);

      const other = await machine();
      await other.must('repo', 'add', storage);
      expect(await other.must('cat', 'drive/main/labels/one.json')).toBe('mine');
      await other.must('put', await other.file('one.json', 'theirs'), 'drive/main/labels/one.json');
      await other.must('commit', 'drive/main', '-m', 'theirs');
      const again = await shell.tarn(args);
      expect(again.code).toBe(3);
      expect(again.stderr).toContain('labels/one.json');
      expect(await other.must('cat', 'drive/main/labels/one.json')).toBe('theirs');
    },
    LONG_MS,
  );

  it(
    'tells by stats, and in the log, what was asked of the bucket and what mounts found in the cache',
    async () => {
      const proxy = await startSlowProxy(server.endpoint);
      try {
        const shell = await machineBehind(proxy.endpoint);
        const log = Buffer.alloc(3_000_000, 'a log of a drive ');
        await shell.must('put', await shell.file('run.mcap', log), 'drive/main/run.mcap');
        await shell.must('commit', 'drive/main', '-m', 'one drive');
        const frozen = await shell.mountPoint('frozen');
        const work = await shell.mountPoint('work');
        await shell.must('mount', 'drive/main@', frozen);
        await shell.must('mount', '--write', 'drive/main', work);
        expect(Buffer.compare(await readFile(`${frozen}/run.mcap`), log)).toBe(0);

        const [drive, ...mounts] = await shell.jsonRows<StatsRow>('stats');
        if (drive?.kind !== 'repository') throw new Error('the repository comes first');
        // The branch that is mounted for writing is looked at every few seconds.
        expect(Math.abs(proxy.requests - drive.requests)).toBeLessThan(3);
        expect(drive).toMatchObject({ repository: 'drive', retries: 0, errors: 0 });
        expect(drive.bytesSent).toBeGreaterThan(log.length);
        expect(drive.bytesFetched).toBeGreaterThan(log.length);
        expect(drive.byKind['put']?.requests).toBeGreaterThan(3);
        expect(drive.cache.fetchedBytes).toBeGreaterThanOrEqual(log.length);
        expect(mounts).toMatchObject([
          { kind: 'mount', directory: frozen, ref: 'main@', cache: { fetchedBytes: log.length } },
          { kind: 'mount', directory: work, ref: 'main' },
        ]);
        expect(await shell.must('stats')).toMatch(/^drive .*\n {2}\d+ requests \(.*\d+ put/);

        await shell.must('umount', frozen);
        const events = await shell.events();
        expect(events).toContainEqual(
          expect.objectContaining({ event: 'unmounted', fetchedBytes: log.length }),
        );
        expect(events).toContainEqual(
          expect.objectContaining({ event: 'job traffic', job: 'commit', repository: 'drive' }),
        );
      } finally {
        await proxy.stop();
      }
    },
    LONG_MS,
  );

  it(
    'readers here and there have fetched what they ask for, by blocks of 1 MiB, and little more',
    async () => {
      const proxy = await startSlowProxy(server.endpoint);
      try {
        const shell = await machineBehind(proxy.endpoint);
        await shell.must('put', await shell.file('log', randomBytes(48 * MIB)), 'drive/main/log');
        await shell.must('commit', 'drive/main', '-m', 'a log');
        const frozen = await shell.mountPoint('frozen');
        for (const [length, count] of [
          [4096, 12],
          [MIB, 12],
          [4 * MIB, 5],
        ] as const) {
          await shell.must('cache', 'prune');
          await shell.must('mount', 'drive/main@', frozen);
          const before = proxy.bytesAnswered;
          const blocks = await readHereAndThere(`${frozen}/log`, 48 * MIB, { length, count });
          expect((proxy.bytesAnswered - before) / (blocks * MIB)).toBeLessThan(1.3);
          await shell.must('umount', frozen);
        }
      } finally {
        await proxy.stop();
      }
    },
    LONG_MS,
  );

  it(
    'says so in words when the bucket is gone or nothing answers, and keeps what is staged',
    async () => {
      const shell = await machine();
      const { storage } = await staged(shell);
      const nowhere = await shell.tarn(['repo', 'add', storage.replace('/drive?', '/other?')]);
      expect(nowhere.code).toBe(1);
      expect(nowhere.stderr).toContain('there is no repository in');
      await fetch(`${server.endpoint}/moto-api/reset`, { method: 'POST' });
      const gone = await shell.tarn(['commit', 'drive/main', '-m', 'labels']);
      expect(gone.code).toBe(1);
      expect(gone.stderr).toMatch(/^tarn: .*bucket/);
      expect(gone.stdout).toBe('');
      const asked = await shell.tarn(['repo', 'list']);
      expect(asked.stdout).toContain(storage);
    },
    LONG_MS,
  );
});
