import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CacheLimits, ObjectCache } from '../../src/cache/object-cache.js';
import { pinnedContentId } from '../../src/model/imported.js';
import type { PinnedFile } from '../../src/repo/content-pinned.js';
import { PinnedFiles, UNIT_BYTES } from '../../src/repo/content-pinned.js';
import type { ImportedBytes } from '../../src/repo/imported-bytes.js';
import { TarnError } from '../../src/util/errors.js';
import { CacheFixture, ROOMY } from '../cache/cache-fixture.js';
import { faultOf, noise, untilFileClockMoves } from './content-fixture.js';

const SIZE = 40 * UNIT_BYTES + 1_234;
const BYTES = noise(SIZE, 3);
const URL = 's3://logs/run.mcap';
const ID = pinnedContentId(URL, SIZE, { kind: 'object', etag: 'e1' });
const READING = { signal: undefined, tally: undefined };

let fixture: CacheFixture;
let cache: ObjectCache;
let files: PinnedFiles;
/** Ranges that were asked of the bucket. */
let asked: [start: number, end: number][];
let fault: TarnError | undefined;

beforeEach(() => {
  fixture = new CacheFixture();
  asked = [];
  fault = undefined;
  begin();
});
afterEach(() => fixture.dispose());

/** As another process would. */
function begin(limits: CacheLimits = ROOMY): void {
  const opened = fixture.open(limits);
  ({ cache } = opened);
  files = new PinnedFiles(opened.store);
}

const object: ImportedBytes = {
  url: URL,
  isFar: true,
  read: async (start, end) => {
    asked.push([start, end]);
    await Promise.resolve();
    if (fault !== undefined) throw fault;
    return Uint8Array.from(BYTES.subarray(start, end));
  },
  check: async () => undefined,
  difference: async () => new TarnError('corrupt', 'differs'),
};

async function opened<T>(work: (file: PinnedFile) => Promise<T>): Promise<T> {
  const file = files.acquire(ID, SIZE, object);
  if (file === undefined) throw new Error('nothing is kept');
  try {
    return await work(file);
  } finally {
    file.release();
  }
}

async function expectBytes(file: PinnedFile, start: number, end: number): Promise<void> {
  const bytes = await file.read(start, end, READING);
  expect(Buffer.compare(bytes, BYTES.subarray(start, end))).toBe(0);
}

/** Changes a byte of the file of this size that is cached. */
function damage(size: number, at: number): void {
  const [path = ''] = fixture.files().filter((file) => statSync(file).size === size);
  untilFileClockMoves(path);
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  closeSync(fd);
}

describe('an imported object that nobody has read', () => {
  test('is fetched as it is read, in units, once for all who ask at the same time', async () => {
    await opened(async (file) => {
      await Promise.all([
        expectBytes(file, 5, 6),
        expectBytes(file, 7, UNIT_BYTES + 1),
        expectBytes(file, SIZE - 1, SIZE),
      ]);
      expect(asked).toContainEqual([0, UNIT_BYTES]);
      expect(asked).toContainEqual([UNIT_BYTES, 2 * UNIT_BYTES]);
      expect(asked).toContainEqual([40 * UNIT_BYTES, SIZE]);
      expect(asked).toHaveLength(3);
      await file.fetch(0, SIZE, READING);
      const fetched = asked.reduce((sum, [start, end]) => sum + end - start, 0);
      expect(fetched).toBe(SIZE);
    });
  });

  test('gives the same bytes in whatever way it is read, opened again and damaged', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constantFrom('read', 'fetch'),
        at: fc.nat(SIZE - 1),
        length: fc.nat(9e5),
      }),
      fc.record({
        kind: fc.constantFrom('open', 'process', 'damage', 'forget'),
        at: fc.nat(SIZE - 1),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        let file = files.acquire(ID, SIZE, object);
        for (const { kind, at, ...rest } of steps) {
          const end = Math.min(SIZE, at + 1 + ('length' in rest ? rest.length : 0));
          if (kind === 'read') await expectBytes(file as PinnedFile, at, end);
          if (kind === 'fetch') await file?.fetch(at, end, READING);
          if (kind === 'read' || kind === 'fetch') continue;
          file?.release();
          if (kind !== 'open') {
            await cache.close();
            if (kind === 'damage') damage(SIZE, at);
            begin();
            if (kind === 'forget') await cache.prune(0);
          }
          file = files.acquire(ID, SIZE, object);
        }
        file?.release();
      }),
      { numRuns: 25 },
    );
  });

  test('is not asked for again once it was read, also by a later process, and passes through', async () => {
    await opened((file) => file.fetch(0, SIZE, READING));
    await vi.waitFor(() => expect([...cache.rows()].some((row) => row.stamp)).toBe(true));
    asked = [];
    await cache.close();
    begin();
    await opened(async (file) => {
      expect(file.backing()).toMatchObject({ exact: true, verified: true });
      await expectBytes(file, 0, SIZE);
    });
    expect(asked).toEqual([]);
    expect(cache.counts).toMatchObject({ fetches: 0, healed: 0 });
  });

  test('what is damaged of it is fetched again, once, and counted; so is what has lost its hashes', async () => {
    await opened((file) => file.fetch(0, SIZE, READING));
    for (const size of [SIZE, 41 * 32]) {
      await cache.close();
      damage(size, size === SIZE ? 3 * UNIT_BYTES + 5 : 3 * 32);
      // Whoever touched the file: it is not believed as a whole any more.
      damage(SIZE, SIZE - 1);
      damage(SIZE, SIZE - 1);
      begin();
      asked = [];
      await opened(async (file) => {
        await file.fetch(0, SIZE, READING);
        await expectBytes(file, 0, SIZE);
      });
      expect(asked).toEqual([[0, 16 * UNIT_BYTES]]);
      expect(cache.counts.healed).toBe(1);
    }
  });

  test('is read all the same where there is no room, and what the bucket says is heard', async () => {
    begin({ bytesMax: 0, freeBytesMin: 0 });
    await opened(async (file) => {
      await expectBytes(file, 0, SIZE);
      expect(file.backing()?.verified).toBe(false);
    });
    begin({ bytesMax: 0, freeBytesMin: 0 });
    await opened(async (file) => {
      fault = new TarnError('corrupt', 'it has changed');
      expect(await faultOf(file.read(0, 1, READING))).toBe(fault);
      expect(await faultOf(file.fetch(0, SIZE, READING))).toBe(fault);
    });
  });
});
