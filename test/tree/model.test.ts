import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import { entrySize } from '../../src/model/entry.js';
import type { Key } from '../../src/model/path.js';
import type { Nodes } from '../../src/tree/nodes.js';
import { prefixEnd } from '../../src/model/path.js';
import type { Span } from '../../src/model/span.js';
import { spanOfPrefix } from '../../src/model/span.js';
import { Tree } from '../../src/tree/tree.js';
import type { Edit } from '../../src/tree/edit.js';
import type { WrittenTree } from '../../src/tree/write.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { verifyTree } from '../../src/tree/verify.js';
import { anyEntries, anyKey } from './arbitraries.js';
import { MEDIUM, MemoryNodes, nodesOver, SMALL, sorted } from './fixtures.js';

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

/** An edit as the model sees it: a graft names one of the maps at hand. */
type ModelEdit =
  | Exclude<Edit, { kind: 'replace' }>
  | { readonly kind: 'replace'; readonly span: Span; readonly with?: ModelGraft };

interface ModelGraft {
  readonly donor: 'old' | 'other';
  readonly source: Key;
  readonly target: Key;
}

interface Change {
  readonly old: ReadonlyMap<Key, Entry>;
  readonly other: ReadonlyMap<Key, Entry>;
  readonly edits: readonly ModelEdit[];
}

function placeOf(edit: ModelEdit | Edit): Key {
  return edit.kind === 'replace' ? edit.span.from : edit.key;
}

/** Edits in the order that editTree wants: by place, a span before a key, no spans that overlap. */
function ordered(edits: readonly ModelEdit[]): ModelEdit[] {
  const sorted = edits.toSorted((a, b) => {
    if (placeOf(a) !== placeOf(b)) return placeOf(a) < placeOf(b) ? -1 : 1;
    return Number(b.kind === 'replace') - Number(a.kind === 'replace');
  });
  const taken = new Set<Key>();
  let free: Key | undefined = '' as Key;
  return sorted.filter((edit) => {
    if (edit.kind === 'replace') {
      if (free === undefined || edit.span.from < free) return false;
      free = edit.span.to;
      return true;
    }
    const isFirst = !taken.has(edit.key);
    taken.add(edit.key);
    if (free !== undefined && free <= edit.key) free = `${edit.key}\0` as Key;
    return isFirst;
  });
}

function applied({ old, other, edits }: Change): Map<Key, Entry> {
  const result = new Map(old);
  for (const edit of edits) {
    if (edit.kind === 'put') result.set(edit.key, edit.entry);
    else if (edit.kind === 'remove') result.delete(edit.key);
    else {
      for (const k of result.keys()) if (isIn(edit.span, k)) result.delete(k);
      if (edit.with === undefined) continue;
      const { donor, source, target } = edit.with;
      for (const [k, entry] of donor === 'old' ? old : other) {
        const there = (target + k.slice(source.length)) as Key;
        if (k.startsWith(source) && there !== '' && isIn(edit.span, there))
          result.set(there, entry);
      }
    }
  }
  return result;
}

function isIn({ from, to }: Span, k: Key): boolean {
  return k >= from && (to === undefined || k < to);
}

/** Edits that mostly meet keys that are there. */
function anyEdits(old: ReadonlyMap<Key, Entry>): fc.Arbitrary<ModelEdit[]> {
  const present = [...old.keys()];
  const anyPlace =
    present.length === 0
      ? anyKey
      : fc.oneof(
          { weight: 3, arbitrary: fc.constantFrom(...present) },
          { weight: 1, arbitrary: anyKey },
        );
  const anyPrefix = fc.tuple(anyPlace, fc.nat(12)).map(([k, length]) => k.slice(0, length) as Key);
  const anySpan = fc.oneof(
    anyPrefix.map(spanOfPrefix),
    fc.tuple(anyPlace, anyPlace).map(([a, b]) => (a < b ? { from: a, to: b } : { from: b, to: a })),
    fc.record({ from: anyPlace, to: fc.constant(undefined) }),
  );
  const donor = fc.constantFrom('old' as const, 'other' as const);
  const anyGraft = fc.oneof(
    fc.record({ donor, source: fc.constant('' as Key), target: fc.constant('' as Key) }),
    fc.tuple(donor, anyPrefix).map(([d, prefix]) => ({ donor: d, source: prefix, target: prefix })),
    fc.record({ donor, source: anyPrefix, target: anyPrefix }),
  );
  const spare = anyEntries(1, 8).map((map) => [...map.values()][0] as Entry);
  const edit = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('put'), key: anyPlace, entry: spare }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove'), key: anyPlace }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('replace'), span: anySpan }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('replace'), span: anySpan, with: anyGraft }),
    },
  ) as fc.Arbitrary<ModelEdit>;
  return fc.array(edit, { maxLength: 40 }).map(ordered);
}

