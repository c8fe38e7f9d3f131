import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogQuery } from '../../src/history/log.js';
import { searchHistory } from '../../src/history/log.js';
import type { CommitId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { spansOfPaths } from '../../src/model/span.js';
import { key } from '../tree/fixtures.js';
import { all, DrawnHistory, drawnHistories, PATHS } from './histories.js';

async function shown(history: DrawnHistory, from: number, query: LogQuery = {}) {
  const found = await all(searchHistory(history, history.ids[from] as CommitId, query));
  return found.map(({ id }) => history.numberOf(id));
}

/** By listing every commit and its parents. */
function changedAt(history: DrawnHistory, number: number, path: Key): boolean {
  const isInside = (each: Key): boolean =>
    path === '' || each === path || each.startsWith(path.endsWith('/') ? path : `${path}/`);
  const inside = PATHS.filter(isInside);
  const parents = history.parentsOf(number);
  if (parents.length === 0) return inside.some((each) => history.files[number]?.has(each));
  return parents.every((parent) => inside.some((each) => !history.isSame(parent, number, each)));
}

describe('the log of a path', () => {
  it('shows what a listing of each commit shows', async () => {
    const paths = fc.constantFrom(...PATHS, key(''), key('a/b'), key('a/'), key('labels'));
    await fc.assert(
      fc.asyncProperty(drawnHistories, paths, async (drawn, path) => {
        const history = await DrawnHistory.of(drawn);
        const from = drawn.length - 1;
        const whole = await shown(history, from);
        const wanted = whole.filter((number) => changedAt(history, number, path));
        expect(await shown(history, from, { spans: spansOfPaths([path]) })).toEqual(wanted);
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('goes on after any of its commits', async () => {
    await fc.assert(
      fc.asyncProperty(drawnHistories, fc.nat(), fc.nat(5), async (drawn, pick, limit) => {
        const history = await DrawnHistory.of(drawn);
        const from = drawn.length - 1;
        const query = { spans: spansOfPaths([key('a')]) };
        const whole = await shown(history, from, query);
        if (whole.length === 0) return;
        const at = pick % whole.length;
        const after = history.ids[whole[at] as number] as CommitId;
        const page = await shown(history, from, { ...query, after, limit });
        expect(page).toEqual(whole.slice(at + 1, at + 1 + limit));
      }),
      { seed: 8421, numRuns: 100 },
    );
  });
});

describe('conditions of a log', () => {
  it('are all to be met', async () => {
    const history = new DrawnHistory();
    await history.add({ parents: [], edits: [], dateMs: 0 }, { message: 'Create' });
    const glare = { author: 'Ada <ada@example.org>', message: 'Label the glare\n\nby hand' };
    await history.add({ parents: [0], edits: [], dateMs: 10 }, glare);
    const ingest = { author: 'Rosa', message: 'Ingest', metadata: { calibration: 'v7' } };
    await history.add({ parents: [0], edits: [], dateMs: 20 }, ingest);
    const merge = { message: 'Merge the glare', metadata: { calibration: 'v8' } };
    await history.add({ parents: [2, 1], edits: [], dateMs: 30 }, merge);
    const by = (query: LogQuery): Promise<number[]> => shown(history, 3, query);
    expect(await by({})).toEqual([3, 2, 1, 0]);
    expect(await by({ author: 'ada' })).toEqual([1]);
    expect(await by({ grep: 'GLARE' })).toEqual([3, 1]);
    expect(await by({ sinceMs: 10, untilMs: 20 })).toEqual([2, 1]);
    expect(await by({ metadata: [{ key: 'calibration' }] })).toEqual([3, 2]);
    expect(await by({ metadata: [{ key: 'calibration', value: 'v7' }] })).toEqual([2]);
    expect(await by({ metadata: [{ key: 'toString' }] })).toEqual([]);
    expect(await by({ merges: 'only' })).toEqual([3]);
    expect(await by({ merges: 'none', limit: 2 })).toEqual([2, 1]);
    expect(await by({ firstParent: true })).toEqual([3, 2, 0]);
    expect(await by({ grep: 'glare', author: 'ada' })).toEqual([1]);
    expect(await by({ limit: 0 })).toEqual([]);
  });

  it('name a commit to go on from that is in the history', async () => {
    const history = await DrawnHistory.of([
      { parents: [], edits: [], dateMs: 0 },
      { parents: [0], edits: [], dateMs: 1 },
    ]);
    const after = history.ids[1] as CommitId;
    await expect(shown(history, 0, { after })).rejects.toThrow('is not in this history');
  });

  it('end a search by time where all is long past', async () => {
    const history = new DrawnHistory();
    for (let n = 0; n < 3_000; n += 1) {
      await history.add({ parents: n === 0 ? [] : [n - 1], edits: [], dateMs: n });
    }
    history.reads = 0;
    expect(await shown(history, 2_999, { sinceMs: 2_990 })).toHaveLength(10);
    expect(history.reads).toBeLessThan(1_100);
  });
});

describe('the graph of a log', () => {
  async function drawing(history: DrawnHistory, query: LogQuery = {}): Promise<string> {
    const from = history.ids.at(-1) as CommitId;
    const lines: string[] = [];
    for await (const { commit, graph } of searchHistory(history, from, { ...query, graph: true })) {
      if (graph === undefined) throw new Error('no graph');
      lines.push(...graph.above, `${graph.at.padEnd(8)}${commit.message.slice(7)}`);
      if (graph.edge !== '') lines.push(graph.edge);
    }
    return `\n${lines.join('\n')}\n`;
  }

  const at = (dateMs: number, ...parents: number[]) => ({ parents, edits: [], dateMs });

  it('is a line of stars where history is a line', async () => {
    const history = await DrawnHistory.of([at(0), at(1, 0), at(2, 1)]);
    expect(await drawing(history)).toBe(`
*       2
*       1
*       0
`);
  });

  it('shows a branch that was merged', async () => {
    const history = await DrawnHistory.of([at(0), at(1, 0), at(3, 0), at(4, 1, 2)]);
    expect(await drawing(history)).toBe(`
*       3
|\\
| *     2
* |     1
|/
*       0
`);
  });

  it('shows lines that cross, merges of three and columns used again', async () => {
    const history = await DrawnHistory.of([
      at(0),
      at(1, 0),
      at(2, 0),
      at(3, 0),
      at(4, 1, 2, 3),
      at(5, 2),
      at(6, 4, 5),
      at(7, 6, 0),
    ]);
    expect(await drawing(history)).toBe(`
*       7
|\\
* |     6
|-|\\
| | *   5
* | |   4
|-|\\|\\
| | | * 3
| |-|/
| | *   2
| |/
* |     1
|/
*       0
`);
  });

  it('leads around what is not shown', async () => {
    const history = await DrawnHistory.of([at(0), at(1, 0), at(3, 0), at(4, 1, 2), at(5, 3)]);
    expect(await drawing(history, { merges: 'none' })).toBe(`
*       4
|\\
| *     2
* |     1
|/
*       0
`);
  });

  it('has one star for each commit, in a column that its children lead to', async () => {
    await fc.assert(
      fc.asyncProperty(drawnHistories, async (drawn) => {
        const history = await DrawnHistory.of(drawn);
        const lines = (await drawing(history)).split('\n');
        const stars = lines.filter((line) => line.includes('*'));
        expect(stars).toHaveLength(history.ancestorsOf(drawn.length - 1).size);
        expect(stars.every((line) => line.indexOf('*') % 2 === 0)).toBe(true);
      }),
      { seed: 8421, numRuns: 100 },
    );
  });
});
