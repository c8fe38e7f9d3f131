import fc from 'fast-check';
import { copyFileSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Address, Extent, FileEntry } from '../../src/model/entry.js';
import { BLOCK_BYTES, sha256 } from '../../src/model/ids.js';
import { ContentReader } from '../../src/repo/content-reader.js';
import type { StoredContent } from '../../src/repo/content-writer.js';
import { manifestKey, packKey, wholeKey } from '../../src/repo/layout.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { WatchedStore } from '../store/watched-store.js';
import { contentFixture, entryOf, faultOf, noise, storeAll } from './content-fixture.js';
import { untilFileClockMoves } from './content-fixture.js';
import type { ContentFixture } from './content-fixture.js';

const LARGE = 5 * BLOCK_BYTES + 1234;

let fixture: ContentFixture;
beforeEach(async () => {
  fixture = await contentFixture();
});
afterEach(() => fixture.dispose());

async function storeOne(
  bytes: Uint8Array,
  store: ObjectStore = fixture.store,
): Promise<StoredContent<number>> {
  const [stored] = await storeAll([bytes], store);
  if (stored === undefined) throw new Error('nothing was stored');
  return stored;
}

/** Changes one byte of the object's file in place. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  untilFileClockMoves(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

function objectOf(stored: StoredContent<unknown>): string {
  const { address, content } = stored;
  return address.kind === 'packed' ? packKey(address.pack) : wholeKey(content);
}

/** The same bytes, told as pieces cut at `cuts`. */
function asExtents(stored: StoredContent<unknown>, cuts: readonly number[]): FileEntry {
  const { address, content, size } = stored;
  const edges = [0, ...new Set([...cuts].filter((cut) => cut > 0 && cut < size)), size];
  edges.sort((a, b) => a - b);
  const base = address.kind === 'packed' ? address.offset : 0;
  const source: Extent['source'] =
    address.kind === 'packed' ? { kind: 'pack', pack: address.pack } : { kind: 'whole', content };
  const extents = edges.slice(1).map((end, i) => {
    const start = edges[i] ?? 0;
    return { source, offset: base + start, length: end - start };
  });
  return { ...entryOf(stored), address: { kind: 'extents', extents } };
}

