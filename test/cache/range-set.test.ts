import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RangeSet } from '../../src/cache/range-set.js';

const MAX = 40;
const span = fc.tuple(fc.nat({ max: MAX }), fc.nat({ max: MAX }));
const step = fc.tuple(fc.constantFrom('add', 'remove'), span);

test('runs are what a set of single bytes says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), span, (steps, [from, length]) => {
      const ranges = RangeSet.empty();
      const model = new Set<number>();
      for (const [what, [start, count]] of steps) {
        const end = start + count;
        if (what === 'add') ranges.add(start, end);
        else ranges.remove(start, end);
        for (let i = start; i < end; i += 1) {
          if (what === 'add') model.add(i);
          else model.delete(i);
        }
      }
      expect(ranges.bytes).toBe(model.size);
      const listed = [...ranges];
      for (const [i, [start, end]] of listed.entries()) {
        expect(start).toBeLessThan(end);
        // Neighbours are one run.
        if (i > 0) expect(start).toBeGreaterThan(listed[i - 1]?.[1] ?? 0);
        for (let at = start; at < end; at += 1) expect(model.has(at)).toBe(true);
      }
      const missing = new Set<number>();
      for (const [start, end] of ranges.gaps(from, from + length)) {
        for (let at = start; at < end; at += 1) missing.add(at);
      }
      for (let at = from; at < from + length; at += 1) {
        expect(missing.has(at)).toBe(!model.has(at));
      }
      expect(ranges.has(from, from + length)).toBe(missing.size === 0);
      expect([...(RangeSet.decode(ranges.encode()) ?? [])]).toEqual(listed);
    }),
    { seed: 11, numRuns: 500 },
  );
});

test('bytes that are no runs in order are refused', () => {
  const edges = (...all: number[]): Buffer => {
    const bytes = Buffer.alloc(all.length * 8);
    for (const [i, edge] of all.entries()) bytes.writeDoubleBE(edge, i * 8);
    return bytes;
  };
  expect(RangeSet.decode(edges(1, 2, 3, 4))).toBeDefined();
  for (const wrong of [edges(1), edges(2, 1), edges(1, 2, 2, 3), edges(-1, 2), edges(0, 0.5)]) {
    expect(RangeSet.decode(wrong)).toBeUndefined();
  }
  expect(RangeSet.decode(Buffer.alloc(7))).toBeUndefined();
});
