import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { treePackKey } from '../../src/repo/layout.js';
import { TREE_PACK_BYTES_MAX } from '../../src/repo/tree-pack.js';
import { TreePackStore } from '../../src/repo/tree-packs.js';
import { BlockingStore } from '../../src/store/local/blocking-store.js';
import { LocalStore } from '../../src/store/local/local-store.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { TREE_SHAPE } from '../../src/tree/boundary.js';
import type { Edit } from '../../src/tree/edit.js';
import { NodeCache, Nodes } from '../../src/tree/nodes.js';
import type { Place } from '../../src/tree/place.js';
import { Tree } from '../../src/tree/tree.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { isPromise } from '../../src/util/async.js';
import { TarnError } from '../../src/util/errors.js';
import { WatchedStore } from '../store/watched-store.js';
import { key, MemoryNodes, nodesOver, SMALL } from '../tree/fixtures.js';
import {
  faultOf,
  filesNamed,
  fresh,
  packsIn,
  put,
  sample,
  verify,
  walk,
} from './tree-pack-fixture.js';

describe('a tree in packs', () => {
  test('is the tree that other stores hold, edit after edit, for whoever opens it', async () => {
    const anyEdits = fc.array(
      fc.record({ at: fc.nat(150), seed: fc.nat(900), isRemoval: fc.boolean() }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(150), fc.array(anyEdits, { maxLength: 6 }), async (count, rounds) => {
        const objects = new MemoryStore();
        const kept = fresh(objects);
        const memory = nodesOver(new MemoryNodes(), SMALL);
        const items = filesNamed(count);
        let { id } = await buildTree(kept, [items]);
        const roots = [id];
        for (const round of rounds) {
          const byPath = new Map(round.map((edit) => [edit.at, edit]));
          const edits = [...byPath.values()]
            .sort((a, b) => a.at - b.at)
            .map(({ at, seed, isRemoval }): Edit => {
              const path = `run/${String(at).padStart(6, '0')}`;
              return isRemoval ? { kind: 'remove', key: key(path) } : put(path, seed);
            });
          const nodes = round.length % 2 === 0 ? kept : fresh(objects);
          id = (await editTree(nodes, id, [edits])).id;
          roots.push(id);
        }
        for (const root of roots) {
          const seen = await walk(fresh(objects), root);
          expect((await buildTree(memory, [seen])).id).toBe(root);
          await verify(fresh(objects), root);
        }
        const store = new TreePackStore(objects);
        for (const pack of await packsIn(objects)) {
          expect((await store.readPack(pack)).at(-1)?.id).toBe(pack);
          expect(roots).toContain(pack);
        }
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  test('of many nodes is a few objects, the last one named by the root and written last', async () => {
    const objects = new MemoryStore();
    const underWay = new Set<string>();
    const slow = Object.create(objects) as MemoryStore;
    slow.put = async (name, bytes, options) => {
      if (!name.endsWith(sha256(bytes))) expect(underWay.size).toBe(0);
      underWay.add(name);
      await new Promise((resolve) => setImmediate(resolve));
      const info = await objects.put(name, bytes, options);
      underWay.delete(name);
      return info;
    };
    slow.get = (name, options) => objects.get(name, options);
    const items = filesNamed(250_000, 'raw/2025-06-14/run-8421/camera-front/frame-');
    const { id } = await buildTree(fresh(slow, TREE_SHAPE), [items]);
    const packs = await packsIn(objects);
    expect(packs).toContain(id);
    expect(packs.length).toBeGreaterThan(1);
    expect(packs.length).toBeLessThan(4);
    const store = new TreePackStore(objects);
    let records = 0;
    for (const pack of packs) {
      const bytes = await objects.get(treePackKey(pack));
      expect(bytes.length).toBeLessThan(TREE_PACK_BYTES_MAX + 32);
      if (pack !== id) expect(sha256(bytes)).toBe(pack);
      records += (await store.readPack(pack)).length;
    }
    expect(await verify(fresh(objects, TREE_SHAPE), id)).toBe(records);
  });

  test('that was changed in one place gains one small object', async () => {
    const objects = new MemoryStore();
    const nodes = fresh(objects, TREE_SHAPE);
    const { id } = await buildTree(nodes, [filesNamed(20_000)]);
    const edited = await editTree(nodes, id, [[put('run/010000', 1)]]);
    expect(await packsIn(objects)).toHaveLength(2);
    const { depth } = await Tree.open(nodes, edited.id);
    const records = await new TreePackStore(objects).readPack(edited.id);
    expect(records).toHaveLength(depth);
    expect((await objects.head(treePackKey(edited.id)))?.size).toBeLessThan(depth * 12_000);
  });

  test('is not saved again: neither unchanged, nor changed back, nor by two at once', async () => {
    const objects = new MemoryStore();
    const { id } = await buildTree(fresh(objects), [filesNamed(300)]);
    const before = await objects.head(treePackKey(id));
    await buildTree(fresh(objects), [filesNamed(300)]);
    await editTree(fresh(objects), id, []);
    await editTree(fresh(objects), id, [[{ kind: 'remove', key: key('nothing') }]]);
    expect(await packsIn(objects)).toEqual([id]);
    const [a, b] = await Promise.all([
      editTree(fresh(objects), id, [[put('run/000100', 1)]]),
      editTree(fresh(objects), id, [[put('run/000100', 1)]]),
    ]);
    expect(a).toEqual(b);
    expect((await editTree(fresh(objects), a.id, [[put('run/000100', 100)]])).id).toBe(id);
    expect(new Set(await packsIn(objects))).toEqual(new Set([id, a.id]));
    expect(await objects.head(treePackKey(id))).toEqual(before);
    await verify(fresh(objects), a.id);
  });

  test('whose root is an inner part of an older one ends a pack of its own', async () => {
    const objects = new MemoryStore();
    const items = filesNamed(300);
    const { id } = await buildTree(fresh(objects), [items]);
    const root = await fresh(objects).load(id);
    if (root.kind === 'leaf') throw new Error('expected an inner root');
    const kept = root.valueAt(0).entries;
    const gone = items.slice(kept).map((item): Edit => ({ kind: 'remove', key: item.key }));
    const part = await editTree(fresh(objects), id, [gone]);
    expect(part.id).toBe(root.idAt(0));
    expect(await packsIn(objects)).toContain(part.id);
    expect(await walk(fresh(objects), part.id)).toEqual(items.slice(0, kept));
  });

  test('can be read where it lies while it is written', async () => {
    const store = new TreePackStore(new MemoryStore());
    const batch = store.batch();
    const bytes = Buffer.alloc(3000, 'x');
    const id = sha256(bytes) as NodeId;
    const places = Array.from({ length: 9 }, () => batch.add(id, bytes, []) as Place);
    for (const place of places) expect((await store.load(id, place)).bytes).toEqual(bytes);
    await batch.finish({ id, place: places[8] });
    for (const place of places) expect((await store.load(id, place)).bytes).toEqual(bytes);
    expect((await store.load(id, undefined)).bytes).toEqual(bytes);
  });

  test('that could not be saved leaves nothing behind that others would trip over', async () => {
    const objects = new MemoryStore();
    const { id } = await buildTree(fresh(objects), [filesNamed(300)]);
    let isFull = true;
    const failing = new WatchedStore(objects, (call) => {
      if (call === 'put' && isFull) throw new TarnError('no-space', 'the disk is full');
    });
    const nodes = fresh(failing);
    const edits = [[put('run/000007', 1), put('run/000200', 2)]];
    expect((await faultOf(() => editTree(nodes, id, edits))).kind).toBe('no-space');
    expect(await packsIn(objects)).toEqual([id]);
    isFull = false;
    const edited = await editTree(nodes, id, edits);
    expect(await walk(nodes, edited.id)).toEqual(await walk(fresh(objects), edited.id));
  });

  test('has no root when one of its packs could not be saved', async () => {
    const objects = new MemoryStore();
    let puts = 0;
    const failing = new WatchedStore(objects, (call) => {
      if (call === 'put' && ++puts === 1) throw new TarnError('io', 'a cable');
    });
    const items = filesNamed(250_000, 'raw/2025-06-14/run-8421/camera-front/frame-');
    const built = faultOf(() => buildTree(fresh(failing, TREE_SHAPE), [items]));
    expect((await built).kind).toBe('io');
    expect(puts).toBe(1);
  });

  test('is read by one cache beside an equal one that lies elsewhere', async () => {
    const cache = new NodeCache(1 << 20);
    const items = filesNamed(300);
    const roots: NodeId[] = [];
    const both = await Promise.all(
      [items.slice(0, 5), []].map(async (first) => {
        const objects = new MemoryStore();
        const start = await buildTree(fresh(objects), [first]);
        const edits = items.map((item): Edit => ({ kind: 'put', ...item }));
        roots.push((await editTree(fresh(objects), start.id, [edits])).id);
        await objects.delete(treePackKey(start.id));
        return new Nodes(new TreePackStore(objects), cache, SMALL);
      }),
    );
    expect(roots[0]).toBe(roots[1]);
    for (const nodes of [...both, ...both]) {
      expect(await walk(nodes, roots[0] as NodeId)).toEqual(items);
    }
  });
});

describe('reading a tree in packs', () => {
  test('takes one read for a root, however large, and one for a run of leaves', async () => {
    const objects = new MemoryStore();
    const { id } = await buildTree(fresh(objects, TREE_SHAPE), [filesNamed(30_000)]);
    let gets = 0;
    const watched = new WatchedStore(objects, (call) => {
      gets += call === 'get' ? 1 : 0;
    });
    const nodes = fresh(watched, TREE_SHAPE);
    const tree = await Tree.open(nodes, id);
    expect(gets).toBeLessThanOrEqual(2);
    const count = await verify(fresh(objects, TREE_SHAPE), tree.id);
    gets = 0;
    expect(await walk(nodes, id)).toHaveLength(30_000);
    expect(gets).toBeLessThan(count / 4);
  });

  test('needs no promise on a thread that waits', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tarn-packs-'));
    const objects = new BlockingStore(await LocalStore.create(directory));
    try {
      const { id } = await buildTree(fresh(objects), [filesNamed(2_000)]);
      const nodes = fresh(objects);
      const root = await nodes.load(id);
      if (root.kind === 'leaf') throw new Error('expected an inner root');
      let promises = 0;
      for (let i = 0; i < root.count; i++) {
        const child = nodes.child(root, i);
        promises += isPromise(child) ? 1 : 0;
        await child;
      }
      expect(promises).toBeLessThan(root.count);
      expect(await walk(fresh(objects), id)).toEqual(filesNamed(2_000));
    } finally {
      await objects.close();
      rmSync(directory, { recursive: true });
    }
  });

  test('survives reads ahead that fail', async () => {
    const objects = new MemoryStore();
    const { id } = await buildTree(fresh(objects, TREE_SHAPE), [filesNamed(30_000)]);
    let gets = 0;
    const flaky = new WatchedStore(objects, (call) => {
      if (call === 'get' && gets++ % 3 === 2) throw new TarnError('io', 'a cable');
    });
    const nodes = fresh(flaky, TREE_SHAPE);
    const cursor = (await Tree.open(nodes, id)).cursor();
    let seen = 0;
    let last = key('');
    for (;;) {
      try {
        let there = await cursor.seek(key(`${last}\0`));
        for (; there; there = await cursor.next()) {
          seen++;
          last = cursor.key;
        }
        break;
      } catch (error) {
        expect(error).toMatchObject({ kind: 'io' });
      }
    }
    expect(seen).toBe(30_000);
  });
});

test('a thread that only reads hears of an abort', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tarn-packs-'));
  const objects = new BlockingStore(await LocalStore.create(directory));
  const abort = new AbortController();
  try {
    const { id } = await buildTree(fresh(objects), [filesNamed(500)]);
    setImmediate(() => abort.abort());
    const nodes = new Nodes(new TreePackStore(objects), new NodeCache(1), SMALL);
    const readOn = async (): Promise<never> => {
      for (;;) await (await Tree.open(nodes, id, abort.signal)).get(key('run/000100'));
    };
    expect(await faultOf(readOn)).toMatchObject({ kind: 'aborted' });
  } finally {
    await objects.close();
    rmSync(directory, { recursive: true });
  }
});

test('a tree pack is written as FORMAT.md says', async () => {
  const { objects, id } = await sample();
  const edited = await editTree(fresh(objects), id, [[put('labels/000008', 77)]]);
  const bytes = await objects.get(treePackKey(edited.id));
  const url = new URL('./golden/tree-pack-v1.hex', import.meta.url);
  const lines =
    Buffer.from(bytes)
      .toString('hex')
      .match(/.{1,64}/g) ?? [];
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(url, `${lines.join('\n')}\n`);
  expect(lines).toEqual(readFileSync(url, 'utf8').trim().split('\n'));
});
