import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAncestor, mergeBases } from '../../src/history/merge-base.js';
import type { Drawn } from './drawn-history.js';
import { DrawnHistory, histories, idOf } from './drawn-history.js';

function naiveBases(history: DrawnHistory, a: number, b: number): number[] {
  const others = history.ancestorsOf(b);
  const common = [...history.ancestorsOf(a)].filter((n) => others.has(n));
  return common.filter(
    (n) => !common.some((other) => other !== n && history.ancestorsOf(other).has(n)),
  );
}

const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

async function basesOf(history: DrawnHistory, a: number, b: number): Promise<number[]> {
  return history.numbersOf(await mergeBases(history.read, idOf(a), idOf(b)));
}

describe('the best common ancestors', () => {
  it('are those of the definition, whatever the dates, from both sides alike', async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(), fc.nat(), async (drawn, pickA, pickB) => {
        const history = new DrawnHistory(drawn);
        const [a, b] = [pickA % drawn.length, pickB % drawn.length];
        const found = await basesOf(history, a, b);
        expect(ascending(found)).toEqual(ascending(naiveBases(history, a, b)));
        expect(await basesOf(history, b, a)).toEqual(found);
        const leads = history.ancestorsOf(b).has(a);
        expect(await isAncestor(history.read, idOf(a), idOf(b))).toBe(leads);
      }),
      { seed: 8421, numRuns: 2000 },
    );
  });

  it('of a criss-cross are both, newest first', async () => {
    const drawn = [[], [0], [0], [1, 2], [2, 1]].map((parents, n) => ({ parents, dateMs: n }));
    expect(await basesOf(new DrawnHistory(drawn), 3, 4)).toEqual([2, 1]);
  });

  it('are found at the cost of what lies above them', async () => {
    const trunk = Array.from({ length: 5_000 }, (_, n): Drawn => ({
      parents: n === 0 ? [] : [n - 1],
      dateMs: n,
    }));
    const tips = [
      { parents: [4_990], dateMs: 6_000 },
      { parents: [4_999, 4_980], dateMs: 6_001 },
    ];
    const history = new DrawnHistory([...trunk, ...tips]);
    expect(await basesOf(history, 5_000, 5_001)).toEqual([4_990]);
    expect(history.reads).toBeLessThan(40);
  });

  it('are found through 100,000 commits, straight and criss-cross', async () => {
    const straight = Array.from({ length: 100_000 }, (_, n): Drawn => ({
      parents: n < 2 ? [] : [n - 2],
      dateMs: n,
    }));
    const meeting = { parents: [1, 0], dateMs: 200_000 };
    const apart = new DrawnHistory([...straight, meeting]);
    expect(await basesOf(apart, 99_998, 99_999)).toEqual([]);
    expect(await basesOf(apart, 99_998, 100_000)).toEqual([0]);
    const crossed = Array.from({ length: 100_000 }, (_, n): Drawn => {
      const pair = n - (n % 2);
      return { parents: n < 2 ? [] : [pair - 1, pair - 2], dateMs: n };
    });
    expect(ascending(await basesOf(new DrawnHistory(crossed), 99_998, 99_999))).toEqual([
      99_996, 99_997,
    ]);
  });

  it('end with an abort', async () => {
    const drawn = Array.from({ length: 10 }, (_, n) => ({
      parents: n === 0 ? [] : [n - 1],
      dateMs: n,
    }));
    const { read } = new DrawnHistory(drawn);
    const work = mergeBases(read, idOf(9), idOf(3), AbortSignal.abort());
    await expect(work).rejects.toMatchObject({ kind: 'aborted' });
  });
});
