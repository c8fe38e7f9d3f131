import { beforeAll, describe, expect, it } from 'vitest';
import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import { EXTENTS_MAX } from '../../src/model/entry.js';
import type { ContentId, NodeId, PackId } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { spanOfPrefix, WHOLE_SPAN } from '../../src/model/span.js';
import { TREE_SHAPE } from '../../src/tree/boundary.js';
import { NODE_BYTES_MAX } from '../../src/tree/format.js';
import { Tree } from '../../src/tree/tree.js';
import type { Edit } from '../../src/tree/edit.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { file, hashOf, key, MemoryNodes, nodesOver, packOf, SMALL } from './fixtures.js';

const FOLDERS = 200;
const FILES = 500;

function pathOf(folder: number, index: number): Key {
  const run = String(folder).padStart(4, '0');
  return key(`raw/run-${run}/camera/frame-${String(index).padStart(6, '0')}.jpg`);
}

/** 100,000 files. */
function* drive(skip?: (folder: number, index: number) => boolean): Generator<KeyedEntry[]> {
  for (let folder = 0; folder < FOLDERS; folder++) {
    const batch: KeyedEntry[] = [];
    for (let i = 0; i < FILES; i++) {
      if (skip?.(folder, i) !== true) {
        batch.push({ key: pathOf(folder, i), entry: file(folder * FILES + i) });
      }
    }
    yield batch;
  }
}