/** The other tree has much in common with the old one, as a branch has. */
const anyChange: fc.Arbitrary<Change> = anyEntries(0, 300).chain((old) =>
  fc.record({
    old: fc.constant(old),
    other: fc
      .tuple(anyEntries(0, 40), fc.constantFrom(1, 3, 1000))
      .map(
        ([more, gap]) => new Map([...[...old].filter((_, i) => i % gap > 0 || gap > 9), ...more]),
      ),
    edits: anyEdits(old),
  }),
);

const anyShape = fc.constantFrom(SMALL, MEDIUM);

const KEY_BYTES_MAX = 1024;

/** Writes both trees of the change and edits the old one; expects a refusal of overlong keys. */
async function edited(
  change: Change,
  nodes: Nodes,
  size: number,
): Promise<WrittenTree | undefined> {
  const old = await buildTree(nodes, [sorted(change.old)]);
  const other = await buildTree(nodes, [sorted(change.other)]);
  const edits = change.edits.map((edit): Edit => {
    if (edit.kind !== 'replace' || edit.with === undefined) return edit as Edit;
    const { donor, source, target } = edit.with;
    const tree = donor === 'old' ? old.id : other.id;
    return { kind: 'replace', span: edit.span, with: { tree, source, target } };
  });
  const result = editTree(nodes, old.id, batched(edits, size));
  if (![...applied(change).keys()].some((k) => k.length > KEY_BYTES_MAX)) return result;
  await expect(result).rejects.toMatchObject({ kind: 'invalid' });
  return undefined;
}

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
      fc.asyncProperty(anyChange, anyShape, fc.nat(8), async (change, shape, size) => {
        const store = new MemoryNodes();
        const result = await edited(change, nodesOver(store, shape), size + 1);
        if (result === undefined) return;
        const after = sorted(applied(change));
        const built = await buildTree(nodesOver(new MemoryNodes(), shape), [after]);
        expect(result).toEqual(built);
        const nodes = nodesOver(store, shape);
        expect(await walk(await Tree.open(nodes, result.id))).toEqual(after);
        for await (const node of verifyTree(nodes, result.id)) expect(node.level).toBeLessThan(20);
      }),
      { ...RUNS, numRuns: 300 },
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
          edits.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
          id = (await editTree(nodes, id, [edits])).id;
        }
        expect(id).toBe((await buildTree(nodes, [items])).id);
      }),
      { ...RUNS, numRuns: 60 },
    );
  });

  it('comes back to its old id when the change is undone', async () => {
    await fc.assert(
      fc.asyncProperty(anyChange, async (change) => {
        const nodes = nodesOver(new MemoryNodes(), SMALL);
        const result = await edited(change, nodes, 7);
        if (result === undefined) return;
        const after = applied(change);
        const back: Edit[] = [];
        for (const k of new Set([...change.old.keys(), ...after.keys()])) {
          const entry = change.old.get(k);
          if (entry === undefined) back.push({ kind: 'remove', key: k });
          else back.push({ kind: 'put', key: k, entry });
        }
        back.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
        const old = await buildTree(nodes, [sorted(change.old)]);
        expect(await editTree(nodes, result.id, [back])).toEqual(old);
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