describe('content reader', () => {
  const stores = {
    local: (): ObjectStore => fixture.store,
    memory: (): ObjectStore => new MemoryStore(),
  };

  test.each(Object.entries(stores))(
    'any range of any layout gives those bytes, cut at the end: %s',
    async (_name, make) => {
      const store = make();
      const files = [noise(10_000, 1), noise(LARGE, 2)];
      const stored = await storeAll(files, store);
      const reader = new ContentReader(store);
      const range = fc.tuple(
        fc.nat({ max: 1 }),
        fc.nat({ max: LARGE + 100 }),
        fc.nat({ max: 3 * BLOCK_BYTES }),
        fc.array(fc.nat({ max: LARGE }), { maxLength: 3 }),
      );
      await fc.assert(
        fc.asyncProperty(range, async ([which, at, length, cuts]) => {
          const each = stored[which] as StoredContent<number>;
          const file = files[which] ?? Buffer.alloc(0);
          const offset = which === 0 ? at % 10_100 : at;
          const entry = cuts.length === 0 ? entryOf(each) : asExtents(each, cuts);
          const content = reader.open(entry);
          const found = await content.read(offset, length);
          content.close();
          expect(Buffer.compare(found, file.subarray(offset, offset + length))).toBe(0);
        }),
        { seed: 4, numRuns: 60 },
      );
    },
  );

  test('an empty file reads as nothing', async () => {
    const content = new ContentReader(fixture.store).open(entryOf(await storeOne(Buffer.alloc(0))));
    expect((await content.read(0, 100)).length).toBe(0);
    expect(await content.backing()).toBeUndefined();
    content.close();
  });

  test('what a read gave is the reader’s own', async () => {
    const bytes = noise(5000, 1);
    const content = new ContentReader(fixture.store).open(entryOf(await storeOne(bytes)));
    (await content.read(0, 100)).fill(0);
    (await content.read(0, 5000)).fill(0);
    expect(Buffer.compare(await content.read(0, 5000), bytes)).toBe(0);
    content.close();
  });

  test('a block that many ask for at once is fetched once, as is the manifest', async () => {
    const memory = new MemoryStore();
    const bytes = noise(LARGE, 1);
    const stored = await storeOne(bytes, memory);
    const gets: string[] = [];
    const watched = new WatchedStore(memory, (call, key) => {
      if (call === 'get') gets.push(key);
    });
    const reader = new ContentReader(watched);
    const contents = Array.from({ length: 8 }, () => reader.open(entryOf(stored)));
    const reads = await Promise.all(
      contents.map(async (content, i) => content.read(i * 1000, 1000)),
    );
    for (const [i, read] of reads.entries()) {
      expect(Buffer.compare(read, bytes.subarray(i * 1000, i * 1000 + 1000))).toBe(0);
    }
    expect(gets.sort()).toEqual([wholeKey(stored.content), manifestKey(stored.content)]);
  });

  test('small files that are read in order are fetched many at a time', async () => {
    const memory = new MemoryStore();
    const files = Array.from({ length: 200 }, (_, i) => noise(1000 + (i % 7) * 100, i));
    const stored = await storeAll(files, memory);
    let gets = 0;
    const watched = new WatchedStore(memory, (call) => {
      if (call === 'get') gets += 1;
    });
    const readAll = async (order: readonly number[]): Promise<number> => {
      const before = gets;
      const reader = new ContentReader(watched);
      for (const i of order) {
        const content = reader.open(entryOf(stored[i] as StoredContent<number>));
        const found = await content.read(0, 5000);
        expect(Buffer.compare(found, files[i] ?? Buffer.alloc(0))).toBe(0);
      }
      return gets - before;
    };
    const order = files.map((_, i) => i);
    expect(await readAll(order)).toBeLessThanOrEqual(3);
    expect(await readAll(order.map((i) => (i * 37) % 200))).toBe(200);
    expect(await readAll([...order].reverse())).toBe(200);
  });

  test('an object that was wrong is fetched anew by the next read', async () => {
    const memory = new MemoryStore();
    const files = [noise(1000, 1), noise(1000, 2), noise(1000, 3)];
    const stored = await storeAll(files, memory);
    const key = objectOf(stored[0] as StoredContent<number>);
    const good = await memory.get(key);
    const reader = new ContentReader(memory);
    const read = async (i: number): Promise<Uint8Array> =>
      reader.open(entryOf(stored[i] as StoredContent<number>)).read(0, 1000);
    for (const bad of [good.map((byte) => byte ^ 1), good.subarray(0, 1500)]) {
      await memory.put(key, bad);
      await read(0).catch(() => undefined);
      for (const i of [1, 2]) expect((await faultOf(read(i))).kind).toBe('corrupt');
      await memory.put(key, good);
      expect(Buffer.compare(await read(2), files[2] ?? Buffer.alloc(0))).toBe(0);
    }
  });

  test('a read that is aborted ends at once, and others that wait do not', async () => {
    const memory = new MemoryStore();
    const stored = await storeOne(noise(3000, 1), memory);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const reader = new ContentReader(
      new WatchedStore(memory, (call) => (call === 'get' ? gate : undefined)),
    );
    const content = reader.open(entryOf(stored));
    const stop = new AbortController();
    const aborted = content.read(0, 3000, stop.signal);
    const other = content.read(0, 3000);
    stop.abort();
    expect((await faultOf(aborted)).kind).toBe('aborted');
    open();
    expect((await other).length).toBe(3000);
    expect((await faultOf(content.read(0, 1, AbortSignal.abort()))).kind).toBe('aborted');
  });
});