describe('editing a tree of 100,000 entries', () => {
  const store = new MemoryNodes();
  let root: NodeId;
  let nodesInTree = 0;

  beforeAll(async () => {
    root = (await buildTree(nodesOver(store), drive())).id;
    nodesInTree = store.nodes.size;
  });

  async function edit(...edits: Edit[]): Promise<{ id: NodeId; saved: number; loaded: number }> {
    store.forgetCounts();
    const { id } = await editTree(nodesOver(store), root, [edits]);
    return { id, saved: store.saved.length, loaded: new Set(store.loaded).size };
  }

  it('keeps nodes within the bounds of their weight', () => {
    expect(nodesInTree).toBeGreaterThan(100);
    for (const bytes of store.nodes.values()) {
      expect(bytes.length).toBeLessThan(TREE_SHAPE.weightMax + 4096);
    }
  });

  it('saves a path of nodes for one changed entry, and loads no more', async () => {
    const depth = (await Tree.open(nodesOver(store), root)).depth;
    let saved = 0;
    for (let i = 0; i < 40; i++) {
      const at = pathOf((i * 37) % FOLDERS, (i * 101) % FILES);
      const result = await edit({ kind: 'put', key: at, entry: file(1_000_000 + i) });
      expect(result.loaded).toBeLessThanOrEqual(depth + 4);
      saved += result.saved;
    }
    expect(saved / 40).toBeLessThanOrEqual(depth + 1);
  });

  it('saves few nodes for an entry that is added or removed', async () => {
    let saved = 0;
    for (let i = 0; i < 40; i++) {
      const at = pathOf((i * 53) % FOLDERS, (i * 211) % FILES);
      saved += (await edit({ kind: 'remove', key: at })).saved;
      saved += (await edit({ kind: 'put', key: `${at}x` as Key, entry: file(i) })).saved;
    }
    expect(saved / 80).toBeLessThanOrEqual(4);
  });

  it('saves nothing when nothing changes', async () => {
    const same = pathOf(77, 77);
    const result = await edit(
      { kind: 'remove', key: key('no/such') },
      { kind: 'put', key: same, entry: file(77 * FILES + 77) },
      { kind: 'replace', span: spanOfPrefix(key('zz')) },
    );
    expect(result).toMatchObject({ id: root, saved: 0 });
    expect(await edit()).toMatchObject({ id: root, saved: 0 });
  });

  it('removes a folder of 50,000 files without loading its leaves', async () => {
    const result = await edit({
      kind: 'replace',
      span: spanOfPrefix(key('raw/run-00')),
    });
    const built = await buildTree(
      nodesOver(new MemoryNodes()),
      drive((folder) => folder < 100),
    );
    expect(result.id).toBe(built.id);
    expect(result.loaded).toBeLessThan(12);
    expect(result.saved).toBeLessThan(8);
  });

  it('replaces a folder in one pass', async () => {
    const prefix = key('raw/run-0042/');
    const fresh = key('raw/run-0042/camera/frame-000007.jpg');
    const result = await edit(
      { kind: 'replace', span: spanOfPrefix(prefix) },
      { kind: 'put', key: prefix, entry: file(0, 0) },
      { kind: 'put', key: fresh, entry: file(9) },
    );
    const tree = await Tree.open(nodesOver(store), result.id);
    expect(await tree.totalsOf(prefix)).toEqual({ entries: 2, bytes: 10 });
    expect(tree.totals().entries).toBe(FOLDERS * FILES - FILES + 2);
  });

  it('takes a folder of 50,000 files out of another tree without loading its leaves', async () => {
    const less = await edit({ kind: 'replace', span: spanOfPrefix(key('raw/run-00')) });
    const graft = { tree: root, source: key(''), target: key('') };
    const span = spanOfPrefix(key('raw/run-00'));
    store.forgetCounts();
    const back = await editTree(nodesOver(store), less.id, [
      [{ kind: 'replace', span, with: graft }],
    ]);
    expect(back.id).toBe(root);
    expect(new Set(store.loaded).size).toBeLessThan(24);
    expect(store.saved.length).toBeLessThan(12);
  });

  it('copies a folder to another name', async () => {
    const [source, target] = [key('raw/run-0042/'), key('raw/run-0777/')];
    const result = await edit({
      kind: 'replace',
      span: spanOfPrefix(target),
      with: { tree: root, source, target },
    });
    const tree = await Tree.open(nodesOver(store), result.id);
    expect(await tree.totalsOf(target)).toEqual(await tree.totalsOf(source));
    expect(await tree.get(key('raw/run-0777/camera/frame-000007.jpg'))).toEqual(
      await tree.get(key('raw/run-0042/camera/frame-000007.jpg')),
    );
  });

  it('removes all there is', async () => {
    const result = await edit({ kind: 'replace', span: WHOLE_SPAN });
    expect(result.id).toBe((await buildTree(nodesOver(new MemoryNodes()), [])).id);
    expect(result.loaded).toBeLessThan(5);
  });

  it('applies edits from an asynchronous source in batches', async () => {
    async function* edits(): AsyncGenerator<Edit[]> {
      for (let folder = 0; folder < FOLDERS; folder++) {
        yield [{ kind: 'remove', key: pathOf(folder, 3) }];
      }
    }
    const { id } = await editTree(nodesOver(store), root, edits());
    const built = await buildTree(
      nodesOver(new MemoryNodes()),
      drive((_, index) => index === 3),
    );
    expect(id).toBe(built.id);
  });
});

