import {
  chmodSync,
  closeSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CachedStore } from '../../src/cache/cached-store.js';
import { OfflineStore } from '../../src/cache/offline-store.js';
import { faultOf, noise } from '../repo/content-fixture.js';
import { CacheFixture, ROOMY } from './cache-fixture.js';
import { FarStore } from './far-store.js';

const PACK = `packs/aa/${'a'.repeat(64)}`;
const OTHER = `packs/bb/${'b'.repeat(64)}`;
const TREE = `trees/cc/${'c'.repeat(64)}`;

let fixture: CacheFixture;
beforeEach(() => {
  fixture = new CacheFixture();
});
afterEach(() => fixture.dispose());

const textOf = (bytes?: Uint8Array): string => Buffer.from(bytes ?? []).toString();
const range = (offset: number, length: number) => ({ range: { offset, length } });
const same = (found: Uint8Array, expected: Uint8Array): void =>
  expect(Buffer.compare(found, expected)).toBe(0);

describe('a store with a cache over it', () => {
  test('what was read is not asked for again, by whatever cache of the directory', async () => {
    const bytes = noise(100_000, 1);
    await fixture.inner.put(PACK, bytes);
    const first = fixture.open();
    same(await first.store.get(PACK, range(10, 500)), bytes.subarray(10, 510));
    same(await first.store.get(PACK, range(400, 600)), bytes.subarray(400, 1000));
    expect(fixture.far.taken().map((request) => request.bytes)).toEqual([500, 490]);
    same(await first.store.get(PACK, range(10, 990)), bytes.subarray(10, 1000));
    await first.cache.close();
    const second = fixture.open();
    same(await second.store.get(PACK, range(10, 990)), bytes.subarray(10, 1000));
    expect(fixture.far.taken()).toEqual([]);
    expect(second.cache.counts).toMatchObject({ hits: 1, misses: 0, hitBytes: 990 });
    same(await second.store.get(PACK), bytes);
    same(await second.store.get(PACK), bytes);
    same(await second.store.get(PACK, range(99_990, 100)), bytes.subarray(99_990));
    expect(fixture.far.taken()).toHaveLength(1);
  });

  test('bytes that many wait for are fetched once', async () => {
    const bytes = noise(10_000, 1);
    await fixture.inner.put(PACK, bytes);
    let pass = (): void => undefined;
    const passed = new Promise<void>((resolve) => (pass = resolve));
    fixture.far.hold = () => passed;
    const { store } = fixture.open();
    const reads = Array.from({ length: 20 }, (_, i) => store.get(PACK, range(i * 10, 1000)));
    pass();
    for (const [i, read] of (await Promise.all(reads)).entries()) {
      same(read, bytes.subarray(i * 10, i * 10 + 1000));
    }
    // The second needs 10 bytes more than the first, and so on: nothing is fetched twice.
    expect(fixture.far.bytes).toBe(1190);
  });

  test('the end of an object is read with what lies before it, and again from the cache', async () => {
    const bytes = noise(1_000_000, 1);
    await fixture.inner.put(TREE, bytes);
    const { store } = fixture.open();
    same(await store.get(TREE, { range: { last: 1000 } }), bytes.subarray(-1000));
    same(await store.get(TREE, range(900_000, 5000)), bytes.subarray(900_000, 905_000));
    expect(fixture.far.taken().map(({ call }) => call)).toEqual(['head', 'get']);
    same(await store.get(TREE, range(300_000, 10)), bytes.subarray(300_000, 300_010));
    same(await store.get(TREE, range(310_000, 10_000)), bytes.subarray(310_000, 320_000));
    expect(fixture.far.taken()).toHaveLength(1);
  });

  test('trees of two repositories are kept apart, packs are shared', async () => {
    const { cache, store } = fixture.open();
    const other = new FarStore(fixture.inner, 'far://other/tarn');
    const second = new CachedStore(cache, other);
    await fixture.inner.put(TREE, noise(1000, 1));
    await fixture.inner.put(PACK, noise(1000, 2));
    await store.get(TREE);
    await store.get(PACK);
    await second.get(PACK);
    expect(other.taken()).toEqual([]);
    await second.get(TREE);
    expect(other.taken()).toHaveLength(1);
  });

  test('what may change is asked for each time, and remembered for offline', async () => {
    const { cache, store } = fixture.open();
    await store.put('refs/main', Buffer.from('one'));
    expect(textOf(await store.get('refs/main'))).toBe('one');
    await fixture.inner.put('refs/main', Buffer.from('two'));
    expect(textOf(await store.get('refs/main'))).toBe('two');
    await fixture.inner.put('refs/main', Buffer.from('three'));
    expect(textOf((await store.getTagged('refs/main'))?.bytes)).toBe('three');
    const asked = fixture.far.requests.length;
    const offline = new CachedStore(cache, new OfflineStore(fixture.far.url), { isOffline: true });
    expect(textOf(await offline.get('refs/main'))).toBe('three');
    expect(textOf((await offline.getTagged('refs/main'))?.bytes)).toBe('three');
    const fault = await faultOf(offline.get('refs/other'));
    expect(fault.kind).toBe('unavailable');
    expect(fault.message).toContain("'refs/other'");
    expect(fixture.far.requests).toHaveLength(asked);
  });

  test('offline, what is cached is read, and what is not is named', async () => {
    const bytes = noise(5000, 1);
    await fixture.inner.put(PACK, bytes);
    const { cache, store } = fixture.open();
    await store.get(PACK, range(0, 1000));
    fixture.far.taken();
    const offline = new CachedStore(cache, new OfflineStore(fixture.far.url), { isOffline: true });
    same(await offline.get(PACK, range(100, 900)), bytes.subarray(100, 1000));
    for (const asked of [range(900, 200), {}, { range: { last: 10 } }]) {
      const fault = await faultOf(offline.get(PACK, asked));
      expect(fault.kind).toBe('unavailable');
      expect(fault.message).toContain(PACK);
      expect(fault.hint).toContain('tarn prefetch');
    }
    expect(fixture.far.taken()).toEqual([]);
  });

  test('what is small is kept when it is put, and read without asking', async () => {
    const { store } = fixture.open();
    await store.put(TREE, noise(3000, 1));
    fixture.far.taken();
    same(await store.get(TREE, { range: { last: 100 } }), noise(3000, 1).subarray(-100));
    expect(fixture.far.taken()).toEqual([]);
  });

  test('what was forgotten is fetched again, once', async () => {
    await fixture.inner.put(PACK, noise(1000, 1));
    const { cache, store } = fixture.open();
    await store.get(PACK);
    expect(store.forget(PACK)).toBe(true);
    expect(store.forget(PACK)).toBe(false);
    expect(cache.counts.healed).toBe(1);
    fixture.far.taken();
    same(await store.get(PACK), noise(1000, 1));
    same(await store.get(PACK), noise(1000, 1));
    expect(fixture.far.taken()).toHaveLength(1);
  });

  test('what is put anew or deleted is not served as it was, and does not count as damaged', async () => {
    const { cache, store } = fixture.open();
    await store.put(PACK, noise(1000, 1));
    await store.get(PACK);
    await store.put(PACK, noise(1000, 2));
    same(await store.get(PACK), noise(1000, 2));
    await store.delete(PACK);
    expect((await faultOf(store.get(PACK))).kind).toBe('not-found');
    expect(cache.counts.healed).toBe(0);
  });

  test('a fault of the store reaches everybody who waits, and the next read asks again', async () => {
    await fixture.inner.put(PACK, noise(1000, 1));
    const { store } = fixture.open();
    fixture.far.hold = () => Promise.reject(new Error('reset'));
    const reads = [store.get(PACK, range(0, 10)), store.get(PACK, range(0, 10)), store.get(PACK)];
    for (const read of reads) await expect(read).rejects.toThrow('reset');
    fixture.far.hold = undefined;
    same(await store.get(PACK), noise(1000, 1));
    expect((await faultOf(store.get(OTHER))).kind).toBe('not-found');
    expect((await faultOf(store.get(OTHER, { range: { last: 5 } }))).kind).toBe('not-found');
  });

  test('whoever waits can be interrupted; the fetch goes on for the others', async () => {
    await fixture.inner.put(PACK, noise(1000, 1));
    let pass = (): void => undefined;
    const passed = new Promise<void>((resolve) => (pass = resolve));
    fixture.far.hold = () => passed;
    const { store } = fixture.open();
    const stop = new AbortController();
    const stopped = store.get(PACK, { ...range(0, 10), signal: stop.signal });
    const waiting = store.get(PACK, range(0, 10));
    stop.abort();
    expect((await faultOf(stopped)).kind).toBe('aborted');
    pass();
    same(await waiting, noise(1000, 1).subarray(0, 10));
    expect(fixture.far.requests).toHaveLength(1);
  });
});