describe('content reader on damage', () => {
  test.each([
    { name: 'packed', size: 3000 },
    { name: 'large', size: LARGE },
  ])(
    'a flipped bit of $name content is corrupt, with object and hashes named',
    async ({ size }) => {
      const bytes = noise(size, 1);
      const stored = await storeOne(bytes);
      const key = objectOf(stored);
      const base = stored.address.kind === 'packed' ? stored.address.offset : 0;
      const at = size > BLOCK_BYTES ? 2 * BLOCK_BYTES + 7 : 7;
      flip(fixture.store.localPath(key), base + at);
      for (const entry of [entryOf(stored), asExtents(stored, [100, 5000])]) {
        const content = new ContentReader(fixture.store).open(entry);
        const fault = await faultOf(content.read(at - 5, 3));
        expect(fault.kind).toBe('corrupt');
        expect(fault.message).toContain(`'${key}'`);
        expect(fault.message).toMatch(/hash to [0-9a-f]{64}, expected [0-9a-f]{64}/);
        expect(fault.hint).toContain('restore');
        content.close();
      }
    },
  );

  test('the other blocks of a damaged file are still given out', async () => {
    const bytes = noise(LARGE, 1);
    const stored = await storeOne(bytes);
    flip(fixture.store.localPath(objectOf(stored)), 2 * BLOCK_BYTES + 7);
    const content = new ContentReader(fixture.store).open(entryOf(stored));
    for (const block of [0, 1, 3, 4, 5]) {
      const start = block * BLOCK_BYTES;
      const found = await content.read(start, BLOCK_BYTES);
      expect(Buffer.compare(found, bytes.subarray(start, start + BLOCK_BYTES))).toBe(0);
    }
    const fault = await faultOf(content.read(BLOCK_BYTES, 2 * BLOCK_BYTES));
    expect(fault.message).toContain('bytes 2097152 to 3145727');
    content.close();
  });

  test.each([
    { name: 'packed', size: 3000, to: 1000 },
    { name: 'large', size: LARGE, to: 2 * BLOCK_BYTES + 5 },
    { name: 'large, to nothing', size: LARGE, to: 0 },
  ])('a truncated object is corrupt, never short data: $name', async ({ size, to }) => {
    const stored = await storeOne(noise(size, 1));
    const key = objectOf(stored);
    truncateSync(fixture.store.localPath(key), to);
    const content = new ContentReader(fixture.store).open(entryOf(stored));
    const fault = await faultOf(content.read(0, size));
    expect(fault.kind).toBe('corrupt');
    expect(fault.message).toContain(`'${key}'`);
    content.close();
  });

  test.each([3000, LARGE])('a missing object is not-found, named: %i bytes', async (size) => {
    const stored = await storeOne(noise(size, 1));
    const key = objectOf(stored);
    rmSync(fixture.store.localPath(key));
    const content = new ContentReader(fixture.store).open(entryOf(stored));
    const faults = [await faultOf(content.read(0, 10))];
    if (size === LARGE) faults.push(await faultOf(Promise.resolve(content.backing())));
    for (const fault of faults) {
      expect(fault.kind).toBe('not-found');
      expect(fault.message).toContain(`'${key}'`);
    }
    content.close();
  });

  test.each(['flipped', 'truncated', 'longer', 'missing'])('a manifest that is %s', async (how) => {
    const stored = await storeOne(noise(LARGE, 1));
    const key = manifestKey(stored.content);
    const path = fixture.store.localPath(key);
    if (how === 'flipped') flip(path, 50);
    else if (how === 'truncated') truncateSync(path, 50);
    else if (how === 'longer') writeFileSync(path, 'x', { flag: 'a' });
    else rmSync(path);
    const content = new ContentReader(fixture.store).open(entryOf(stored));
    const fault = await faultOf(content.read(0, 10));
    expect(fault.kind).toBe(how === 'missing' ? 'not-found' : 'corrupt');
    expect(fault.message).toContain(`'${key}'`);
    content.close();
  });

  test('an entry that contradicts itself or its manifest is corrupt', async () => {
    const large = entryOf(await storeOne(noise(LARGE, 1)));
    const small = entryOf(await storeOne(noise(3000, 1)));
    const reader = new ContentReader(fixture.store);
    const none: Address = { kind: 'none' };
    expect(() => reader.open({ ...small, address: none })).toThrow(/3000 bytes/);
    expect(() => reader.open({ ...small, size: 2 * BLOCK_BYTES })).toThrow(/content id/);
    const content = reader.open(large);
    await content.read(0, 10);
    for (const size of [LARGE - 1, LARGE - BLOCK_BYTES, LARGE + BLOCK_BYTES]) {
      const lying = reader.open({ ...large, size });
      expect((await faultOf(lying.read(0, 10))).kind).toBe('corrupt');
      expect((await faultOf(lying.read(size - 10, 10))).kind).toBe('corrupt');
      lying.close();
    }
    content.close();
  });
});