describe('writing a tree', () => {
  const items = Array.from({ length: 2000 }, (_, i) => ({
    key: key(`run/${String(i).padStart(6, '0')}`),
    entry: file(i),
  }));

  it('has ended its batch when it resolves', async () => {
    const store = new MemoryNodes();
    const { id } = await buildTree(nodesOver(store, SMALL), [items]);
    expect(store.saving).toBe(0);
    const tree = await Tree.open(nodesOver(store, SMALL), id);
    expect(tree.totals().entries).toBe(2000);
  });

  it('waits for a store that has enough to do', async () => {
    const store = new MemoryNodes();
    const made = store.batch();
    let added = 0;
    let waited = 0;
    store.batch = () => ({
      ...made,
      get full() {
        return added >= 5;
      },
      add: (id, bytes, children) => {
        added++;
        expect(added).toBeLessThan(5 + 60);
        return made.add(id, bytes, children);
      },
      room: async () => {
        added = 0;
        waited++;
      },
    });
    await buildTree(nodesOver(store, SMALL), [items]);
    expect(waited).toBeGreaterThan(store.saved.length / 10);
  });

  it('fails as the store failed, and gives up its batch', async () => {
    const store = new MemoryNodes();
    const save = store.save.bind(store);
    let calls = 0;
    store.save = (id, bytes) => {
      if (++calls === 30) throw new Error('disk is gone');
      save(id, bytes);
    };
    await expect(buildTree(nodesOver(store, SMALL), [items])).rejects.toThrow('disk is gone');
    expect(store.saving).toBe(0);
    expect(calls).toBe(30);
  });

  it('stops when it is aborted', async () => {
    const abort = new AbortController();
    const store = new MemoryNodes();
    function* batches(): Generator<KeyedEntry[]> {
      yield items.slice(0, 1000);
      abort.abort();
      yield items.slice(1000, 1001);
      throw new Error('went on');
    }
    const built = buildTree(nodesOver(store, SMALL), batches(), abort.signal);
    await expect(built).rejects.toMatchObject({ kind: 'aborted' });
    expect(store.saving).toBe(0);
  });

  it('takes entries as large as they may be', async () => {
    const wide = Array.from({ length: 40 }, (_, i): KeyedEntry => {
      const extents = Array.from({ length: EXTENTS_MAX }, (_, j) => ({
        source: { kind: 'pack' as const, pack: packOf(`${i} ${j}`) },
        offset: 2 ** 52 + j,
        length: 1,
      }));
      const name = 'n'.repeat(8000);
      return {
        key: key(`${'k'.repeat(1000)}/${String(i).padStart(3, '0')}`),
        entry: {
          ...(file(i, EXTENTS_MAX) as Entry & { kind: 'file' }),
          address: { kind: 'extents', extents },
          metadata: { [name]: 'v' },
        },
      };
    });
    const store = new MemoryNodes();
    const { id } = await buildTree(nodesOver(store), [wide]);
    const tree = await Tree.open(nodesOver(store), id);
    for (const [i, item] of wide.entries()) expect(await tree.select(i)).toEqual(item);
    for (const bytes of store.nodes.values()) {
      expect(bytes.length).toBeLessThan(NODE_BYTES_MAX / 2);
    }
  });
});

