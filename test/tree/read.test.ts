import { beforeAll, describe, expect, it } from 'vitest';
import { isPromise } from '../../src/util/async.js';
import type { NodeId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { Tree } from '../../src/tree/tree.js';
import { buildTree } from '../../src/tree/write.js';
import { file, key, MemoryNodes, nodesOver, SMALL } from './fixtures.js';

const FOLDERS = 30;
const FILES = 40;

describe('reading a tree', () => {
  const store = new MemoryNodes();
  let root: NodeId;

  beforeAll(async () => {
    const items = [];
    for (let d = 0; d < FOLDERS; d++) {
      for (let i = 0; i < FILES; i++) {
        items.push({ key: key(`d${100 + d}/f${100 + i}`), entry: file(d * FILES + i) });
      }
    }
    root = (await buildTree(nodesOver(store, SMALL), [items])).id;
  });

  it('is synchronous when the nodes are in memory', async () => {
    const nodes = nodesOver(store, SMALL);
    const tree = await Tree.open(nodes, root);
    expect(tree.depth).toBeGreaterThan(3);
    const walked = tree.cursor();
    for (let there = await walked.seek(key('')); there; there = await walked.next());

    store.forgetCounts();
    const at = key('d117/f123');
    const cursor = tree.cursor();
    expect(Tree.open(nodes, root)).toBeInstanceOf(Tree);
    expect(tree.get(at)).toEqual(file(17 * FILES + 23));
    expect(tree.rank(at)).toBe(17 * FILES + 23);
    expect(tree.select(17 * FILES + 23)).toMatchObject({ key: at });
    expect(tree.totalsOf(key('d117/'))).toMatchObject({ entries: FILES });
    expect(cursor.seekOrdinal(0)).toBe(true);
    let seen = 1;
    while (cursor.next() === true) seen++;
    expect(seen).toBe(FOLDERS * FILES);
    expect(cursor.seek(at)).toBe(true);
    expect(store.loaded).toEqual([]);
  });

  it('loads one path for an entry of a cold tree', async () => {
    const tree = await Tree.open(nodesOver(store, SMALL), root);
    store.forgetCounts();
    expect(await tree.get(key('d117/f123'))).toEqual(file(17 * FILES + 23));
    expect(store.loaded.length).toBe(tree.depth - 1);
  });

  it('lists folders by seeking over them, without loading what is inside', async () => {
    const tree = await Tree.open(nodesOver(store, SMALL), root);
    store.forgetCounts();
    const cursor = tree.cursor();
    const folders: string[] = [];
    for (let there = await cursor.seek(key('')); there;) {
      const folder = cursor.key.slice(0, cursor.key.indexOf('/'));
      folders.push(folder);
      there = await cursor.seek(`${folder}0` as Key);
    }
    expect(folders).toEqual(Array.from({ length: FOLDERS }, (_, d) => `d${100 + d}`));
    expect(new Set(store.loaded).size).toBeLessThan(store.nodes.size / 2);
  });

  it('works with a cache that holds next to nothing', async () => {
    const tree = await Tree.open(nodesOver(store, SMALL, 1000), root);
    const cursor = tree.cursor();
    let seen = 0;
    for (let there = await cursor.seek(key('')); there; there = await cursor.next()) seen++;
    expect(seen).toBe(FOLDERS * FILES);
    expect(await tree.rank(key('d117/f123'))).toBe(17 * FILES + 23);
  });

  it('loads each node once for a scan, the next leaf ahead', async () => {
    const tree = await Tree.open(nodesOver(store, SMALL), root);
    store.forgetCounts();
    const cursor = tree.cursor();
    for (let there = await cursor.seek(key('')); there; there = await cursor.next());
    expect(store.loaded.length).toBe(store.nodes.size - 1);
    expect(new Set(store.loaded).size).toBe(store.loaded.length);
  });

  it('is an error of the caller where a cursor has no entry', async () => {
    const cursor = (await Tree.open(nodesOver(store, SMALL), root)).cursor();
    expect(() => cursor.key).toThrow('no entry');
    expect(await cursor.seek(key('e'))).toBe(false);
    expect(() => cursor.entry()).toThrow('no entry');
    expect(await cursor.seek(key('d100/f100'))).toBe(true);
    expect(cursor.ordinal).toBe(0);
  });

  it('finds nothing in an empty tree', async () => {
    const nodes = nodesOver(new MemoryNodes());
    const { id } = await buildTree(nodes, [[]]);
    const tree = await Tree.open(nodes, id);
    const cursor = tree.cursor();
    expect(tree.totals()).toEqual({ entries: 0, bytes: 0 });
    expect(tree.get(key('a'))).toBeUndefined();
    expect(tree.select(0)).toBeUndefined();
    expect(tree.rank(key('a'))).toBe(0);
    expect(cursor.seek(key(''))).toBe(false);
    expect(cursor.seekOrdinal(0)).toBe(false);
  });

  it('passes on what the store throws, and can be asked again', async () => {
    const flaky = new MemoryNodes();
    for (const [id, bytes] of store.nodes) flaky.nodes.set(id, bytes);
    const tree = await Tree.open(nodesOver(flaky, SMALL), root);
    const load = flaky.load.bind(flaky);
    flaky.load = () => Promise.reject(new Error('the network is down'));
    const cursor = tree.cursor();
    await expect(Promise.resolve(tree.get(key('d117/f123')))).rejects.toThrow('down');
    await expect(Promise.resolve(cursor.seek(key('d117/f123')))).rejects.toThrow('down');
    flaky.load = load;
    expect(await tree.get(key('d117/f123'))).toBeDefined();
    expect(await cursor.seek(key('d117/f123'))).toBe(true);
    expect(cursor.key).toBe('d117/f123');
  });

  it('stops when it is aborted', async () => {
    const tree = await Tree.open(nodesOver(store, SMALL), root);
    const signal = AbortSignal.abort();
    const rank = async () => tree.rank(key('d117/f123'), signal);
    await expect(rank()).rejects.toMatchObject({ kind: 'aborted' });
    expect(isPromise(tree.rank(key('e')))).toBe(false);
  });
});
