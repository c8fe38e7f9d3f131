import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BLOCK_BYTES, contentIdOf, EMPTY_CONTENT, sha256 } from '../../src/model/ids.js';
import { refreshContentIndex } from '../../src/repo/content-index.js';
import { ContentReader } from '../../src/repo/content-reader.js';
import { ContentWriter } from '../../src/repo/content-writer.js';
import type { StoredContent } from '../../src/repo/content-writer.js';
import { manifestKey, packKey, wholeKey } from '../../src/repo/layout.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { TarnError } from '../../src/util/errors.js';
import { WatchedStore } from '../store/watched-store.js';
import { chunksOf, contentFixture, entryOf, faultOf, noise, storeAll } from './content-fixture.js';
import { untilFileClockMoves } from './content-fixture.js';
import type { ContentFixture } from './content-fixture.js';

describe('content writer', () => {
  let fixture: ContentFixture;
  let store: ObjectStore;
  beforeEach(async () => {
    fixture = await contentFixture();
    store = fixture.store;
  });
  afterEach(() => fixture.dispose());

  const keys = async (prefix: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of store.list(prefix)) found.push(key);
    return found;
  };
  const readBack = async (stored: StoredContent<unknown>): Promise<Uint8Array> =>
    new ContentReader(store).open(entryOf(stored)).read(0, stored.size);

  test('small files lie in one pack in the order they came, named by their hash', async () => {
    const files = [noise(100, 1), noise(1, 2), noise(5000, 3)];
    const stored = await storeAll(files, store);
    expect(await keys('packs/')).toHaveLength(1);
    let offset: number | undefined;
    for (const [i, file] of files.entries()) {
      const found = stored[i];
      if (found?.address.kind !== 'packed') throw new Error('not packed');
      expect(found.content).toBe(contentIdOf(file.length, sha256(file)));
      offset ??= found.address.offset;
      expect(found.address.offset).toBe(offset);
      offset += file.length;
      expect(Buffer.compare(await readBack(found), file)).toBe(0);
    }
  });

  test('a file without bytes has no address, and makes no pack', async () => {
    const [stored] = await storeAll([Buffer.alloc(0)], store);
    expect(stored).toMatchObject({ size: 0, content: EMPTY_CONTENT, address: { kind: 'none' } });
    expect(await keys('')).toEqual([]);
  });

  const sizes = [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, 7_654_321];
  test.each(sizes)('%i bytes come back, from chunks and from an open file', async (size) => {
    const bytes = noise(size, size);
    const path = join(fixture.directory, 'source');
    writeFileSync(path, bytes);
    const fd = openSync(path, 'r');
    const stored: StoredContent<string>[] = [];
    const writer = new ContentWriter<string>(store, undefined, (batch) => {
      stored.push(...batch);
    });
    await writer.addLarge(chunksOf(bytes, 77_777), 'chunks');
    await writer.addLarge({ fd, size }, 'file');
    await writer.flush();
    closeSync(fd);
    expect(stored.map(({ tag }) => tag).sort()).toEqual(['chunks', 'file']);
    for (const each of stored) {
      expect(each.size).toBe(size);
      expect(each.address.kind).toBe(size > BLOCK_BYTES ? 'whole' : 'packed');
      expect(Buffer.compare(await readBack(each), bytes)).toBe(0);
    }
    expect(stored[0]?.content).toBe(stored[1]?.content);
  });

  test.each([0, 10, 3 * BLOCK_BYTES])(
    'what a file holds counts, not its size: %i',
    async (size) => {
      const bytes = noise(2 * BLOCK_BYTES + 5, 9);
      const path = join(fixture.directory, 'source');
      writeFileSync(path, bytes);
      const fd = openSync(path, 'r');
      const stored: StoredContent<number>[] = [];
      const writer = new ContentWriter<number>(store, undefined, (batch) => {
        stored.push(...batch);
      });
      await writer.addLarge({ fd, size }, 0);
      truncateSync(path, 3);
      await writer.addLarge({ fd, size }, 1);
      await writer.flush();
      closeSync(fd);
      stored.sort((a, b) => a.tag - b.tag);
      expect(stored.map((each) => each.size)).toEqual([bytes.length, 3]);
      for (const each of stored) {
        expect(Buffer.compare(await readBack(each), bytes.subarray(0, each.size))).toBe(0);
      }
    },
  );

  test('announces only what is durable, the manifest of a large file included', async () => {
    const writer = new ContentWriter<number>(store, fixture.index, async (batch) => {
      for (const each of batch) {
        const { address, content } = each;
        if (address.kind === 'packed') {
          expect(await store.head(packKey(address.pack))).toBeDefined();
        } else {
          expect(await store.head(wholeKey(content))).toBeDefined();
          expect(await store.head(manifestKey(content))).toBeDefined();
        }
      }
      announced += batch.length;
    });
    let announced = 0;
    for (let i = 0; i < 6; i += 1) {
      await writer.addSmall(noise(1_000_000, i), i);
      await writer.addLarge(chunksOf(noise(BLOCK_BYTES + i + 1, i), 1_000_000), 100 + i);
    }
    await writer.flush();
    expect(announced).toBe(12);
  });

  test('packs are closed when full, and all files come back', async () => {
    const files = Array.from({ length: 40 }, (_, i) => noise(900_000 + i, i));
    const stored = await storeAll(files, store, { index: fixture.index });
    expect((await keys('packs/')).length).toBe(3);
    for (const [i, file] of files.entries()) {
      expect(Buffer.compare(await readBack(stored[i] as StoredContent<number>), file)).toBe(0);
    }
  });

  test('equal contents are stored once: in a pack, by one writer, by another writer', async () => {
    const files = [noise(1000, 1), noise(1000, 2), noise(1000, 1)];
    const first = await storeAll(files, store, fixture);
    expect(first[2]?.address).toEqual(first[0]?.address);
    const before = await keys('');
    const more = await storeAll([noise(1000, 2), noise(1000, 3)], store, fixture);
    expect(more[0]?.address).toEqual(first[1]?.address);
    expect(more[1]?.address).not.toEqual(first[1]?.address);
    const after = await keys('');
    expect(after.length).toBe(before.length + 1);
    await storeAll([...files, noise(1000, 3)], store, fixture);
    expect(await keys('')).toEqual(after);
    for (const [i, file] of files.entries()) {
      expect(Buffer.compare(await readBack(first[i] as StoredContent<number>), file)).toBe(0);
    }
  });

  test('known contents between new ones leave no gap in the pack', async () => {
    await storeAll([noise(500, 1), noise(700, 3)], store, fixture);
    const files = [1, 2, 3, 4, 5].map((seed) => noise(500 + (seed % 3) * 100, seed));
    files[0] = noise(500, 1);
    files[2] = noise(700, 3);
    const stored = await storeAll(files, store, fixture);
    for (const [i, file] of files.entries()) {
      expect(Buffer.compare(await readBack(stored[i] as StoredContent<number>), file)).toBe(0);
    }
    const packs = new Set(stored.map(({ address }) => address.kind === 'packed' && address.pack));
    expect(packs.size).toBe(2);
  });

  test('a large file that somebody damaged is replaced when the same bytes are put again', async () => {
    const bytes = noise(BLOCK_BYTES + 1, 1);
    const [stored] = await storeAll([bytes], store, fixture);
    const path = fixture.store.localPath(wholeKey(stored?.content ?? EMPTY_CONTENT));
    const before = statSync(path).ino;
    await storeAll([bytes], store, fixture);
    expect(statSync(path).ino).toBe(before);
    flipBit(path, 70_000);
    await storeAll([bytes], store, fixture);
    expect(Buffer.compare(await readBack(stored as StoredContent<number>), bytes)).toBe(0);
  });

  test.each(['missing', 'truncated', 'damaged'])(
    'a pack that is %s is not referred to',
    async (damage) => {
      const files = [noise(1000, 1), noise(1000, 2)];
      const [first] = await storeAll(files, store, fixture);
      if (first?.address.kind !== 'packed') throw new Error('not packed');
      const path = fixture.store.localPath(packKey(first.address.pack));
      if (damage === 'missing') await store.delete(packKey(first.address.pack));
      else if (damage === 'truncated') truncateSync(path, 50);
      else flipBit(path, 500);
      await fixture.store.close();
      const again = await storeAll(files, store, fixture);
      for (const [i, file] of files.entries()) {
        expect(Buffer.compare(await readBack(again[i] as StoredContent<number>), file)).toBe(0);
      }
    },
  );

  test('an index made anew from the packs knows what the old one knew', async () => {
    const files = Array.from({ length: 30 }, (_, i) => noise(900_000, i));
    const before = await storeAll(files, store);
    await store.put('packs/zz/not-a-pack', Buffer.from('x'));
    await store.put(`packs/00/${'0'.repeat(64)}`, Buffer.from('damaged'));
    await refreshContentIndex(store, fixture.index);
    const count = (await keys('packs/')).length;
    expect((await storeAll(files, store, fixture)).map(({ address }) => address)).toEqual(
      before.map(({ address }) => address),
    );
    expect((await keys('packs/')).length).toBe(count);
  });

  test('a fault of the store ends the writer, announces nothing more, and leaves no file', async () => {
    const calls = { put: 'packs/', finish: 'files/', write: '' } as const;
    for (const [call, prefix] of Object.entries(calls)) {
      const broken = new WatchedStore(store, (made, key) => {
        if (made === call && key.startsWith(prefix)) throw new TarnError('no-space', 'disk full');
      });
      const announced: string[] = [];
      const writer = new ContentWriter<string>(broken, fixture.index, (batch) => {
        announced.push(...batch.map(({ tag }) => tag));
      });
      const work = async (): Promise<void> => {
        await writer.addSmall(noise(100, 1), 'small');
        await writer.addLarge(chunksOf(noise(3 * BLOCK_BYTES, 1), 1_000_000), 'large');
        await writer.flush();
      };
      expect((await faultOf(work())).kind).toBe('no-space');
      expect((await faultOf(writer.flush())).kind).toBe('no-space');
      await writer.abort();
      expect(announced).not.toContain(call === 'put' ? 'small' : 'large');
      expect(readdirSync(join(fixture.directory, 'store', 'tmp'))).toEqual([]);
    }
  });

  test('a fault of a source is its own call’s alone', async () => {
    const announced: number[] = [];
    const writer = new ContentWriter<number>(store, undefined, (batch) => {
      announced.push(...batch.map(({ tag }) => tag));
    });
    async function* broken(): AsyncIterable<Uint8Array> {
      yield noise(3 * BLOCK_BYTES, 1);
      throw new TarnError('io', 'the disk of the source is broken');
    }
    expect((await faultOf(writer.addLarge(broken(), 1))).message).toContain('of the source');
    await writer.addLarge(chunksOf(noise(3 * BLOCK_BYTES, 2), BLOCK_BYTES), 2);
    await writer.flush();
    expect(announced).toEqual([2]);
    expect(readdirSync(join(fixture.directory, 'store', 'tmp'))).toEqual([]);
  });

  test('a fault of whoever is told ends the writer', async () => {
    const writer = new ContentWriter<number>(store, undefined, async () => {
      throw new TarnError('io', 'no staging');
    });
    await writer.addSmall(noise(10, 1), 1);
    expect((await faultOf(writer.flush())).message).toBe('no staging');
  });

  test('abort gives up everything at once and leaves no file', async () => {
    const stop = new AbortController();
    const announced: number[] = [];
    const writer = new ContentWriter<number>(store, undefined, (batch) => {
      announced.push(...batch.map(({ tag }) => tag));
    });
    await writer.addSmall(noise(10, 1), 1);
    async function* endless(): AsyncIterable<Uint8Array> {
      for (let i = 0; ; i += 1) {
        if (i === 3) stop.abort();
        yield noise(BLOCK_BYTES, i);
      }
    }
    expect((await faultOf(writer.addLarge(endless(), 2, stop.signal))).kind).toBe('aborted');
    await writer.abort();
    expect((await faultOf(writer.flush())).kind).toBe('aborted');
    expect(announced).toEqual([]);
    expect(await keys('')).toEqual([]);
    expect(readdirSync(join(fixture.directory, 'store', 'tmp'))).toEqual([]);
  });
});

/** After the file's clock has moved, so that the change is one that can be noticed. */
function flipBit(path: string, offset: number): void {
  untilFileClockMoves(path);
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