describe('what a tree refuses', () => {
  async function build(...items: [string, Entry][]): Promise<unknown> {
    const keyed = items.map(([k, entry]) => ({ key: key(k), entry }));
    return buildTree(nodesOver(new MemoryNodes(), SMALL), [keyed]);
  }
  const good = file(5, 100) as Entry & { kind: 'file' };

  it.each<[string, Entry, RegExp]>([
    ['a negative size', { ...good, size: -1 }, /size -1/],
    ['a size that is no whole number', { ...good, size: 1.5 }, /size 1.5/],
    ['a mode beyond the bits', { ...good, mode: 0o10000 }, /mode/],
    ['too many nanoseconds', { ...good, mtimeNsec: 1e9 }, /nanoseconds/],
    ['a time out of bounds', { ...good, mtimeSec: 2 ** 51 }, /modification time/],
    ['bytes without an address', { ...good, address: { kind: 'none' } }, /'none'/],
    ['an address without bytes', { ...good, size: 0 }, /0 bytes/],
    ['a content id of the wrong kind', { ...good, size: 2 ** 21 }, /cannot name/],
    ['a content id that is no hash', { ...good, content: 'sha256:zz' as ContentId }, /hex/],
    [
      'a pack that is no hash',
      { ...good, address: { kind: 'packed', pack: 'p' as PackId, offset: 0 } },
      /pack/,
    ],
    [
      'a negative offset',
      { ...good, address: { kind: 'packed', pack: packOf('A'), offset: -1 } },
      /-1 of a pack/,
    ],
    ['no extents', { ...good, address: { kind: 'extents', extents: [] } }, /0 extents/],
    [
      'extents that do not add up',
      {
        ...good,
        address: {
          kind: 'extents',
          extents: [{ source: { kind: 'pack', pack: packOf('A') }, offset: 0, length: 99 }],
        },
      },
      /extents hold 99/,
    ],
    ['too much metadata', { ...good, metadata: { a: 'x'.repeat(16_384) } }, /metadata/],
    ['metadata without a name', { ...good, metadata: { '': 'x' } }, /without a name/],
    ['half a surrogate pair', { ...good, etag: '\ud800' }, /Unicode/],
    ['a long content type', { ...good, contentType: 'x'.repeat(1025) }, /content type/],
    [
      'a symlink to nowhere',
      { kind: 'symlink', mtimeSec: 0, mtimeNsec: 0, mode: 0o777, target: '' },
      /without a target/,
    ],
  ])('%s', async (_, entry, message) => {
    const refused = build(['raw/run-8421.mcap', entry]);
    await expect(refused).rejects.toMatchObject({ kind: 'invalid' });
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toThrow('raw/run-8421.mcap');
  });

  it.each<[string, [string, Entry][]]>([
    ['an empty path', [['', good]]],
    ['a path of 1,025 bytes', [['x'.repeat(1025), good]]],
    ['a path that is not bytes', [['\u0101', good]]],
    [
      'a path twice',
      [
        ['a', good],
        ['a', good],
      ],
    ],
    [
      'paths that fall',
      [
        ['b', good],
        ['a', good],
      ],
    ],
    [
      'a path behind one that it begins',
      [
        ['ab', good],
        ['a', good],
      ],
    ],
  ])('%s', async (_, items) => {
    await expect(build(...items)).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('paths that fall across a boundary of nodes', async () => {
    const many = Array.from({ length: 50 }, (_, i) => [`a${100 + i}`, good] as [string, Entry]);
    for (const at of [10, 20, 30, 40]) {
      const swapped = [...many];
      swapped[at] = ['a', good];
      await expect(build(...swapped)).rejects.toMatchObject({ kind: 'invalid' });
    }
  });

  it('a tree of more than 2^53 - 1 bytes', async () => {
    const huge = { ...good, size: 2 ** 52, content: `merkle:${hashOf('x')}` as ContentId };
    const items = ['a', 'b', 'c'].map((k) => [k, huge] as [string, Entry]);
    await expect(build(...items)).rejects.toMatchObject({ kind: 'too-large' });
  });

  it.each<[string, Edit[]]>([
    [
      'falling keys',
      [
        { kind: 'remove', key: key('b') },
        { kind: 'remove', key: key('a') },
      ],
    ],
    [
      'a key twice',
      [
        { kind: 'remove', key: key('b') },
        { kind: 'put', key: key('b'), entry: good },
      ],
    ],
    [
      'a span behind its first key',
      [
        { kind: 'remove', key: key('b') },
        { kind: 'replace', span: spanOfPrefix(key('b')) },
      ],
    ],
    [
      'a span twice',
      [
        { kind: 'replace', span: spanOfPrefix(key('b')) },
        { kind: 'replace', span: spanOfPrefix(key('b')) },
      ],
    ],
    [
      'spans that overlap',
      [
        { kind: 'replace', span: { from: key('a'), to: key('c') } },
        { kind: 'put', key: key('b'), entry: good },
        { kind: 'replace', span: { from: key('bb'), to: undefined } },
      ],
    ],
    [
      'a span behind the last',
      [
        { kind: 'replace', span: { from: key('a'), to: undefined } },
        { kind: 'replace', span: { from: key('b'), to: undefined } },
      ],
    ],
  ])('edits out of order: %s', async (_, edits) => {
    const nodes = nodesOver(new MemoryNodes(), SMALL);
    const { id } = await buildTree(nodes, []);
    await expect(editTree(nodes, id, [edits])).rejects.toMatchObject({ kind: 'invalid' });
  });
});
