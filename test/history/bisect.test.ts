import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate, Verdict } from '../../src/history/bisect.js';
import { bisectCandidates, Bisection } from '../../src/history/bisect.js';
import type { CommitId } from '../../src/model/ids.js';
import { DrawnHistory, drawnHistories } from './histories.js';

async function candidatesOf(history: DrawnHistory, good: number, bad: number) {
  const [first, last] = [history.ids[good] as CommitId, history.ids[bad] as CommitId];
  const found = await bisectCandidates(history, first, last);
  return found.map(({ id, commit }): Candidate => ({ commit: id, parents: commit.parents }));
}

function search(bisection: Bisection<Candidate>, judge: (commit: string) => Verdict): number {
  let steps = 0;
  for (let each = bisection.next(); each !== undefined; each = bisection.next()) {
    bisection.judge(each, judge(each.commit));
    steps += 1;
  }
  return steps;
}

describe('bisect', () => {
  it('searches what came to the bad commit and not to the good one', async () => {
    await fc.assert(
      fc.asyncProperty(drawnHistories, fc.nat(), async (drawn, pick) => {
        const history = await DrawnHistory.of(drawn);
        const bad = drawn.length - 1;
        const good = pick % drawn.length;
        const ancestors = history.ancestorsOf(bad);
        if (good === bad || !ancestors.has(good)) {
          await expect(candidatesOf(history, good, bad)).rejects.toMatchObject({ kind: 'invalid' });
          return;
        }
        const isGood = history.ancestorsOf(good);
        const found = (await candidatesOf(history, good, bad)).map((each) =>
          history.numberOf(each.commit),
        );
        expect(found[0]).toBe(bad);
        expect([...found].sort((a, b) => a - b)).toEqual(
          [...ancestors].filter((each) => !isGood.has(each)).sort((a, b) => a - b),
        );
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('finds the first bad commit, also where history forks, or names those that may be it', async () => {
    const skips = fc.array(fc.nat(15), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(drawnHistories, fc.nat(), fc.nat(), skips, async (drawn, a, b, skipped) => {
        const history = await DrawnHistory.of(drawn);
        const bad = drawn.length - 1;
        const before = [...history.ancestorsOf(bad)].filter((each) => each !== bad);
        const good = before[a % Math.max(1, before.length)];
        if (good === undefined) return;
        const candidates = await candidatesOf(history, good, bad);
        const culprit = candidates[b % candidates.length]?.commit ?? '';
        const spoiled = (commit: string): boolean =>
          history.ancestorsOf(history.numberOf(commit)).has(history.numberOf(culprit));
        const whole = new Bisection(candidates);
        search(whole, (commit) => (spoiled(commit) ? 'bad' : 'good'));
        expect(whole.outcome()).toMatchObject({ kind: 'found', commit: { commit: culprit } });
        const partial = new Bisection(candidates);
        search(partial, (commit) => {
          if (skipped.includes(history.numberOf(commit))) return 'skip';
          return spoiled(commit) ? 'bad' : 'good';
        });
        const outcome = partial.outcome();
        const left = outcome.kind === 'found' ? [outcome.commit] : outcome.commits;
        expect(left.map(({ commit }) => commit)).toContain(culprit);
        const others = left.filter(({ commit }) => !skipped.includes(history.numberOf(commit)));
        expect(others.length).toBeLessThanOrEqual(1);
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('halves: a thousand commits in a line take ten steps', () => {
    const line = Array.from({ length: 1_000 }, (_, n): Candidate => ({
      commit: `c${n}`,
      parents: [`c${n + 1}`],
    }));
    for (const culprit of [0, 1, 499, 500, 998, 999]) {
      const bisection = new Bisection(line);
      const steps = search(bisection, (commit) =>
        Number(commit.slice(1)) <= culprit ? 'bad' : 'good',
      );
      expect(bisection.outcome()).toMatchObject({ commit: { commit: `c${culprit}` } });
      expect(steps).toBeLessThanOrEqual(10);
    }
  });
});
