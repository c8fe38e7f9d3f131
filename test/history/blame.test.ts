import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blame } from '../../src/history/blame.js';
import type { CommitId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { spansOfPaths } from '../../src/model/span.js';
import { file, key } from '../tree/fixtures.js';
import type { DrawnCommit } from './histories.js';
import { DrawnHistory, drawnHistories, PATHS } from './histories.js';

/** By following each path alone. */
function explained(history: DrawnHistory, number: number, path: Key): number {
  const parent = history.parentsOf(number).find((each) => history.isSame(each, number, path));
  return parent === undefined ? number : explained(history, parent, path);
}

describe('blame', () => {
  it('names the commit that following each path alone leads to', async () => {
    const paths = fc.constantFrom(...PATHS, key(''), key('a/b'), key('a/'));
    await fc.assert(
      fc.asyncProperty(drawnHistories, paths, async (drawn, path) => {
        const history = await DrawnHistory.of(drawn);
        const from = drawn.length - 1;
        const spans = spansOfPaths([path]);
        const found = await blame(history, history.ids[from] as CommitId, spans);
        const inside = [...(history.files[from]?.keys() ?? [])]
          .filter((each) =>
            spans.some((s) => each >= s.from && (s.to === undefined || each < s.to)),
          )
          .sort();
        expect(found.map(({ key: each, by }) => [each, history.numberOf(by.id)])).toEqual(
          inside.map((each) => [each, explained(history, from, each)]),
        );
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('finds the same for many paths at once, by pages too', async () => {
    const names = Array.from({ length: 40 }, (_, n) => key(`labels/${String(n).padStart(3, '0')}`));
    const drawn: DrawnCommit[] = [
      { parents: [], edits: names.map((name) => [name, 1]), dateMs: 0 },
      ...Array.from({ length: 30 }, (_, n): DrawnCommit => {
        const touched = names.filter((_name, index) => index % 30 === n);
        return { parents: [n], edits: touched.map((name) => [name, n + 2]), dateMs: n };
      }),
    ];
    const history = await DrawnHistory.of(drawn);
    const head = history.ids.at(-1) as CommitId;
    const spans = spansOfPaths([key('labels/')]);
    const whole = await blame(history, head, spans);
    expect(whole.map(({ by }) => history.numberOf(by.id))).toEqual(
      names.map((_, index) => 1 + (index % 30)),
    );
    const page = await blame(history, head, spans, { limit: 5, after: names[9] as Key });
    expect(page).toEqual(whole.slice(10, 15));
    expect(await blame(history, head, spansOfPaths([key('raw/')]))).toEqual([]);
  });

  it('stops as soon as all is found', async () => {
    const history = new DrawnHistory();
    for (let n = 0; n < 500; n += 1) {
      await history.add({ parents: n === 0 ? [] : [n - 1], edits: [], dateMs: n });
    }
    await history.add({ parents: [499], edits: [[key('a'), 1]], dateMs: 600 });
    history.reads = 0;
    const [only] = await blame(history, history.ids[500] as CommitId, spansOfPaths([key('a')]));
    expect(only?.entry).toEqual(file(1));
    expect(history.reads).toBeLessThan(10);
  });
});
