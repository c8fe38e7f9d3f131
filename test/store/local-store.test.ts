import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { readlinkSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BlockingStore } from '../../src/store/local/blocking-store.js';
import { LocalStore } from '../../src/store/local/local-store.js';
import { runObjectStoreSuite } from '../suites/object-store.js';
import { withFullDisk } from './full-disk.js';

runObjectStoreSuite('local directory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tarn-store-'));
  return {
    store: await LocalStore.open(directory),
    teardown: async () => rmSync(directory, { recursive: true }),
  };
});

runObjectStoreSuite('local directory, for a thread that waits', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tarn-store-'));
  return {
    store: new BlockingStore(await LocalStore.open(directory)),
    teardown: async () => rmSync(directory, { recursive: true }),
  };
});

describe('local store', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tarn-store-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  const temps = (): string[] => readdirSync(join(directory, 'tmp'));
  const openDescriptors = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
      } catch {
        return false;
      }
    }).length;

  test('opening what is not there, or no directory, says so', async () => {
    await expect(LocalStore.open(join(directory, 'none'))).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining(join(directory, 'none')) as string,
    });
    writeFileSync(join(directory, 'file'), '');
    await expect(LocalStore.open(join(directory, 'file'))).rejects.toMatchObject({
      kind: 'not-directory',
    });
  });

  test('create makes the directory, and opens one that is there', async () => {
    const path = join(directory, 'a', 'b');
    await (await LocalStore.create(path)).put('k', Buffer.from('x'));
    const again = await LocalStore.create(path);
    expect(Buffer.from(await again.get('k')).toString()).toBe('x');
  });

  test('an object is the file that localPath names', async () => {
    const store = await LocalStore.open(directory);
    await store.put('packs/ab/x', Buffer.from('bytes'));
    expect(readFileSync(store.localPath('packs/ab/x'), 'latin1')).toBe('bytes');
    expect(() => store.localPath('../x')).toThrow(/not an object key/);
  });

  test('nothing is left in tmp by puts, refused puts and aborted uploads', async () => {
    const store = await LocalStore.open(directory);
    await store.put('k', Buffer.from('1'));
    await expect(store.put('k', Buffer.from('2'), { ifNoneMatch: '*' })).rejects.toThrow();
    await expect(store.put('k', Buffer.from('2'), { ifMatch: 'other' })).rejects.toThrow();
    await (await store.upload()).abort();
    await (await store.upload()).finish('k');
    expect(temps().filter((name) => name !== 'replace.lock')).toEqual([]);
  });

  test('reading more objects than may stay open works and leaves no descriptor behind', async () => {
    const store = await LocalStore.open(directory);
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    for (const key of keys) await store.put(key, Buffer.from(key));
    const read = async (key: string): Promise<string> => {
      const found = await store.get(key, { range: { offset: 0, length: 9 } });
      return Buffer.from(found).toString();
    };
    expect(await Promise.all([...keys, ...keys].map(read))).toEqual([...keys, ...keys]);
    expect(openDescriptors()).toBeLessThanOrEqual(64);
    await store.close();
    expect(openDescriptors()).toBe(0);
  });

  test('a thread that waits leaves no descriptor behind and nothing in tmp', async () => {
    const store = new BlockingStore(await LocalStore.open(directory));
    const keys = Array.from({ length: 200 }, (_, i) => `ab/k${i}`);
    for (const key of keys) await store.put(key, Buffer.from(key), { ifNoneMatch: '*' });
    for (const key of [...keys, ...keys]) {
      expect(Buffer.from(store.getNow(key, { last: 99 })).toString()).toBe(key);
    }
    await expect(store.put('ab/k1', Buffer.from('2'), { ifNoneMatch: '*' })).rejects.toMatchObject({
      kind: 'conflict',
    });
    expect(() => store.getNow('ab/none', { last: 1 })).toThrow(/'ab\/none' is missing/);
    expect(openDescriptors()).toBeLessThanOrEqual(128);
    await store.close();
    expect(openDescriptors()).toBe(0);
    expect(temps()).toEqual([]);
  });

  test('a range of an object that was truncated underneath is short, not filled', async () => {
    const store = await LocalStore.open(directory);
    await store.put('k', Buffer.alloc(1000, 1));
    await store.get('k', { range: { offset: 0, length: 1 } });
    truncateSync(store.localPath('k'), 500);
    expect((await store.get('k', { range: { offset: 400, length: 200 } })).length).toBe(100);
    await store.close();
  });

  test('an object that was restored by another program is read again before long', async () => {
    const store = await LocalStore.open(directory);
    const range = { offset: 0, length: 4 };
    const read = async (): Promise<string> => {
      return Buffer.from(await store.get('k', { range })).toString();
    };
    await store.put('k', Buffer.from('good'));
    writeFileSync(`${store.localPath('k')}-restored`, 'good');
    writeFileSync(store.localPath('k'), 'bad');
    expect(await read()).toBe('bad');
    renameSync(`${store.localPath('k')}-restored`, store.localPath('k'));
    const later = performance.now() + 6_000;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => later);
    try {
      await vi.waitFor(async () => expect(await read()).toBe('good'));
    } finally {
      clock.mockRestore();
    }
    await store.close();
  });

  test('opening removes what dead writers left, and nothing of living ones', async () => {
    const store = await LocalStore.open(directory);
    const upload = await store.upload();
    await upload.write(Buffer.from('hello'));
    const [mine = ''] = temps();
    const [machine, , start] = mine.split('-');
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    const rest = '0123456789abcdef';
    const ofDead = `${machine}-${dead.pid}-1-${rest}`;
    const ofReusedPid = `${machine}-${process.pid}-${Number(start) + 1}-${rest}`;
    const foreignNew = `00000000-1-1-${rest}`;
    const foreignOld = `11111111-1-1-${rest}`;
    for (const name of [ofDead, ofReusedPid, foreignNew, foreignOld, 'notes.txt']) {
      writeFileSync(join(directory, 'tmp', name), 'x');
    }
    const past = Date.now() / 1000 - 200_000;
    utimesSync(join(directory, 'tmp', foreignOld), past, past);
    await LocalStore.open(directory);
    expect(temps().sort()).toEqual([mine, foreignNew, 'notes.txt'].sort());
    await upload.finish('k');
    expect(Buffer.from(await store.get('k')).toString()).toBe('hello');
  });

  test('a full disk is no-space to a thread that waits, with nothing left behind', async () => {
    await withFullDisk(async ({ path, freeSpace }) => {
      const store = new BlockingStore(await LocalStore.create(join(path, 'store')));
      const object = Buffer.alloc(700_000, 1);
      await store.put('first', object);
      await expect(store.put('k', object)).rejects.toMatchObject({ kind: 'no-space' });
      expect(await store.head('k')).toBeUndefined();
      expect(readdirSync(join(path, 'store', 'tmp'))).toEqual([]);
      freeSpace();
      expect(await store.put('k', object)).toMatchObject({ size: object.length });
      await store.close();
    });
  });

  test('a full disk is no-space, with nothing visible or left behind; then it goes on', async () => {
    await withFullDisk(async ({ path, freeSpace }) => {
      const store = await LocalStore.create(join(path, 'store'));
      const big = Buffer.alloc(4_000_000, 1);
      const refused = { kind: 'no-space', hint: expect.stringContaining('free') as string };
      await expect(store.put('k', big)).rejects.toMatchObject(refused);
      const upload = await store.upload();
      await expect(upload.write(big).then(() => upload.finish('k'))).rejects.toMatchObject(refused);
      await upload.abort();
      expect(await store.head('k')).toBeUndefined();
      expect(readdirSync(join(path, 'store', 'tmp'))).toEqual([]);
      freeSpace();
      expect(await store.put('k', big)).toMatchObject({ size: big.length });
      await store.close();
    });
  });

  test.each(['', 'blocking'])(
    'a writer killed at any time leaves each object whole or not there (%s)',
    async (mode) => {
      mkdirSync(join(directory, 'tmp'));
      const said: string[] = [];
      for (let round = 0; round < 5; round += 1) {
        const fixture = new URL('./fixtures/put-forever.mjs', import.meta.url).pathname;
        const child = spawn(process.execPath, [fixture, directory, mode], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const lines = createInterface({ input: child.stdout });
        let count = 0;
        lines.on('line', (line) => {
          said.push(line);
          count += 1;
          if (count === 3 + round * 7) child.kill('SIGKILL');
        });
        await Promise.all([once(child, 'exit'), once(lines, 'close')]);
      }
      const store = await LocalStore.open(directory);
      expect(temps()).toEqual([]);
      const found = new Set<string>();
      for await (const { key } of store.list('')) {
        const hash = createHash('sha256')
          .update(await store.get(key))
          .digest('hex');
        expect(key).toBe(`files/${hash.slice(0, 2)}/${hash}`);
        found.add(key);
      }
      for (const key of said.filter((line) => line.length === 73)) expect(found).toContain(key);
      expect(said.length).toBeGreaterThan(50);
    },
  );
});
