import { beforeAll, describe, expect, it } from 'vitest';
import { TarnError } from '../../src/util/errors.js';
import type { NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { TREE_SHAPE } from '../../src/tree/boundary.js';
import { ByteWriter } from '../../src/tree/bytes.js';
import { decodeNode } from '../../src/tree/decode.js';
import { InnerEncoder, LeafEncoder } from '../../src/tree/encode.js';
import { NODE_BYTES_MAX } from '../../src/tree/format.js';
import type { TreeNode } from '../../src/tree/node.js';
import { Tree } from '../../src/tree/tree.js';
import { verifyNode, verifyTree } from '../../src/tree/verify.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { file, hashOf, key, MemoryNodes, nodesOver, SMALL } from './fixtures.js';
import { sampleItems } from './sample.js';

const idOf = (bytes: Uint8Array): NodeId => sha256(bytes) as NodeId;

function leafBytes(): Buffer {
  const encoder = new LeafEncoder();
  for (const { key: k, entry } of sampleItems()) encoder.append(k, entry);
  return encoder.finish().bytes;
}

function innerBytes(level = 1): Buffer {
  const encoder = new InnerEncoder(level);
  for (let i = 0; i < 40; i++) {
    const child = { id: hashOf(`node ${i}`) as NodeId, entries: 1 + i, bytes: i * 1000 };
    encoder.append(key(`run-${String(i).padStart(4, '0')}/x`), child);
  }
  return encoder.finish().bytes;
}

/** Reads all there is to read; what decodeNode accepted must not fail here. */
function readAll(node: TreeNode): void {
  for (let i = 0; i < node.count; i++) {
    const k = node.keyAt(i);
    expect(node.lowerBound(k)).toBe(i);
    node.valueAt(i);
  }
  expect(node.lowerBound('\xff'.repeat(1024) as Key)).toBe(node.count);
  node.bytesBefore(node.count);
}

/** Undefined when the bytes are refused as they must be. */
function accepted(bytes: Uint8Array): TreeNode | undefined {
  const id = idOf(bytes);
  try {
    return decodeNode(id, bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(TarnError);
    expect(['corrupt', 'unsupported']).toContain((error as TarnError).kind);
    expect((error as TarnError).message).toContain(id);
    return undefined;
  }
}

function sameItems(a: TreeNode, b: TreeNode): boolean {
  if (a.level !== b.level || a.count !== b.count) return false;
  for (let i = 0; i < a.count; i++) {
    if (a.keyAt(i) !== b.keyAt(i)) return false;
    if (JSON.stringify(a.valueAt(i)) !== JSON.stringify(b.valueAt(i))) return false;
  }
  return true;
}

describe.each([
  ['leaf', leafBytes()],
  ['inner node', innerBytes()],
])('a %s that someone altered', (_, original) => {
  const whole = decodeNode(idOf(original), original);

  it('is refused by name or means something else, whichever byte changed', () => {
    for (let at = 0; at < original.length; at++) {
      for (const mask of [0x01, 0x80, 0xff, 0x10]) {
        const bytes = Buffer.from(original);
        bytes[at] = (bytes[at] as number) ^ mask;
        const node = accepted(bytes);
        if (node === undefined) continue;
        readAll(node);
        verifyNode(node, true, TREE_SHAPE);
        expect(sameItems(node, whole)).toBe(false);
      }
    }
  });

  it('is refused when it is cut short anywhere, or goes on', () => {
    for (let length = 0; length < original.length; length++) {
      expect(accepted(original.subarray(0, length))).toBeUndefined();
    }
    expect(accepted(Buffer.concat([original, Buffer.from([0])]))).toBeUndefined();
  });

  it('is refused with a count or totals that are not its own', () => {
    for (const [offset, value] of [
      [10, 0xffff_ffff],
      [10, 0],
      [14, 1],
      [22, 1],
      [20, 0xff],
      [28, 0xff],
    ] as const) {
      const bytes = Buffer.from(original);
      if (offset === 10) bytes.writeUInt32LE(value, offset);
      else bytes[offset] = (bytes[offset] as number) ^ value;
      expect(accepted(bytes)).toBeUndefined();
    }
  });
});

describe('a node of a newer format', () => {
  it.each([
    ['version', 4, 3],
    ['flags', 38 + 32 + 5, 0x82],
  ])('says so by its %s', (_, offset, value) => {
    const encoder = new LeafEncoder();
    const [item] = sampleItems().filter(
      ({ entry }) => entry.kind === 'file' && entry.address.kind === 'packed',
    );
    if (item === undefined) throw new Error('no packed sample');
    encoder.append(key('a/b'), item.entry);
    const bytes = encoder.finish().bytes;
    bytes[offset] = value;
    expect(() => decodeNode(idOf(bytes), bytes)).toThrowError(
      expect.objectContaining({
        kind: 'unsupported',
        message: expect.stringContaining('written by a newer tarn') as string,
      }),
    );
  });
});

describe('a node that is not canonical', () => {
  /** An inner node whose items are written by hand. */
  function inner(items: (out: ByteWriter) => void, count: number, entries: number): Buffer {
    const out = new ByteWriter(NODE_BYTES_MAX * 2);
    out.u32(0x746e7274);
    out.u8(2);
    out.u8(1);
    out.u16(0);
    out.u16(0);
    out.u32(count);
    out.u53(entries);
    out.u53(0);
    items(out);
    return out.bytes.subarray(0, out.length);
  }
  function item(out: ByteWriter, shared: number, suffix: string, entries = 1): void {
    out.uvarint(shared);
    out.uvarint(suffix.length);
    for (const c of suffix) out.u8(c.charCodeAt(0));
    out.hash(hashOf(suffix));
    out.uvarint(entries);
    out.uvarint(0);
  }

  it.each<[string, Buffer]>([
    ['keys that fall', inner((o) => (item(o, 0, 'b'), item(o, 0, 'a')), 2, 2)],
    ['a key twice', inner((o) => (item(o, 0, 'b'), item(o, 1, '')), 2, 2)],
    ['less sharing than there is', inner((o) => (item(o, 0, 'ab'), item(o, 0, 'ac')), 2, 2)],
    ['more sharing than there is', inner((o) => (item(o, 0, 'ab'), item(o, 3, 'c')), 2, 2)],
    ['sharing in the first key', inner((o) => (item(o, 1, 'ab'), item(o, 0, 'c')), 2, 2)],
    ['an empty child', inner((o) => (item(o, 0, 'a', 0), item(o, 0, 'b')), 2, 1)],
    ['too long a key', inner((o) => (item(o, 0, 'a'.repeat(1025)), item(o, 0, 'b')), 2, 2)],
    ['no children', inner(() => undefined, 0, 0)],
    ['a sum over 2^53', inner((o) => (item(o, 0, 'a', 2 ** 53 - 1), item(o, 0, 'b')), 2, 1)],
    ['too many bytes', Buffer.concat([innerBytes(), Buffer.alloc(NODE_BYTES_MAX)])],
    ['a level out of bounds', innerBytes(61)],
  ])('is refused for %s', (_, bytes) => {
    expect(() => decodeNode(idOf(bytes), bytes)).toThrowError(
      expect.objectContaining({ kind: 'corrupt' }),
    );
  });

  it('is refused for a number in a longer form than need be', () => {
    const sound = inner((o) => (item(o, 0, 'a'), item(o, 0, 'b')), 2, 2);
    expect(accepted(sound)).toBeDefined();
    const longer = Buffer.concat([
      sound.subarray(0, 30),
      Buffer.from([0x80, 0x00]),
      sound.subarray(31),
    ]);
    expect(accepted(longer)).toBeUndefined();
  });
});

describe('a tree whose nodes do not belong together', () => {
  const store = new MemoryNodes();
  const items = Array.from({ length: 300 }, (_, i) => ({
    key: key(`run/${String(i).padStart(4, '0')}`),
    entry: file(i),
  }));
  let good: NodeId;

  beforeAll(async () => {
    good = (await buildTree(nodesOver(store, SMALL), [items])).id;
  });

  function plant(bytes: Buffer): NodeId {
    store.nodes.set(idOf(bytes), bytes);
    return idOf(bytes);
  }

  async function parentOf(change: (i: number, k: Key, n: number) => [Key, number, number]) {
    const root = await nodesOver(store, SMALL).load(good);
    if (root.kind === 'leaf') throw new Error('expected an inner root');
    const encoder = new InnerEncoder(root.level);
    for (let i = 0; i < root.count; i++) {
      const { id, entries, bytes } = root.valueAt(i);
      const [k, count, from] = change(i, root.keyAt(i), entries);
      encoder.append(k, { id: from === i ? id : root.idAt(from), entries: count, bytes });
    }
    return plant(encoder.finish().bytes);
  }

  async function visit(id: NodeId): Promise<void> {
    const tree = await Tree.open(nodesOver(store, SMALL), id);
    for (let i = 0; i < tree.totals().entries; i++) await tree.select(i);
  }

  it.each<[string, (i: number, k: Key, n: number) => [Key, number, number]]>([
    ['a count that is not the child’s', (i, k, n) => [k, i === 1 ? n + 1 : n, i]],
    ['a last key that is not the child’s', (i, k, n) => [i === 1 ? (`${k}x` as Key) : k, n, i]],
    ['another child’s node', (i, k, n) => [k, n, i === 1 ? 0 : i]],
  ])('is corrupt for %s, and names the parent', async (_, change) => {
    const id = await parentOf(change);
    await expect(visit(id)).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining(id) as string,
    });
  });

  it('is corrupt for a child of a wrong level', async () => {
    const root = await nodesOver(store, SMALL).load(good);
    const encoder = new InnerEncoder(root.level + 2);
    for (const name of [root.lastKey, `${root.lastKey}x` as Key]) {
      encoder.append(name, { id: good, entries: root.entries, bytes: root.totalBytes });
    }
    const id = plant(encoder.finish().bytes);
    await expect(visit(id)).rejects.toMatchObject({ kind: 'corrupt' });
  });

  it('is corrupt for bytes that hash to another name, and names the node asked for', async () => {
    const bytes = Buffer.from(store.nodes.get(good) as Uint8Array);
    bytes[30] = (bytes[30] as number) ^ 1;
    const bad = new MemoryNodes();
    bad.nodes.set(good, bytes);
    await expect(Promise.resolve(Tree.open(nodesOver(bad, SMALL), good))).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining(good) as string,
    });
  });

  async function verify(id: NodeId): Promise<number> {
    let nodes = 0;
    for await (const node of verifyTree(nodesOver(store, SMALL), id))
      nodes += node.count > 0 ? 1 : 0;
    return nodes;
  }

  it('passes verification as buildTree and editTree write it', async () => {
    const built = new MemoryNodes();
    await buildTree(nodesOver(built, SMALL), [items]);
    expect(await verify(good)).toBe(built.nodes.size);
    const nodes = nodesOver(store, SMALL);
    const edited = await editTree(nodes, good, [[{ kind: 'remove', key: key('run/0100') }]]);
    expect(await verify(edited.id)).toBeGreaterThan(20);
  });

  it('fails verification for a boundary that is missing or misplaced', async () => {
    const whole = new LeafEncoder();
    for (const { key: k, entry } of items) whole.append(k, entry);
    await expect(verify(plant(whole.finish().bytes))).rejects.toMatchObject({ kind: 'corrupt' });

    const root = new InnerEncoder(1);
    for (const part of [items.slice(0, 1), items.slice(1, 3)]) {
      const leaf = new LeafEncoder();
      for (const { key: k, entry } of part) leaf.append(k, entry);
      const { bytes, lastKey, entries, totalBytes } = leaf.finish();
      root.append(lastKey, { id: plant(bytes), entries, bytes: totalBytes });
    }
    const misplaced = plant(root.finish().bytes);
    await visit(misplaced);
    await expect(verify(misplaced)).rejects.toMatchObject({ kind: 'corrupt' });
  });

  it('fails verification for a root with a single child', async () => {
    const root = await nodesOver(store, SMALL).load(good);
    const encoder = new InnerEncoder(root.level + 1);
    encoder.append(root.lastKey, { id: good, entries: root.entries, bytes: root.totalBytes });
    await expect(verify(plant(encoder.finish().bytes))).rejects.toMatchObject({ kind: 'corrupt' });
  });
});
