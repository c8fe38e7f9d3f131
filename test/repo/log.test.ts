import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Commit } from '../../src/model/commit.js';
import type { CommitId, NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import type { WalkOptions } from '../../src/repo/log.js';
import { walkHistory } from '../../src/repo/log.js';

const id = (n: number): CommitId => sha256(Buffer.from(`commit ${n}`)) as CommitId;
const tree = sha256(Buffer.from('tree')) as NodeId;

interface Drawn {
  readonly parents: readonly number[];
  readonly dateMs: number;
}

/** A history: commit n has parents among those before it; the last is where the walk begins. */
function historyOf(drawn: readonly Drawn[]): Map<CommitId, Commit> {
  return new Map(
    drawn.map(({ parents, dateMs }, n) => [
      id(n),
      { tree, parents: parents.map(id), author: 'a', dateMs, message: String(n), metadata: {} },
    ]),
  );
}

async function walked(
  history: Map<CommitId, Commit>,
  from: number,
  max = Infinity,
  options: WalkOptions = {},
) {
  const seen: number[] = [];
  let reads = 0;
  const read = async (each: CommitId): Promise<Commit> => {
    reads += 1;
    return history.get(each) as Commit;
  };
  for await (const { commit } of walkHistory(id(from), read, options)) {
    seen.push(Number(commit.message));
    if (seen.length === max) break;
  }
  return { seen, reads };
}

const histories = fc
  .array(fc.tuple(fc.array(fc.nat(), { maxLength: 3 }), fc.nat({ max: 50 })), {
    minLength: 1,
    maxLength: 30,
  })
  .map((rows) =>
    rows.map(([picks, dateMs], n): Drawn => {
      const near = picks.map((pick) => n - 1 - (pick % 5)).filter((parent) => parent >= 0);
      return { parents: [...new Set(near)], dateMs };
    }),
  );

function ancestorsOf(drawn: readonly Drawn[], from: number): Set<number> {
  const found = new Set([from]);
  for (const n of found) for (const parent of drawn[n]?.parents ?? []) found.add(parent);
  return found;
}

describe('the walk of a history', () => {
  it('gives each ancestor once, and none before a child of it, whatever the dates', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (drawn) => {
        const from = drawn.length - 1;
        const { seen } = await walked(historyOf(drawn), from);
        expect([...seen].sort((a, b) => a - b)).toEqual(
          [...ancestorsOf(drawn, from)].sort((a, b) => a - b),
        );
        const place = new Map(seen.map((n, at) => [n, at]));
        for (const n of seen) {
          for (const parent of drawn[n]?.parents ?? []) {
            expect(place.get(parent)).toBeGreaterThan(place.get(n) as number);
          }
        }
      }),
      { seed: 8421, numRuns: 400 },
    );
  });

  it('is by date, newest first, where lines of history run side by side', async () => {
    const drawn = [
      { parents: [], dateMs: 0 },
      { parents: [0], dateMs: 10 },
      { parents: [0], dateMs: 20 },
      { parents: [1], dateMs: 30 },
      { parents: [2], dateMs: 40 },
      { parents: [3, 4], dateMs: 50 },
    ];
    expect((await walked(historyOf(drawn), 5)).seen).toEqual([5, 4, 3, 2, 1, 0]);
  });

  it('reads one commit ahead of what it gives on a straight line', async () => {
    const drawn = Array.from({ length: 1000 }, (_, n) => ({
      parents: n === 0 ? [] : [n - 1],
      dateMs: n,
    }));
    const { seen, reads } = await walked(historyOf(drawn), 999, 10);
    expect(seen).toHaveLength(10);
    expect(reads).toBeLessThanOrEqual(11);
  });

  it('gives each once also where it reads ahead no further than it may', async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(4), async (drawn, aheadMax) => {
        const from = drawn.length - 1;
        const { seen } = await walked(historyOf(drawn), from, Infinity, { aheadMax });
        expect([...seen].sort((a, b) => a - b)).toEqual(
          [...ancestorsOf(drawn, from)].sort((a, b) => a - b),
        );
        const honest = drawn.map(({ parents }, n) => ({ parents, dateMs: n }));
        const whole = await walked(historyOf(honest), from);
        const bounded = await walked(historyOf(honest), from, Infinity, { aheadMax });
        expect(bounded.seen).toEqual(whole.seen);
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('need not read a line to its end that is merged again and again', async () => {
    const drawn: Drawn[] = [{ parents: [], dateMs: 0 }];
    let [main, line] = [0, 0];
    for (let n = 1; n < 1_000; n += 2) {
      drawn.push({ parents: [line], dateMs: n }, { parents: [main, n], dateMs: n + 1 });
      [line, main] = [n, n + 1];
    }
    const { seen, reads } = await walked(historyOf(drawn), main, 10, { aheadMax: 20 });
    expect(seen).toEqual([1000, 999, 998, 997, 996, 995, 994, 993, 992, 991]);
    expect(reads).toBeLessThan(50);
    expect((await walked(historyOf(drawn), main, Infinity, { firstParent: true })).seen).toEqual(
      Array.from({ length: 501 }, (_, n) => 1000 - 2 * n),
    );
  });
});
