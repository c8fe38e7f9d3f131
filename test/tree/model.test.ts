import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import { entrySize } from '../../src/model/entry.js';
import type { Key } from '../../src/model/path.js';
import type { Nodes } from '../../src/tree/nodes.js';
import { prefixEnd } from '../../src/model/path.js';
import { Tree } from '../../src/tree/tree.js';
import type { Edit } from '../../src/tree/write.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { anyEntries, anyKey } from './arbitraries.js';
import { MemoryNodes, nodesOver, SMALL, sorted } from './fixtures.js';

const RUNS = { numRuns: 150, seed: 20_250_614 };

function batched<T>(items: readonly T[], size: number): T[][] {
  const batches: T[][] = [];
  for (let i = 0; i < items.length; i += size) batches.push(items.slice(i, i + size));
  return batches;
}

async function treeOf(nodes: Nodes, items: readonly KeyedEntry[]): Promise<Tree> {
  const { id } = await buildTree(nodes, batched(items, 7));
  return Tree.open(nodes, id);
}

function placeOf(edit: Edit): Key {
  return edit.kind === 'remove-prefix' ? edit.prefix : edit.key;
}

/** Edits in the order that editTree wants: by place, a prefix before a key, one of each. */
function ordered(edits: readonly Edit[]): Edit[] {
  const byPlace = new Map<string, Edit>();
  for (const edit of edits) {
    byPlace.set(`${placeOf(edit)}\u{1000}${edit.kind === 'remove-prefix' ? 0 : 1}`, edit);
  }
  return [...byPlace.values()].sort((a, b) => {
    if (placeOf(a) !== placeOf(b)) return placeOf(a) < placeOf(b) ? -1 : 1;
    return a.kind === 'remove-prefix' ? -1 : 1;
  });
}

function applied(entries: ReadonlyMap<Key, Entry>, edits: readonly Edit[]): Map<Key, Entry> {
  const result = new Map(entries);
  for (const edit of edits) {
    if (edit.kind === 'put') result.set(edit.key, edit.entry);
    else if (edit.kind === 'remove') result.delete(edit.key);
    else for (const k of result.keys()) if (k.startsWith(edit.prefix)) result.delete(k);
  }
  return result;
}

/** Edits that mostly meet keys that are there. */
function anyEdits(entries: ReadonlyMap<Key, Entry>): fc.Arbitrary<Edit[]> {
  const present = [...entries.keys()];
  const anyPlace =
    present.length === 0
      ? anyKey
      : fc.oneof(
          { weight: 3, arbitrary: fc.constantFrom(...present) },
          { weight: 1, arbitrary: anyKey },
        );
  const anyPrefix = fc.tuple(anyPlace, fc.nat(12)).map(([k, length]) => k.slice(0, length) as Key);
  const spare = anyEntries(1, 8).map((map) => [...map.values()][0] as Entry);
  const edit = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('put'), key: anyPlace, entry: spare }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove'), key: anyPlace }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove-prefix'), prefix: anyPrefix }) },
  ) as fc.Arbitrary<Edit>;
  return fc.array(edit, { maxLength: 40 }).map(ordered);
}

const anyChange = anyEntries(0, 300).chain((entries) =>
  fc.tuple(fc.constant(entries), anyEdits(entries)),
);

describe('a tree beside a sorted array', () => {
  it('agrees on every entry, rank, select, seek and total', async () => {
    await fc.assert(
      fc.asyncProperty(anyEntries(0, 250), fc.array(anyKey, { maxLength: 20 }), agree),
      RUNS,
    );
  });
});

async function agree(entries: Map<Key, Entry>, probes: Key[]): Promise<void> {
  const items = sorted(entries);
  const tree = await treeOf(nodesOver(new MemoryNodes(), SMALL), items);
  expect(tree.totals()).toEqual(totalsOf(items));
  const cursor = tree.cursor();
  for (const probe of [...probes, ...items.map(({ key }) => key)]) {
    const rank = items.filter(({ key }) => key < probe).length;
    expect(await tree.get(probe)).toEqual(entries.get(probe));
    expect(await tree.rank(probe)).toBe(rank);
    expect(await cursor.seek(probe)).toBe(rank < items.length);
    if (rank < items.length) {
      expect([cursor.key, cursor.ordinal]).toEqual([items[rank]?.key, rank]);
      expect(cursor.entry()).toEqual(items[rank]?.entry);
    }
    const prefix = probe.slice(0, 3) as Key;
    const below = items.filter(({ key }) => key.startsWith(prefix));
    expect(await tree.totalsOf(prefix)).toEqual(totalsOf(below));
  }
  for (let i = 0; i < items.length; i += 3) {
    expect(await tree.select(i)).toEqual(items[i]);
    expect(await cursor.seekOrdinal(i)).toBe(true);
    expect([cursor.key, cursor.ordinal]).toEqual([items[i]?.key, i]);
  }
  expect(await tree.select(items.length)).toBeUndefined();
  expect(await cursor.seekOrdinal(items.length)).toBe(false);
  expect(await walk(tree)).toEqual(items);
}