describe('a disk that loses what it was given', () => {
  test('a file that was cut short, or deleted, is fetched again where it ends', async () => {
    const bytes = noise(10_000, 1);
    await fixture.inner.put(PACK, bytes);
    for (const harm of [
      (path: string) => truncateSync(path, 4000),
      (path: string) => rmSync(path),
    ]) {
      const before = fixture.open();
      await before.store.get(PACK);
      await before.cache.close();
      for (const path of fixture.files()) harm(path);
      const after = fixture.open();
      same(await after.store.get(PACK), bytes);
      same(await after.store.get(PACK), bytes);
      await after.cache.close();
    }
  });

  test('an index that is no database, or lies, costs requests and no read', async () => {
    const bytes = noise(10_000, 1);
    await fixture.inner.put(PACK, bytes);
    const before = fixture.open();
    await before.store.get(PACK);
    await before.cache.close();
    const index = join(fixture.directory, 'objects', 'index.db');
    writeFileSync(index, 'not a database at all, however long this text is'.repeat(100));
    const after = fixture.open();
    same(await after.store.get(PACK), bytes);
    expect(after.cache.total().objects).toBe(1);
  });

  test('a full disk never fails a read', async () => {
    const bytes = noise(50_000, 1);
    await fixture.inner.put(PACK, bytes);
    const { cache, store } = fixture.open({ bytesMax: ROOMY.bytesMax, freeBytesMin: 2 ** 60 });
    for (let i = 0; i < 3; i += 1)
      same(await store.get(PACK, range(5, 1000)), bytes.subarray(5, 1005));
    same(await store.get(PACK), bytes);
    expect(cache.total().bytes).toBe(0);
    expect(cache.counts.refused).toBeGreaterThan(0);
  });

  test('a folder that cannot be written to never fails a read', async () => {
    await fixture.inner.put(PACK, noise(1000, 1));
    const { cache, store } = fixture.open();
    rmSync(join(cache.directory, 'data'), { recursive: true });
    writeFileSync(join(cache.directory, 'data'), 'in the way');
    for (let i = 0; i < 3; i += 1) same(await store.get(PACK), noise(1000, 1));
    rmSync(join(cache.directory, 'data'));
  });
});

