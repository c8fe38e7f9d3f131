import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../src/util/heap.js';

describe('a heap', () => {
  it('gives the least of what it holds, whenever it is asked', () => {
    const steps = fc.array(fc.option(fc.nat(20), { nil: undefined }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (drawn) => {
        const heap = new Heap<number>((a, b) => a < b);
        const model: number[] = [];
        for (const step of drawn) {
          if (step === undefined) {
            model.sort((a, b) => a - b);
            expect(heap.pop()).toBe(model.shift());
          } else {
            heap.push(step);
            model.push(step);
          }
          expect(heap.size).toBe(model.length);
        }
      }),
      { seed: 8421, numRuns: 300 },
    );
  });
});
