import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CachedStore } from '../../src/cache/cached-store.js';
import { OfflineStore } from '../../src/cache/offline-store.js';
import type { CacheLimits } from '../../src/cache/object-cache.js';
import { BLOCK_BYTES } from '../../src/model/ids.js';
import type { Content } from '../../src/repo/content.js';
import { ContentReader } from '../../src/repo/content-reader.js';
import type { StoredContent } from '../../src/repo/content-writer.js';
import { manifestKey, wholeKey } from '../../src/repo/layout.js';
import { CacheFixture } from '../cache/cache-fixture.js';
import { entryOf, faultOf, noise, storeAll } from './content-fixture.js';

const SIZE = 9 * BLOCK_BYTES + 1234;
const BYTES = noise(SIZE, 1);

let fixture: CacheFixture;
let stored: StoredContent<number>;
const contents: Content[] = [];
beforeEach(async () => {
  fixture = new CacheFixture();
  [stored] = (await storeAll([BYTES], fixture.inner)) as [StoredContent<number>];
});
afterEach(async () => {
  for (const content of contents.splice(0)) content.close();
  await fixture.dispose();
});

function open(limits?: CacheLimits) {
  const { cache, store } = fixture.open(limits);
  const reader = new ContentReader(store);
  const content = openWith(reader);
  return { cache, store, reader, content };
}

function openWith(reader: ContentReader): Content {
  const content = reader.open(entryOf(stored));
  contents.push(content);
  return content;
}

async function expectBytes(content: Content, offset: number, length: number): Promise<void> {
  const found = await content.read(offset, length);
  expect(Buffer.compare(found, BYTES.subarray(offset, offset + length))).toBe(0);
}

/** Closes all, as the end of a process does. */
async function end(cache: { close(): Promise<void> }): Promise<void> {
  for (const content of contents.splice(0)) content.close();
  await cache.close();
}

/** Changes a byte of the only cached file of the content's size. */
function damage(at: number): void {
  for (const path of fixture.files()) {
    const fd = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    if (readSync(fd, byte, 0, 1, at) === 1) {
      writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
    }
    closeSync(fd);
  }
}

