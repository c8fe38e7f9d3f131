import fc from 'fast-check';
import { cpSync, openSync, closeSync, statSync, truncateSync, writeSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CachedStore } from '../../src/cache/cached-store.js';
import { ObjectCache } from '../../src/cache/object-cache.js';
import { sha256 } from '../../src/model/ids.js';
import { noise } from '../repo/content-fixture.js';
import { CacheFixture } from './cache-fixture.js';

/** Objects of one block each way: what a reader verifies is a piece of PIECE bytes. */
const PIECE = 1000;
const PIECES = 12;
const OBJECTS = 5;
const LIMITS = { bytesMax: 30_000, freeBytesMin: 0 };

const keyOf = (i: number): string => `packs/00/${String(i).padStart(64, '0')}`;

type Step =
  | {
      readonly kind: 'read';
      readonly object: number;
      readonly from: number;
      readonly count: number;
    }
  | { readonly kind: 'whole' | 'end'; readonly object: number }
  | { readonly kind: 'damage' | 'cut'; readonly file: number; readonly at: number }
  | { readonly kind: 'restart' | 'kill' | 'prune' };

const object = fc.nat({ max: OBJECTS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      object,
      from: fc.nat({ max: PIECES - 1 }),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('whole' as const, 'end' as const), object }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('damage' as const, 'cut' as const),
      file: fc.nat(),
      at: fc.nat({ max: PIECE * PIECES - 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('restart' as const, 'kill' as const, 'prune' as const),
    }),
  },
);

/** What a reader does who knows the hashes: damaged bytes are forgotten and read once more. */
async function readVerified(
  store: CachedStore,
  key: string,
  get: () => Promise<Uint8Array>,
  expected: Uint8Array,
): Promise<void> {
  const hash = sha256(expected);
  if (sha256(await get()) === hash) return;
  expect(store.forget(key)).toBe(true);
  expect(sha256(await get())).toBe(hash);
}

test('whatever is read, damaged, cut short, killed and evicted, a verified read gives the bytes', async () => {
  const runs = Number(process.env['TARN_CACHE_RUNS'] ?? 25);
  const objects = Array.from({ length: OBJECTS }, (_, i) => noise(PIECE * PIECES, i));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const fixture = new CacheFixture();
      const caches: ObjectCache[] = [];
      try {
        for (const [i, bytes] of objects.entries()) await fixture.inner.put(keyOf(i), bytes);
        let directory = join(fixture.directory, 'objects');
        const open = (): { cache: ObjectCache; store: CachedStore } => {
          const cache = ObjectCache.open(directory, LIMITS);
          caches.push(cache);
          return { cache, store: new CachedStore(cache, fixture.far) };
        };
        let { cache, store } = open();
        let isClean = true;
        /** Pieces that this process was given and nothing can have taken away since. */
        const held = new Set<string>();
        for (const each of steps) {
          switch (each.kind) {
            case 'read': {
              const [from, to] = [each.from, Math.min(PIECES, each.from + each.count)];
              const range = { offset: from * PIECE, length: (to - from) * PIECE };
              const bytes = objects[each.object] ?? Buffer.alloc(0);
              const expected = bytes.subarray(from * PIECE, to * PIECE);
              const names = Array.from(
                { length: to - from },
                (_, i) => `${each.object}/${from + i}`,
              );
              const isHeld = isClean && names.every((name) => held.has(name));
              const asked = fixture.far.requests.length;
              await readVerified(
                store,
                keyOf(each.object),
                () => store.get(keyOf(each.object), { range }),
                expected,
              );
              if (isHeld && cache.counts.evicted === 0) {
                expect(fixture.far.requests.length).toBe(asked);
              }
              for (const name of names) held.add(name);
              break;
            }
            case 'whole': {
              const key = keyOf(each.object);
              await readVerified(
                store,
                key,
                () => store.get(key),
                objects[each.object] ?? Buffer.alloc(0),
              );
              break;
            }
            case 'end': {
              const key = keyOf(each.object);
              const expected = (objects[each.object] ?? Buffer.alloc(0)).subarray(-PIECE);
              await readVerified(
                store,
                key,
                () => store.get(key, { range: { last: PIECE } }),
                expected,
              );
              break;
            }
            case 'damage':
            case 'cut': {
              const files = fixture.files(directory);
              const path = files[each.file % files.length];
              if (path === undefined || statSync(path).size <= each.at) break;
              isClean = false;
              if (each.kind === 'cut') truncateSync(path, each.at);
              else flip(path, each.at);
              break;
            }
            case 'restart':
              await cache.close();
              ({ cache, store } = open());
              held.clear();
              break;
            case 'kill': {
              // What another process would find of this one if it ended right here.
              const left = `${directory}-left`;
              cpSync(directory, left, { recursive: true });
              directory = left;
              ({ cache, store } = open());
              held.clear();
              break;
            }
            case 'prune':
              await cache.prune(PIECE * 10);
              held.clear();
              break;
          }
          expect(cache.total().bytes).toBeLessThanOrEqual(LIMITS.bytesMax);
        }
      } finally {
        for (const cache of caches) await cache.close();
        rmSync(`${fixture.directory}`, { recursive: true, force: true });
      }
    }),
    { seed: 5, numRuns: runs },
  );
}, 60_000);

function flip(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([0x5a ^ at]), 0, 1, at);
  closeSync(fd);
}
