import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES } from '../../src/model/ids.js';
import { ReadAhead } from '../../src/vfs/read-ahead.js';

const BLOCKS = 1024;
const SIZE = BLOCKS * BLOCK_BYTES;

/** A reader of blocks whose driver answers what was granted; counts what is fetched. */
class Reader {
  readonly fetched = new Set<number>();
  readonly asked = new Set<number>();
  /** Blocks that were asked for and had not been fetched ahead. */
  waits = 0;
  readonly #ahead = new ReadAhead(SIZE);
  readonly #granted = new Set<number>();

  read(from: number, count = 1): void {
    for (let block = from; block < from + count; block += 1) {
      this.asked.add(block);
      if (this.#granted.has(block)) continue;
      if (!this.fetched.has(block)) this.waits += 1;
      const start = block * BLOCK_BYTES;
      for (const { start: first, end, isRun } of this.#ahead.note(start, start + BLOCK_BYTES)) {
        expect(first % BLOCK_BYTES).toBe(0);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(end).toBeLessThanOrEqual(SIZE);
        expect(end).toBeGreaterThan(first);
        for (let at = first; at < end; at += BLOCK_BYTES) {
          this.fetched.add(at / BLOCK_BYTES);
          if (isRun && at > first) this.#granted.add(at / BLOCK_BYTES);
        }
      }
      this.fetched.add(block);
      this.#granted.add(block);
    }
  }

  get amplification(): number {
    return this.fetched.size / this.asked.size;
  }
}

describe('what is fetched ahead', () => {
  it('R7: Of a file in a bucket at most 96 MiB are fetched ahead of a reader, and none before it goes on.', () => {
    const reader = new Reader();
    reader.read(0);
    expect(reader.fetched.size).toBe(1);
    let widest = 0;
    for (let block = 1; block < BLOCKS; block += 1) {
      reader.read(block);
      widest = Math.max(widest, Math.max(...reader.fetched) - block);
    }
    expect(reader.waits).toBe(2);
    expect(widest).toBeGreaterThanOrEqual(88);
    expect(widest).toBeLessThanOrEqual(96);
    expect(reader.amplification).toBe(1);
  });

  it('nothing is fetched ahead of the first read, nor of reads here and there', () => {
    const first = new Reader();
    first.read(0);
    expect(first.fetched.size).toBe(1);
    const random = new Reader();
    for (let i = 0; i < 200; i += 1) random.read((i * 389) % 1021);
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: BLOCKS - 1 }), { minLength: 50, maxLength: 300 }),
        (at) => {
          const reader = new Reader();
          for (const block of at) reader.read(block);
          expect(reader.amplification).toBeLessThanOrEqual(1.3);
        },
      ),
      { seed: 2, numRuns: 60 },
    );
  });

  it('R8: After a jump a reader has at most a quarter of what it read fetched in vain.', () => {
    const chunk = fc.tuple(fc.nat({ max: BLOCKS - 65 }), fc.integer({ min: 1, max: 64 }));
    fc.assert(
      fc.property(fc.array(chunk, { minLength: 1, maxLength: 40 }), (chunks) => {
        const reader = new Reader();
        reader.read(BLOCKS - 1);
        for (const [from, count] of chunks) reader.read(from, count);
        expect(reader.amplification).toBeLessThanOrEqual(1.25);
      }),
      { seed: 3, numRuns: 60 },
    );
  });

  it('an index at the end, then chunks of one length: they are fetched whole, and no more', () => {
    const reader = new Reader();
    reader.read(0);
    reader.read(BLOCKS - 2, 2);
    for (let i = 0; i < 10; i += 1) reader.read(40 + ((i * 7) % 10) * 90, 8);
    expect(reader.fetched.size).toBeLessThanOrEqual(reader.asked.size + 4);
    // The first of each eight blocks, once it is known how long a chunk is.
    expect(reader.waits).toBeLessThanOrEqual(3 + 4 * 8 + 6);
  });

  it('strides forwards and backwards are followed', () => {
    for (const [from, delta] of [
      [3, 10],
      [BLOCKS - 1, -1],
      [BLOCKS - 20, -7],
    ] as const) {
      const reader = new Reader();
      for (let i = 0; i < 90; i += 1) reader.read(from + i * delta);
      expect(reader.waits).toBeLessThanOrEqual(8);
      expect(reader.fetched.size - reader.asked.size).toBeLessThanOrEqual(8);
    }
  });
});
