import { expect } from 'vitest';
import type { KeyedEntry } from '../../src/model/entry.js';
import type { Hash, NodeId } from '../../src/model/ids.js';
import { TREES_PREFIX } from '../../src/repo/layout.js';
import { TreePackStore } from '../../src/repo/tree-packs.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import type { TreeShape } from '../../src/tree/boundary.js';
import type { Edit } from '../../src/tree/edit.js';
import { NodeCache, Nodes } from '../../src/tree/nodes.js';
import { Tree } from '../../src/tree/tree.js';
import { verifyTree } from '../../src/tree/verify.js';
import { buildTree } from '../../src/tree/write.js';
import { TarnError } from '../../src/util/errors.js';
import { file, key, SMALL } from '../tree/fixtures.js';

export function filesNamed(count: number, prefix = 'run/'): KeyedEntry[] {
  return Array.from({ length: count }, (_, i) => ({
    key: key(`${prefix}${String(i).padStart(6, '0')}`),
    entry: file(i),
  }));
}

/** With a cache of its own, as another process has it. */
export function fresh(objects: ObjectStore, shape: TreeShape = SMALL): Nodes {
  return new Nodes(new TreePackStore(objects), new NodeCache(16 << 20), shape);
}

export async function packsIn(objects: ObjectStore): Promise<Hash[]> {
  const found: Hash[] = [];
  for await (const { key: name } of objects.list(TREES_PREFIX)) found.push(name.slice(9) as Hash);
  return found;
}

export async function walk(nodes: Nodes, root: NodeId): Promise<KeyedEntry[]> {
  const cursor = (await Tree.open(nodes, root)).cursor();
  const seen: KeyedEntry[] = [];
  for (let there = await cursor.seek(key('')); there; there = await cursor.next()) {
    seen.push({ key: cursor.key, entry: cursor.entry() });
  }
  return seen;
}

export async function verify(nodes: Nodes, root: NodeId): Promise<number> {
  let count = 0;
  for await (const node of verifyTree(nodes, root)) count += node.level >= 0 ? 1 : 0;
  return count;
}

export async function faultOf(work: () => unknown): Promise<TarnError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(TarnError);
    return error as TarnError;
  }
  throw new Error('it did not fail');
}

export const put = (path: string, seed: number): Edit => ({
  kind: 'put',
  key: key(path),
  entry: file(seed),
});

export async function corrupt(
  objects: ObjectStore,
  name: string,
  change: (bytes: Buffer) => Uint8Array,
): Promise<void> {
  await objects.put(name, change(Buffer.from(await objects.get(name))));
}

/** Few nodes in one pack. */
export async function sample(): Promise<{ objects: MemoryStore; id: NodeId; items: KeyedEntry[] }> {
  const objects = new MemoryStore();
  const items = filesNamed(9, 'labels/');
  const { id } = await buildTree(fresh(objects), [items]);
  return { objects, id, items };
}
