import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import type { NodeId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { isSameEntry } from '../../src/model/same-entry.js';
import type { Span } from '../../src/model/span.js';
import { spanOfPrefix, WHOLE_SPAN } from '../../src/model/span.js';
import type { Edit } from '../../src/tree/edit.js';
import type { MergeConflict, MergeInput, MergeOutcome } from '../../src/tree/merge.js';
import { mergeTrees } from '../../src/tree/merge.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { anyEntries } from './arbitraries.js';
import { anySpanOf, anyVariant, isIn } from './changes.js';
import { file, hashOf, key, MemoryNodes, nodesOver, SMALL, sorted } from './fixtures.js';

const RUNS = { numRuns: 250, seed: 20_250_614 };

type Entries = ReadonlyMap<Key, Entry>;
type Side = 'ours' | 'theirs' | undefined;

interface Sides {
  readonly base: Entries;
  readonly ours: Entries;
  readonly theirs: Entries;
  readonly span: Span;
  readonly prefer: (key: Key) => Side;
}

function isIdentical(a: Entry | undefined, b: Entry | undefined): boolean {
  return isDeepStrictEqual(a, b);
}

/** Whose entry is merged, key by key. */
function sideOf(base?: Entry, ours?: Entry, theirs?: Entry): 'ours' | 'theirs' | 'both' {
  if (isIdentical(ours, theirs) || isIdentical(base, theirs)) return 'ours';
  if (isIdentical(base, ours)) return 'theirs';
  if (isSameEntry(ours, theirs)) return 'ours';
  if (isSameEntry(base, ours)) return 'theirs';
  return isSameEntry(base, theirs) ? 'ours' : 'both';
}

const below = (map: Entries, path: Key): Key[] =>
  [...map.keys()].filter((k) => k.startsWith(`${path}/`));

/** Paths that one side made a file and the other a directory: which side has the file. */
function nestings({ base, ours, theirs, span }: Sides): Map<Key, 'ours' | 'theirs'> {
  const found = new Map<Key, 'ours' | 'theirs'>();
  const look = (side: 'ours' | 'theirs'): void => {
    const [has, other] = side === 'ours' ? [ours, theirs] : [theirs, ours];
    for (const path of has.keys()) {
      if (path.endsWith('/') || base.has(path) || other.has(path)) continue;
      if (side === 'theirs' && !isIn(span, path)) continue;
      const added = below(other, path).filter(
        (k) => !base.has(k) && (side === 'theirs' || isIn(span, k)),
      );
      if (below(has, path).length === 0 && added.length > 0) found.set(path, side);
    }
  };
  look('ours');
  look('theirs');
  return found;
}

interface Merged {
  readonly conflicts: MergeConflict[];
  readonly settled: number;
  readonly entries: Map<Key, Entry>;
}

function merged(sides: Sides): Merged {
  const { base, ours, theirs, span, prefer } = sides;
  const entries = new Map(ours);
  const conflicts: MergeConflict[] = [];
  let settled = 0;
  const decide = (k: Key): Side => {
    const side = prefer(k);
    if (side !== undefined) settled += 1;
    else conflicts.push({ key: k, base: base.get(k), ours: ours.get(k), theirs: theirs.get(k) });
    return side;
  };
  for (const k of new Set([...base.keys(), ...ours.keys(), ...theirs.keys()])) {
    if (!isIn(span, k)) continue;
    const side = sideOf(base.get(k), ours.get(k), theirs.get(k));
    if ((side === 'both' ? decide(k) : side) !== 'theirs') continue;
    const entry = theirs.get(k);
    if (entry === undefined) entries.delete(k);
    else entries.set(k, entry);
  }
  const nested = [...nestings(sides)].sort(([a], [b]) => (a < b ? -1 : 1));
  let gone: Key | undefined;
  for (const [path, side] of nested) {
    const winner = decide(path);
    if (gone !== undefined && path.startsWith(gone)) continue;
    if (winner === side) {
      gone = `${path}/` as Key;
      for (const k of below(entries, path)) entries.delete(k);
    } else if (winner !== undefined) {
      entries.delete(path);
    }
  }
  conflicts.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { conflicts, settled, entries };
}

async function mergeOf(store: MemoryNodes, sides: Sides, mayNest = false): Promise<MergeOutcome> {
  const build = async (map: Entries): Promise<NodeId> =>
    (await buildTree(nodesOver(store, SMALL), [sorted(map)])).id;
  const { span, prefer } = sides;
  const [base, ours, theirs] = [sides.base, sides.ours, sides.theirs].map(build);
  const input = {
    base: (await base) as NodeId,
    ours: (await ours) as NodeId,
    theirs: (await theirs) as NodeId,
  };
  return mergeTrees(nodesOver(store, SMALL), { ...input, span, prefer, mayNest });
}

const anyPrefer: fc.Arbitrary<(key: Key) => Side> = fc
  .tuple(fc.constantFrom(0, 1, 3, 3), fc.nat())
  .map(([sides, salt]) => (k) => {
    if (sides === 0) return undefined;
    const drawn = parseInt(hashOf(`${salt} ${k}`).slice(0, 2), 16);
    return sides === 1 && drawn < 40 ? undefined : drawn % 2 === 0 ? 'ours' : 'theirs';
  });

const anySides: fc.Arbitrary<Sides> = anyEntries(0, 250).chain((base) =>
  fc.record({
    base: fc.constant(base),
    ours: anyVariant(base),
    theirs: anyVariant(base),
    span: fc.oneof({ weight: 2, arbitrary: fc.constant(WHOLE_SPAN) }, anySpanOf(base)),
    prefer: anyPrefer,
  }),
);

async function agree(sides: Sides, synchronous: boolean): Promise<void> {
  const store = new MemoryNodes();
  store.synchronous = synchronous;
  const outcome = await mergeOf(store, sides);
  const { conflicts, settled, entries } = merged(sides);
  if (conflicts.length > 0) {
    expect(outcome).toEqual({ kind: 'conflicts', conflicts, count: conflicts.length });
    return;
  }
  const tree = await buildTree(nodesOver(new MemoryNodes(), SMALL), [sorted(entries)]);
  expect(outcome).toEqual({ kind: 'merged', tree, settled });
}

describe('the merge of two trees', () => {
  it('is that of their maps', async () => {
    await fc.assert(fc.asyncProperty(anySides, fc.boolean(), agree), RUNS);
  });

  it('is ours when theirs is the base, and theirs when ours is', async () => {
    const [base, other] = [new Map([[key('a'), file(1)]]), new Map([[key('b'), file(2)]])];
    const prefer = (): Side => undefined;
    await agree({ base, ours: other, theirs: base, span: WHOLE_SPAN, prefer }, true);
    await agree({ base, ours: base, theirs: other, span: WHOLE_SPAN, prefer }, true);
  });

  it.each([
    ['ours has the file', ['labels'], ['labels/a.json', 'labels/b.json']],
    ['theirs has the file', ['labels/x/a.json'], ['labels']],
    ['names sort in between', ['labels', 'labels!', 'labels-v2/a'], ['labels.old', 'labels/a']],
  ])('finds a path that would be file and directory: %s', async (_, ours, theirs) => {
    const base = new Map(Array.from({ length: 400 }, (__, i) => [key(`k${1000 + i}`), file(i)]));
    const plus = (paths: string[]): Entries =>
      new Map([...base, ...paths.map((p, i) => [key(p), file(9_000 + i)] as const)]);
    for (const side of ['ours', 'theirs', undefined] as const) {
      const sides = {
        base,
        ours: plus(ours),
        theirs: plus(theirs),
        span: WHOLE_SPAN,
        prefer: (): Side => side,
      };
      expect(merged(sides).conflicts.map((c) => c.key)).toEqual(side ? [] : ['labels']);
      await agree(sides, true);
      const both = await mergeOf(new MemoryNodes(), sides, true);
      const totals = { entries: 400 + ours.length + theirs.length };
      expect(both).toMatchObject({ kind: 'merged', tree: { totals } });
    }
  });
});

describe('the cost of a merge', () => {
  const store = new MemoryNodes();
  let base: NodeId;

  const at = (folder: number, i: number): Key => {
    return key(`raw/run-${100 + folder}/frame-${String(i).padStart(5, '0')}.jpg`);
  };

  beforeAll(async () => {
    const items = Array.from({ length: 40_000 }, (_, i): KeyedEntry => {
      return { key: at(Math.floor(i / 10_000), i % 10_000), entry: file(i) };
    });
    base = (await buildTree(nodesOver(store, SMALL), [items])).id;
  });

  async function edited(...edits: Edit[]): Promise<NodeId> {
    return (await editTree(nodesOver(store, SMALL), base, [edits])).id;
  }

  async function cost(input: MergeInput): Promise<{ loaded: number; id: NodeId | undefined }> {
    store.forgetCounts();
    const outcome = await mergeTrees(nodesOver(store, SMALL), input);
    return {
      loaded: new Set(store.loaded).size,
      id: outcome.kind === 'merged' ? outcome.tree.id : undefined,
    };
  }

  it('does not follow what only theirs replaced', async () => {
    const fresh = Array.from({ length: 10_000 }, (_, i): KeyedEntry => {
      return { key: at(2, i), entry: file(90_000 + i) };
    });
    const tree = (await buildTree(nodesOver(store, SMALL), [fresh])).id;
    const graft = { tree, source: key(''), target: key('') };
    const replaced: Edit = {
      kind: 'replace',
      span: spanOfPrefix(key('raw/run-102/')),
      with: graft,
    };
    const put: Edit = { kind: 'put', key: at(0, 7), entry: file(7_777) };
    const [ours, theirs] = [await edited(put), await edited(replaced)];
    const { loaded, id } = await cost({ base, ours, theirs });
    expect(id).toBe(await edited(put, replaced));
    expect(loaded).toBeLessThan(140);
    expect((await cost({ base, ours: theirs, theirs: ours })).loaded).toBeLessThan(140);
  });

  it('follows the changes where both made some', async () => {
    const change = (from: number): Edit[] =>
      Array.from({ length: 20 }, (_, i): Edit => {
        return { kind: 'put', key: at(1, from + i * 400), entry: file(60_000 + from) };
      });
    const [ours, theirs] = [await edited(...change(3)), await edited(...change(203))];
    const { loaded, id } = await cost({ base, ours, theirs });
    const both = [...change(3), ...change(203)].sort((a, b) =>
      a.kind === 'put' && b.kind === 'put' && a.key < b.key ? -1 : 1,
    );
    expect(id).toBe(await edited(...both));
    expect(loaded).toBeLessThan(900);
  });

  it('is told of as changes are found', async () => {
    const change = (offset: number): Edit[] =>
      Array.from({ length: 1_200 }, (_, i): Edit => {
        return { kind: 'put', key: at(3, i * 8 + offset), entry: file(70_000 + offset) };
      });
    const [ours, theirs] = [await edited(...change(0)), await edited(...change(4))];
    const heard: [count: number, last: Key][] = [];
    const onChanges = (count: number, last: Key): void => void heard.push([count, last]);
    await mergeTrees(nodesOver(store, SMALL), { base, ours, theirs, onChanges });
    expect(heard.length).toBeGreaterThan(2);
    expect(heard).toEqual(heard.toSorted(([a], [b]) => a - b));
    expect(heard.at(-1)?.[0]).toBeLessThanOrEqual(1_200);
    expect(heard.map(([, last]) => last)).toEqual(heard.map(([, last]) => last).sort());
  });

  it('is written nowhere when there are conflicts', async () => {
    const put = (seed: number): Edit => ({ kind: 'put', key: at(1, 5), entry: file(seed) });
    const [ours, theirs] = [await edited(put(1)), await edited(put(2))];
    store.forgetCounts();
    const outcome = await mergeTrees(nodesOver(store, SMALL), { base, ours, theirs });
    expect(outcome).toMatchObject({ kind: 'conflicts', count: 1 });
    expect(store.saved).toEqual([]);
  });
});
