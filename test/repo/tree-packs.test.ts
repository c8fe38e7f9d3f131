import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { KeyedEntry } from '../../src/model/entry.js';
import type { Hash, NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { TREES_PREFIX, treePackKey } from '../../src/repo/layout.js';
import { TREE_PACK_BYTES_MAX } from '../../src/repo/tree-pack.js';
import { TreePackStore } from '../../src/repo/tree-packs.js';
import { BlockingStore } from '../../src/store/local/blocking-store.js';
import { LocalStore } from '../../src/store/local/local-store.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import type { TreeShape } from '../../src/tree/boundary.js';
import { TREE_SHAPE } from '../../src/tree/boundary.js';
import { InnerEncoder } from '../../src/tree/encode.js';
import type { Edit } from '../../src/tree/edit.js';
import { NodeCache, Nodes } from '../../src/tree/nodes.js';
import type { Place } from '../../src/tree/place.js';
import { Tree } from '../../src/tree/tree.js';
import { verifyTree } from '../../src/tree/verify.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { isPromise } from '../../src/util/async.js';
import { TarnError } from '../../src/util/errors.js';
import { WatchedStore } from '../store/watched-store.js';
import { file, key, MemoryNodes, nodesOver, SMALL } from '../tree/fixtures.js';

function filesNamed(count: number, prefix = 'run/'): KeyedEntry[] {
  return Array.from({ length: count }, (_, i) => ({
    key: key(`${prefix}${String(i).padStart(6, '0')}`),
    entry: file(i),
  }));
}

/** With a cache of its own, as another process has it. */
function fresh(objects: ObjectStore, shape: TreeShape = SMALL): Nodes {
  return new Nodes(new TreePackStore(objects), new NodeCache(16 << 20), shape);
}

async function packsIn(objects: ObjectStore): Promise<Hash[]> {
  const found: Hash[] = [];
  for await (const { key: name } of objects.list(TREES_PREFIX)) found.push(name.slice(9) as Hash);
  return found;
}

async function walk(nodes: Nodes, root: NodeId): Promise<KeyedEntry[]> {
  const cursor = (await Tree.open(nodes, root)).cursor();
  const seen: KeyedEntry[] = [];
  for (let there = await cursor.seek(key('')); there; there = await cursor.next()) {
    seen.push({ key: cursor.key, entry: cursor.entry() });
  }
  return seen;
}

async function verify(nodes: Nodes, root: NodeId): Promise<number> {
  let count = 0;
  for await (const node of verifyTree(nodes, root)) count += node.level >= 0 ? 1 : 0;
  return count;
}

async function faultOf(work: () => unknown): Promise<TarnError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(TarnError);
    return error as TarnError;
  }
  throw new Error('it did not fail');
}

const put = (path: string, seed: number): Edit => ({
  kind: 'put',
  key: key(path),
  entry: file(seed),
});

async function corrupt(
  objects: ObjectStore,
  name: string,
  change: (bytes: Buffer) => Uint8Array,
): Promise<void> {
  await objects.put(name, change(Buffer.from(await objects.get(name))));
}

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

  test('of many nodes is a few objects, the last one named by the root', async () => {
    const objects = new MemoryStore();
    const nodes = fresh(objects, TREE_SHAPE);
    const items = filesNamed(250_000, 'raw/2025-06-14/run-8421/camera-front/frame-');
    const { id } = await buildTree(nodes, [items]);
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
    const readOn = async (): Promise<never> => {
      for (;;) await (await Tree.open(fresh(objects), id, abort.signal)).get(key('run/000100'));
    };
    expect(await faultOf(readOn)).toMatchObject({ kind: 'aborted' });
  } finally {
    await objects.close();
    rmSync(directory, { recursive: true });
  }
});

/** Three nodes in one pack: the second one to be read, both leaves short. */
async function sample(): Promise<{ objects: MemoryStore; id: NodeId; items: KeyedEntry[] }> {
  const objects = new MemoryStore();
  const items = filesNamed(9, 'labels/');
  const { id } = await buildTree(fresh(objects), [items]);
  return { objects, id, items };
}