describe('backing', () => {
  const blocks = async (reader: ContentReader, entry: FileEntry): Promise<void> => {
    const content = reader.open(entry);
    for (let at = 0; at < entry.size; at += 2 * BLOCK_BYTES)
      await content.read(at, 2 * BLOCK_BYTES);
    content.close();
  };
  const backingOf = async (
    reader: ContentReader,
    entry: FileEntry,
  ): Promise<{ exact: boolean; verified: boolean; bytes: Buffer }> => {
    const content = reader.open(entry);
    const backing = await content.backing();
    if (backing === undefined) throw new Error('no backing');
    const bytes = readFileSync(backing.fd);
    content.close();
    return { exact: backing.exact, verified: backing.verified, bytes };
  };

  test('a large file’s is the object’s file; it counts as verified once every block was', async () => {
    const bytes = noise(LARGE, 1);
    const entry = entryOf(await storeOne(bytes));
    const reader = new ContentReader(fixture.store);
    const fresh = await backingOf(reader, entry);
    expect(fresh).toMatchObject({ exact: true, verified: false });
    expect(Buffer.compare(fresh.bytes, bytes)).toBe(0);
    const content = reader.open(entry);
    await content.read(0, LARGE - 2000);
    expect(await content.backing()).toMatchObject({ verified: false });
    await content.read(LARGE - 1, 1);
    expect(await content.backing()).toMatchObject({ verified: true });
    content.close();
    expect(await backingOf(reader, entry)).toMatchObject({ verified: true });
    expect(await backingOf(new ContentReader(fixture.store), entry)).toMatchObject({
      verified: false,
    });
  });

  test('a stamp is left by the writer, and by a reader of every block, for other processes', async () => {
    const files = [noise(LARGE, 1), noise(LARGE, 2)];
    const [byWriter] = await storeAll([files[0] ?? Buffer.alloc(0)], fixture.store, fixture);
    const unstamped = await storeOne(files[1] ?? Buffer.alloc(0));
    if (byWriter === undefined) throw new Error('nothing was stored');
    const reader = (): ContentReader => new ContentReader(fixture.store, fixture.stamps);
    expect(await backingOf(reader(), entryOf(byWriter))).toMatchObject({ verified: true });
    expect(await backingOf(reader(), entryOf(unstamped))).toMatchObject({ verified: false });
    await blocks(reader(), entryOf(unstamped));
    expect(await backingOf(reader(), entryOf(unstamped))).toMatchObject({ verified: true });
  });

  test('a file changed after it was verified is verified again, open or not', async () => {
    const [stored] = await storeAll([noise(LARGE, 1)], fixture.store, fixture);
    if (stored === undefined) throw new Error('nothing was stored');
    const reader = new ContentReader(fixture.store, fixture.stamps);
    const content = reader.open(entryOf(stored));
    await content.read(0, 100);
    flip(fixture.store.localPath(objectOf(stored)), 7);
    expect(await content.backing()).toMatchObject({ verified: false });
    expect((await faultOf(content.read(0, 100))).kind).toBe('corrupt');
    expect((await content.read(BLOCK_BYTES, 100)).length).toBe(100);
    content.close();
    expect(await backingOf(reader, entryOf(stored))).toMatchObject({ verified: false });
    flip(fixture.store.localPath(objectOf(stored)), 7);
    await blocks(reader, entryOf(stored));
    expect(await backingOf(reader, entryOf(stored))).toMatchObject({ verified: true });
  });

  test('a file with bytes added or cut off is not exact', async () => {
    const [stored] = await storeAll([noise(LARGE, 1)], fixture.store, fixture);
    if (stored === undefined) throw new Error('nothing was stored');
    const path = fixture.store.localPath(objectOf(stored));
    const reader = new ContentReader(fixture.store, fixture.stamps);
    writeFileSync(path, 'more', { flag: 'a' });
    expect(await backingOf(reader, entryOf(stored))).toMatchObject({
      exact: false,
      verified: false,
    });
    truncateSync(path, 100);
    expect(await backingOf(reader, entryOf(stored))).toMatchObject({
      exact: false,
      verified: false,
    });
  });

  test('a restored file is read by the next open', async () => {
    const bytes = noise(LARGE, 1);
    const stored = await storeOne(bytes);
    const path = fixture.store.localPath(objectOf(stored));
    copyFileSync(path, `${path}-copy`);
    flip(path, 7);
    const reader = new ContentReader(fixture.store, fixture.stamps);
    const content = reader.open(entryOf(stored));
    await faultOf(content.read(0, 10));
    content.close();
    renameSync(`${path}-copy`, path);
    const again = reader.open(entryOf(stored));
    expect(sha256(await again.read(0, LARGE))).toBe(sha256(bytes));
    again.close();
  });

  test('packed content, and content of a store without files, has none', async () => {
    const memory = new MemoryStore();
    const large = entryOf(await storeOne(noise(LARGE, 1), memory));
    const packed = entryOf(await storeOne(noise(100, 1)));
    expect(await new ContentReader(memory).open(large).backing()).toBeUndefined();
    expect(await new ContentReader(fixture.store).open(packed).backing()).toBeUndefined();
  });
});