describe('eviction', () => {
  const key = (i: number): string => `packs/00/${String(i).padStart(64, '0')}`;

  test('what was used longest ago goes first, and the limit holds', async () => {
    for (let i = 0; i < 20; i += 1) await fixture.inner.put(key(i), noise(1000, i));
    const { cache, store } = fixture.open({ bytesMax: 10_000, freeBytesMin: 0 });
    for (let i = 0; i < 20; i += 1) {
      await store.get(key(i));
      expect(cache.total().bytes).toBeLessThanOrEqual(10_000);
    }
    fixture.far.taken();
    same(await store.get(key(19)), noise(1000, 19));
    expect(fixture.far.taken()).toHaveLength(0);
    same(await store.get(key(0)), noise(1000, 0));
    expect(fixture.far.taken()).toHaveLength(1);
    expect(cache.counts.evicted).toBeGreaterThan(0);
    await cache.close();
    expect(fixture.files().length).toBe(fixture.open().cache.total().objects);
  });

  test('what is open stays, also open in another thread', async () => {
    for (let i = 0; i < 20; i += 1) await fixture.inner.put(key(i), noise(1000, i));
    const limits = { bytesMax: 5000, freeBytesMin: 0 };
    const mine = fixture.open(limits);
    const theirs = fixture.open(limits);
    const kept = [mine.store.keep(key(0), 1000), theirs.store.keep(key(1), 1000)];
    for (const [i, each] of kept.entries()) await each.keep(0, noise(1000, i));
    theirs.cache.total();
    for (let i = 2; i < 20; i += 1) await mine.store.get(key(i));
    for (const [i, each] of kept.entries()) {
      expect(each.has(0, 1000)).toBe(true);
      same((await each.read(0, 1000)) ?? Buffer.alloc(0), noise(1000, i));
      each.release();
    }
    fixture.far.taken();
    for (const i of [0, 1]) same(await mine.store.get(key(i)), noise(1000, i));
    expect(fixture.far.taken()).toEqual([]);
  });

  test('nothing is kept beyond the limit while all of it is open, and reads go on', async () => {
    const bytes = noise(100_000, 1);
    await fixture.inner.put(key(1), bytes);
    const { cache, store } = fixture.open({ bytesMax: 10_000, freeBytesMin: 0 });
    const kept = store.keep(key(1), bytes.length);
    for (let at = 0; at < bytes.length; at += 5000) {
      same(await store.get(key(1), range(at, 5000)), bytes.subarray(at, at + 5000));
    }
    expect(cache.total().bytes).toBeLessThanOrEqual(10_000);
    kept.release();
  });

  test('pruning frees what is asked for, and removes files that belong to nothing', async () => {
    for (let i = 0; i < 10; i += 1) await fixture.inner.put(key(i), noise(1000, i));
    const { cache, store } = fixture.open();
    for (let i = 0; i < 10; i += 1) await store.get(key(i));
    expect(await cache.prune(4000)).toEqual({ objects: 6, bytes: 6000 });
    expect(cache.total()).toEqual({ objects: 4, bytes: 4000 });
    expect(fixture.files()).toHaveLength(4);
  });

  test('what a killed process had open is not held for ever', async () => {
    await fixture.inner.put(key(1), noise(1000, 1));
    const { spawnSync } = await import('node:child_process');
    const program = `
      import { ObjectCache } from '${new URL('../../dist/cache/object-cache.js', import.meta.url).href}';
      const cache = ObjectCache.open(process.argv[1], { bytesMax: 1e9, freeBytesMin: 0 });
      const object = cache.acquire('${key(1)}');
      object.setSize(1000);
      await object.write(0, Buffer.alloc(1000, 7));
      cache.total();
      process.kill(process.pid, 'SIGKILL');`;
    const child = spawnSync(process.execPath, [
      '--input-type=module',
      '-e',
      program,
      join(fixture.directory, 'objects'),
    ]);
    expect(child.signal).toBe('SIGKILL');
    const { cache } = fixture.open();
    expect(cache.total()).toEqual({ objects: 1, bytes: 1000 });
    await cache.prune(0);
    expect(cache.total()).toEqual({ objects: 0, bytes: 0 });
  });
});

test('a verified file is known as such until somebody touches it', async () => {
  const bytes = noise(5000, 1);
  const key = `files/aa/${'a'.repeat(64)}`;
  const first = fixture.open();
  const kept = first.store.keep(key, bytes.length);
  await kept.keep(0, bytes);
  expect(kept.isVerified).toBe(false);
  await kept.markVerified();
  expect(kept.isVerified).toBe(true);
  kept.release();
  await first.cache.close();
  const second = fixture.open();
  const again = second.store.keep(key, bytes.length);
  expect(again.isVerified).toBe(true);
  const [path = ''] = fixture.files();
  chmodSync(path, 0o600);
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([1]), 0, 1, 17);
  closeSync(fd);
  expect(again.isVerified).toBe(false);
  again.release();
});
