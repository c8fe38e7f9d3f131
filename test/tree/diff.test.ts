import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import type { NodeId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { isSameEntry } from '../../src/model/same-entry.js';
import type { Span } from '../../src/model/span.js';
import { spanOfPrefix } from '../../src/model/span.js';
import type { TreeChange } from '../../src/tree/diff.js';
import { diffTrees, isSameBetween } from '../../src/tree/diff.js';
import type { Edit } from '../../src/tree/edit.js';
import type { Nodes } from '../../src/tree/nodes.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { anyEntries } from './arbitraries.js';
import { anySpanOf, anyVariant, isIn } from './changes.js';
import { file, key, MemoryNodes, nodesOver, SMALL, sorted } from './fixtures.js';

const RUNS = { numRuns: 200, seed: 20_250_614 };

async function collect(
  nodes: Nodes,
  before: NodeId,
  after: NodeId,
  span?: Span,
): Promise<TreeChange[]> {
  const changes: TreeChange[] = [];
  for await (const batch of diffTrees(nodes, before, after, span)) {
    expect(batch.length).toBeGreaterThan(0);
    changes.push(...batch);
  }
  return changes;
}

function expected(
  before: ReadonlyMap<Key, Entry>,
  after: ReadonlyMap<Key, Entry>,
  span: Span,
): TreeChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((k) => isIn(span, k) && !isSameEntry(before.get(k), after.get(k)))
    .sort()
    .map((k) => ({ key: k, before: before.get(k), after: after.get(k) }));
}

const anyPair = anyEntries(0, 300).chain((before) =>
  fc.record({
    before: fc.constant(before),
    after: fc.oneof(
      { weight: 6, arbitrary: anyVariant(before) },
      { weight: 1, arbitrary: anyEntries(0, 300) },
    ),
    span: anySpanOf(before),
  }),
);

describe('the difference of two trees', () => {
  it('is that of their maps, in any span', async () => {
    await fc.assert(
      fc.asyncProperty(anyPair, fc.boolean(), async ({ before, after, span }, synchronous) => {
        const store = new MemoryNodes();
        store.synchronous = synchronous;
        const old = await buildTree(nodesOver(store, SMALL), [sorted(before)]);
        const now = await buildTree(nodesOver(store, SMALL), [sorted(after)]);
        const changes = expected(before, after, span);
        expect(await collect(nodesOver(store, SMALL), old.id, now.id, span)).toEqual(changes);
        const isSame = await isSameBetween(nodesOver(store, SMALL), old.id, now.id, span);
        expect(isSame).toBe(changes.length === 0);
      }),
      RUNS,
    );
  });
});

describe('the cost of a difference', () => {
  const FILES = 40_000;
  const store = new MemoryNodes();
  let root: NodeId;

  const at = (i: number): Key => key(`raw/run-${String(i).padStart(7, '0')}/front.jpg`);

  beforeAll(async () => {
    const items = Array.from({ length: FILES }, (_, i): KeyedEntry => {
      return { key: at(i), entry: file(i) };
    });
    root = (await buildTree(nodesOver(store, SMALL), [items])).id;
  });

  async function changed(...edits: Edit[]): Promise<NodeId> {
    return (await editTree(nodesOver(store, SMALL), root, [edits])).id;
  }

  async function cost(before: NodeId, after: NodeId, span?: Span): Promise<[number, number]> {
    store.forgetCounts();
    const changes = await collect(nodesOver(store, SMALL), before, after, span);
    return [changes.length, new Set(store.loaded).size];
  }

  it('is a path of nodes for one file that was changed, added or removed', async () => {
    const depth = (await nodesOver(store, SMALL).load(root)).level + 1;
    const put = await changed({ kind: 'put', key: at(20_000), entry: file(1) });
    const added = await changed({ kind: 'put', key: `${at(777)}x` as Key, entry: file(1) });
    const removed = await changed({ kind: 'remove', key: at(31_000) });
    for (const other of [put, added, removed]) {
      const [changes, loaded] = await cost(root, other);
      expect(changes).toBe(1);
      expect(loaded).toBeLessThan(6 * depth);
    }
  });

  it('follows what is inside of the span, and not what lies without', async () => {
    const edits = Array.from({ length: 100 }, (_, i): Edit => {
      return { kind: 'put', key: at(i * 400), entry: file(9) };
    });
    const other = await changed(...edits);
    const [changes, loaded] = await cost(root, other, spanOfPrefix(key('raw/run-00200')));
    expect(changes).toBe(1);
    expect(loaded).toBeLessThan(60);
    store.forgetCounts();
    const span = { from: at(20_100), to: at(20_300) };
    expect(await isSameBetween(nodesOver(store, SMALL), root, other, span)).toBe(true);
    expect(store.loaded.length).toBeLessThan(20);
  });

  it('ends early where it is asked only whether there is one', async () => {
    const empty = (await buildTree(nodesOver(store, SMALL), [])).id;
    store.forgetCounts();
    const whole = { from: key(''), to: undefined };
    expect(await isSameBetween(nodesOver(store, SMALL), root, empty, whole)).toBe(false);
    expect(store.loaded.length).toBeLessThan(12);
  });

  it('is nothing for a tree and itself', async () => {
    expect(await cost(root, root)).toEqual([0, 0]);
  });
});

it('stops when it is aborted', async () => {
  const nodes = nodesOver(new MemoryNodes(), SMALL);
  const items = Array.from({ length: 3000 }, (_, i): KeyedEntry => {
    return { key: key(`f${10_000 + i}`), entry: file(i) };
  });
  const { id } = await buildTree(nodes, [items]);
  const empty = await buildTree(nodes, []);
  const abort = new AbortController();
  const read = async (): Promise<void> => {
    for await (const batch of diffTrees(nodes, empty.id, id, undefined, abort.signal)) {
      expect(batch.length).toBeLessThanOrEqual(500);
      abort.abort();
    }
  };
  await expect(read()).rejects.toMatchObject({ kind: 'aborted' });
});