describe('a file in a bucket', () => {
  test('a piece fetches the manifest and the blocks that hold it, at the same time', async () => {
    const { content } = open();
    await expectBytes(content, 3 * BLOCK_BYTES - 10, 4096);
    expect(fixture.far.underWayMost).toBe(2);
    const asked = fixture.far.taken().map(({ key, bytes }) => [key, bytes]);
    expect(asked).toHaveLength(2);
    expect(asked).toContainEqual([manifestKey(stored.content), 20 + 10 * 32]);
    expect(asked).toContainEqual([wholeKey(stored.content), 2 * BLOCK_BYTES]);
    await expectBytes(content, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES);
    expect(fixture.far.taken()).toEqual([]);
  });

  test('a reader who waits for a block alone gets it by two requests at once', async () => {
    const { content } = open();
    await expectBytes(content, 0, 1);
    fixture.far.taken();
    await expectBytes(content, 2 * BLOCK_BYTES + 5, 10);
    const halves = [BLOCK_BYTES / 2, BLOCK_BYTES / 2];
    expect(fixture.far.taken().map(({ bytes }) => bytes)).toEqual(halves);
    await expectBytes(content, 3 * BLOCK_BYTES + 5, BLOCK_BYTES);
    expect(fixture.far.taken().map(({ bytes }) => bytes)).toEqual([2 * BLOCK_BYTES]);
  });

  test('a block is fetched once, however many wait for it, and read ahead meanwhile', async () => {
    let pass = (): void => undefined;
    const passed = new Promise<void>((resolve) => (pass = resolve));
    fixture.far.hold = () => passed;
    const { reader } = open();
    const readers = Array.from({ length: 8 }, () => openWith(reader));
    const ahead = readers[0]?.fetch?.(0, SIZE);
    const reads = readers.map((each, i) => expectBytes(each, i * BLOCK_BYTES + 5, 1000));
    pass();
    await Promise.all([ahead, ...reads]);
    const gets = fixture.far.taken().filter(({ key }) => key === wholeKey(stored.content));
    expect(gets.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(SIZE);
  });

  test('its file backs the driver with what was verified, and stands for it once that is all', async () => {
    const { cache, reader, content } = open();
    await expectBytes(content, BLOCK_BYTES + 1, 10);
    const backing = await content.backing();
    expect(backing).toMatchObject({ offset: 0, exact: true, verified: false });
    await vi.waitFor(() => expect(backing?.has?.(BLOCK_BYTES, 2 * BLOCK_BYTES)).toBe(true));
    expect(backing?.has?.(0, 2 * BLOCK_BYTES)).toBe(false);
    await content.fetch?.(0, SIZE);
    const whole = await openWith(reader).backing();
    expect(whole?.verified).toBe(true);
    const all = Buffer.alloc(SIZE);
    readSync(whole?.fd ?? -1, all, 0, SIZE, 0);
    expect(Buffer.compare(all, BYTES)).toBe(0);
    await vi.waitFor(() =>
      expect([...cache.rows()].some((row) => row.stamp !== undefined)).toBe(true),
    );
    await end(cache);
    fixture.far.taken();
    const later = open();
    expect(await later.content.backing()).toMatchObject({ exact: true, verified: true });
    await expectBytes(later.content, 0, SIZE);
    expect(fixture.far.taken()).toEqual([]);
  });

  test('what an earlier process kept in part is verified anew, and a damaged block fetched again, once', async () => {
    const before = open();
    await before.content.fetch?.(0, 4 * BLOCK_BYTES);
    await end(before.cache);
    damage(BLOCK_BYTES + 77);
    fixture.far.taken();
    const after = open();
    expect((await after.content.backing())?.has?.(0, BLOCK_BYTES)).toBe(false);
    for (let i = 0; i < 2; i += 1) await expectBytes(after.content, 0, 4 * BLOCK_BYTES);
    expect(fixture.far.taken().map(({ bytes }) => bytes)).toEqual([BLOCK_BYTES]);
    expect(after.cache.counts.healed).toBe(1);
    expect((await after.content.backing())?.has?.(0, 4 * BLOCK_BYTES)).toBe(true);
  });

  test('a whole file that was touched after it was verified is verified anew', async () => {
    const before = open();
    await before.content.fetch?.(0, SIZE);
    await vi.waitFor(() => expect([...before.cache.rows()].some((row) => row.stamp)).toBe(true));
    await end(before.cache);
    damage(5 * BLOCK_BYTES);
    const after = open();
    expect((await after.content.backing())?.verified).toBe(false);
    await expectBytes(after.content, 0, SIZE);
    expect(after.cache.counts.healed).toBe(1);
  });

  test('wrong bytes from the bucket are an error, and never kept as verified', async () => {
    const { content } = open();
    fixture.far.alter = (key, bytes) => {
      if (key !== wholeKey(stored.content)) return bytes;
      const altered = Buffer.from(bytes);
      altered[100] = (altered[100] ?? 0) ^ 1;
      return altered;
    };
    const fault = await faultOf(content.read(0, 10));
    expect(fault.kind).toBe('corrupt');
    expect(fault.message).toContain(wholeKey(stored.content));
    expect((await content.backing())?.has?.(0, BLOCK_BYTES)).toBe(false);
    fixture.far.alter = undefined;
    await expectBytes(content, 0, 10);
  });

  test('wrong bytes from the bucket are fetched again, once, and counted', async () => {
    const { cache, content } = open();
    const isWrong = [true, false];
    fixture.far.alter = (key, bytes) => {
      if (key !== wholeKey(stored.content) || isWrong.shift() !== true) return bytes;
      const altered = Buffer.from(bytes);
      altered[2 * BLOCK_BYTES + 100] = (altered[2 * BLOCK_BYTES + 100] ?? 0) ^ 1;
      return altered;
    };
    await expectBytes(content, 0, 4 * BLOCK_BYTES);
    expect(cache.counts.healed).toBe(1);
    const gets = fixture.far.taken().filter(({ key }) => key === wholeKey(stored.content));
    expect(gets.map(({ bytes }) => bytes)).toEqual([4 * BLOCK_BYTES, BLOCK_BYTES]);
    await vi.waitFor(async () =>
      expect((await content.backing())?.has?.(0, 4 * BLOCK_BYTES)).toBe(true),
    );
  });

  test('with a disk that takes nothing every read is right, and no byte is granted', async () => {
    const { content } = open({ bytesMax: 2 ** 40, freeBytesMin: 2 ** 60 });
    await content.fetch?.(0, SIZE);
    for (let i = 0; i < 2; i += 1) await expectBytes(content, BLOCK_BYTES - 5, 4096);
    expect((await content.backing())?.has?.(0, BLOCK_BYTES)).toBe(false);
  });

  test('a damaged manifest in the cache is fetched again', async () => {
    const before = open();
    await before.content.read(0, 10);
    await end(before.cache);
    for (const path of fixture.files()) {
      const fd = openSync(path, 'r+');
      writeSync(fd, Buffer.from([9, 9, 9]), 0, 3, 30);
      closeSync(fd);
    }
    const after = open();
    await expectBytes(after.content, 0, BLOCK_BYTES);
    expect(after.cache.counts.healed).toBe(2);
  });

  test('offline it gives what is cached; the rest is an error that names the object', async () => {
    const { cache, content } = open();
    await expectBytes(content, 0, 10);
    await cache.settled();
    const url = fixture.far.url;
    const offline = new CachedStore(cache, new OfflineStore(url), { isOffline: true });
    const cut = openWith(new ContentReader(offline));
    await expectBytes(cut, 5, BLOCK_BYTES - 5);
    const fault = await faultOf(cut.read(BLOCK_BYTES, 1));
    expect(fault.kind).toBe('unavailable');
    expect(fault.message).toContain(wholeKey(stored.content));
  });

  test('closing while blocks are on their way harms nothing', async () => {
    let pass = (): void => undefined;
    const passed = new Promise<void>((resolve) => (pass = resolve));
    fixture.far.hold = () => passed;
    const { reader, content } = open();
    const stop = new AbortController();
    const ahead = content.fetch?.(0, SIZE, stop.signal);
    const read = content.read(0, 10, stop.signal);
    stop.abort();
    expect((await faultOf(read)).kind).toBe('aborted');
    content.close();
    contents.length = 0;
    pass();
    await Promise.resolve(ahead).catch(() => undefined);
    fixture.far.hold = undefined;
    await expectBytes(openWith(reader), 0, SIZE);
  });
});

test('small files of a pack: damaged in the cache they are fetched again', async () => {
  const files = Array.from({ length: 50 }, (_, i) => noise(3000 + i, i));
  const all = await storeAll(files, fixture.inner);
  const readAll = async (reader: ContentReader): Promise<void> => {
    for (const [i, file] of files.entries()) {
      const content = reader.open(entryOf(all[i] as StoredContent<number>));
      expect(Buffer.compare(await content.read(0, 5000), file)).toBe(0);
      content.close();
    }
  };
  const before = open();
  await readAll(before.reader);
  await end(before.cache);
  for (let at = 5000; at < 100_000; at += 5000) damage(at);
  const after = open();
  await readAll(after.reader);
  expect(after.cache.counts.healed).toBeGreaterThan(0);
});

test('a large file in parts of objects is kept too', async () => {
  const { cache, store } = fixture.open();
  const entry = {
    ...entryOf(stored),
    address: {
      kind: 'extents' as const,
      extents: [0, 1].map((i) => ({
        source: { kind: 'whole' as const, content: stored.content },
        offset: i * 5_000_000,
        length: i === 0 ? 5_000_000 : SIZE - 5_000_000,
      })),
    },
  };
  const read = async (): Promise<void> => {
    const content = new ContentReader(store).open(entry);
    await content.fetch?.(0, SIZE);
    expect(Buffer.compare(await content.read(0, SIZE), BYTES)).toBe(0);
    content.close();
  };
  await read();
  fixture.far.taken();
  await read();
  expect(fixture.far.taken()).toEqual([]);
  expect(cache.total().bytes).toBeGreaterThanOrEqual(SIZE);
});

test('a cold directory of small files that is read in order is a few requests', async () => {
  const files = Array.from({ length: 4000 }, (_, i) => noise(4096, i));
  const all = await storeAll(files, fixture.inner);
  const { reader } = open();
  for (const [i, file] of files.entries()) {
    const content = reader.open(entryOf(all[i] as StoredContent<number>));
    expect(Buffer.compare(await content.read(0, 5000), file)).toBe(0);
    content.close();
  }
  const gets = fixture.far.taken();
  expect(gets.length).toBeLessThanOrEqual(24);
  const fetched = gets.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(fetched).toBeLessThanOrEqual(1.1 * 4000 * 4096);
});

test('small files that are read here and there fetch at most 1.3 times what was read', async () => {
  const files = Array.from({ length: 3000 }, (_, i) => noise(4096, i));
  const all = await storeAll(files, fixture.inner);
  const { reader } = open();
  let asked = 0;
  for (let i = 0; i < 300; i += 1) {
    const at = (i * 1_787) % 3000;
    const content = reader.open(entryOf(all[at] as StoredContent<number>));
    asked += (await content.read(0, 5000)).length;
    content.close();
  }
  expect(fixture.far.bytes).toBeLessThanOrEqual(1.3 * asked);
});