describe('a damaged tree pack', () => {
  test('never gives a wrong entry, whichever byte changed, and is found by its check', async () => {
    const { objects, id, items } = await sample();
    const name = treePackKey(id);
    const sound = Buffer.from(await objects.get(name));
    expect((await new TreePackStore(objects).readPack(id)).length).toBeGreaterThan(2);
    for (let at = 0; at < sound.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const bytes = Buffer.from(sound);
        bytes[at] = (bytes[at] as number) ^ mask;
        await objects.put(name, bytes);
        try {
          expect(await walk(fresh(objects), id)).toEqual(items);
        } catch (error) {
          if (!(error instanceof TarnError)) throw error;
          expect(['corrupt', 'unsupported', 'not-found']).toContain(error.kind);
          expect(error.message).toContain(error.kind === 'not-found' ? 'trees/' : id);
        }
        const checked = await new TreePackStore(objects).readPack(id).catch((e: unknown) => e);
        if (checked instanceof TarnError) expect(checked.message).toContain(id);
        else {
          const hashes = (checked as { id: Hash }[]).map((record) => record.id);
          const isPlace = hashes.at(-1) === id;
          expect(isPlace).toBe(true);
        }
      }
    }
  });

  test('is named wherever it was cut', async () => {
    const { objects, id } = await sample();
    const name = treePackKey(id);
    const sound = Buffer.from(await objects.get(name));
    for (let length = 0; length < sound.length; length++) {
      await objects.put(name, sound.subarray(0, length));
      for (const read of [
        () => walk(fresh(objects), id),
        () => new TreePackStore(objects).readPack(id),
      ]) {
        const fault = await faultOf(read);
        expect(['corrupt', 'unsupported']).toContain(fault.kind);
        expect(fault.message).toContain(id);
      }
    }
  });

  test('is healed by saving the tree again where its end was lost, and else reported', async () => {
    const { objects, id, items } = await sample();
    const name = treePackKey(id);
    const sound = Buffer.from(await objects.get(name));
    for (const length of [0, 100, sound.length - 1]) {
      await objects.put(name, sound.subarray(0, length));
      await buildTree(fresh(objects), [items]);
      expect(Buffer.from(await objects.get(name)).equals(sound)).toBe(true);
    }
    await corrupt(objects, name, (bytes) => bytes.fill(0, 20, 30).subarray(0, 200));
    const fault = await faultOf(() => buildTree(fresh(objects), [items]));
    expect(fault).toMatchObject({ kind: 'corrupt' });
    expect(fault.message).toContain(name);
  });

  test('of another version says so', async () => {
    const { objects, id } = await sample();
    await corrupt(objects, treePackKey(id), (bytes) => {
      bytes[bytes.length - 1] = 2;
      return bytes;
    });
    expect(await faultOf(() => fresh(objects).load(id))).toMatchObject({ kind: 'unsupported' });
  });

  test('that is missing is named', async () => {
    const { objects, id } = await sample();
    await objects.delete(treePackKey(id));
    const fault = await faultOf(() => fresh(objects).load(id));
    expect(fault.kind).toBe('not-found');
    expect(fault.message).toContain(treePackKey(id));
  });
});

describe('a place that is wrong', () => {
  /** A root whose children's places `change` made up. */
  async function rootWith(
    objects: ObjectStore,
    id: NodeId,
    change: (place: Place, index: number, all: readonly Place[]) => Place,
  ): Promise<NodeId> {
    const store = new TreePackStore(objects);
    const root = await fresh(objects).load(id);
    if (root.kind === 'leaf') throw new Error('expected an inner root');
    const encoder = new InnerEncoder(root.level);
    const places = Array.from({ length: root.count }, (_, i) => root.placeAt(i) as Place);
    for (let i = 0; i < root.count; i++) {
      encoder.append(root.keyAt(i), {
        ...root.valueAt(i),
        place: change(places[i] as Place, i, places),
      });
    }
    const batch = store.batch();
    const node = encoder.finish();
    const bytes = Buffer.from(node.bytes);
    expect(sha256(bytes)).toBe(id);
    await objects.delete(treePackKey(id));
    const place = batch.add(id, bytes, node.places);
    await batch.finish({ id, place });
    return id;
  }

  test.each<[string, (place: Place, i: number, all: readonly Place[]) => Place]>([
    ['another node', (_, __, all) => all[all.length - 1] as Place],
    ['the middle of a record', (place) => ({ ...place, offset: place.offset + 3 })],
    ['too short a record', (place) => ({ ...place, length: place.length - 1 })],
    ['too long a record', (place) => ({ ...place, length: place.length + 1 })],
    ['bytes past the end', (place) => ({ ...place, offset: 1 << 20 })],
    ['bytes far past the end', (place) => ({ ...place, offset: 2 ** 52 })],
    ['the header', (place) => ({ ...place, offset: 0 })],
  ])('to %s is corrupt, and names pack and node', async (_, change) => {
    const objects = new MemoryStore();
    // The leaves lie in another pack than the root that is altered.
    const small = await buildTree(fresh(objects), [filesNamed(12)]);
    const pack = sha256(Buffer.from('another name'));
    await objects.put(treePackKey(pack), await objects.get(treePackKey(small.id)));
    await rootWith(objects, small.id, (place, i, all) => ({
      ...(i === 0 ? change(place, i, all) : place),
      pack: { id: pack, isDurable: true },
    }));
    const root = await fresh(objects).load(small.id);
    if (root.kind === 'leaf') throw new Error('expected an inner root');
    const fault = await faultOf(() => walk(fresh(objects), small.id));
    expect(fault.kind).toBe('corrupt');
    expect(fault.message).toContain(root.idAt(0));
    expect(fault.message).toContain(pack);
  });

  test('to a pack that is not there is named', async () => {
    const { objects, id } = await sample();
    const pack = sha256(Buffer.from('nowhere'));
    await rootWith(objects, id, (place) => ({ ...place, pack: { id: pack, isDurable: true } }));
    const fault = await faultOf(() => walk(fresh(objects), id));
    expect(fault.kind).toBe('not-found');
    expect(fault.message).toContain(treePackKey(pack));
  });
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