function totalsOf(items: readonly KeyedEntry[]) {
  return {
    entries: items.length,
    bytes: items.reduce((sum, { entry }) => sum + entrySize(entry), 0),
  };
}

async function walk(tree: Tree): Promise<KeyedEntry[]> {
  const seen: KeyedEntry[] = [];
  const cursor = tree.cursor();
  const out = { kind: 'file' as const, size: 0, mtimeSec: 0, mtimeNsec: 0, mode: 0 };
  for (let there = await cursor.seek('' as Key); there; there = await cursor.next()) {
    const entry = cursor.entry();
    cursor.attributes(out);
    expect(out).toEqual({
      kind: entry.kind,
      size: entrySize(entry),
      mtimeSec: entry.mtimeSec,
      mtimeNsec: entry.mtimeNsec,
      mode: entry.mode,
    });
    seen.push({ key: cursor.key, entry });
  }
  return seen;
}

describe('an edited tree', () => {
  it('is the tree that is built of what it holds', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyChange,
        fc.integer({ min: 1, max: 9 }),
        async ([entries, edits], size) => {
          const store = new MemoryNodes();
          const old = await buildTree(nodesOver(store, SMALL), [sorted(entries)]);
          const edited = await editTree(nodesOver(store, SMALL), old.id, batched(edits, size));
          const after = sorted(applied(entries, edits));
          const built = await buildTree(nodesOver(new MemoryNodes(), SMALL), [after]);
          expect(edited).toEqual(built);
          expect(await walk(await Tree.open(nodesOver(store, SMALL), edited.id))).toEqual(after);
        },
      ),
      { ...RUNS, numRuns: 400 },
    );
  });

  it('does not depend on the order in which its keys came', async () => {
    await fc.assert(
      fc.asyncProperty(anyEntries(1, 120), fc.infiniteStream(fc.nat()), async (entries, random) => {
        const items = sorted(entries);
        const shuffled = items
          .map((item) => ({ item, order: random.next().value as number }))
          .sort((a, b) => a.order - b.order);
        const nodes = nodesOver(new MemoryNodes(), SMALL);
        let { id } = await buildTree(nodes, []);
        for (const group of batched(shuffled, 11)) {
          const edits = group.map(({ item }): Edit => ({ kind: 'put', ...item }));
          id = (await editTree(nodes, id, [ordered(edits)])).id;
        }
        expect(id).toBe((await buildTree(nodes, [items])).id);
      }),
      { ...RUNS, numRuns: 60 },
    );
  });

  it('comes back to its old id when the change is undone', async () => {
    await fc.assert(
      fc.asyncProperty(anyChange, async ([entries, edits]) => {
        const nodes = nodesOver(new MemoryNodes(), SMALL);
        const old = await buildTree(nodes, [sorted(entries)]);
        const edited = await editTree(nodes, old.id, [edits]);
        const after = applied(entries, edits);
        const back: Edit[] = [];
        for (const k of new Set([...entries.keys(), ...after.keys()])) {
          const entry = entries.get(k);
          if (entry === undefined) back.push({ kind: 'remove', key: k });
          else back.push({ kind: 'put', key: k, entry });
        }
        expect(await editTree(nodes, edited.id, [ordered(back)])).toEqual(old);
      }),
      RUNS,
    );
  });
});

describe('prefixEnd', () => {
  it('parts the keys that start with a prefix from those behind', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (prefix, probe) => {
        const end = prefixEnd(prefix);
        const inside = probe >= prefix && (end === undefined || probe < end);
        expect(inside).toBe(probe.startsWith(prefix));
      }),
      RUNS,
    );
    expect(prefixEnd('a\xff\xff' as Key)).toBe('b');
    expect(prefixEnd('\xff' as Key)).toBeUndefined();
  });
});
