import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Address, Entry, Pin } from '../../src/model/entry.js';
import { contentIdOf } from '../../src/model/ids.js';
import { pinnedContentId } from '../../src/model/imported.js';
import type { Key } from '../../src/model/path.js';
import type { Edit } from '../../src/tree/edit.js';
import { buildTree, editTree } from '../../src/tree/write.js';
import { file, hashOf, key, MEDIUM, MemoryNodes, nodesOver, packOf, sorted } from './fixtures.js';

/** Files as a recorder writes them: neighbours have everything in common that a leaf makes use of. */
const anyFolder = fc
  .tuple(
    fc.integer({ min: 40, max: 400 }),
    fc.constantFrom('packed', 'mixed', 'pinned', 'imported', 'object'),
  )
  .map(([count, form]) => {
    const files = new Map<Key, Entry>();
    for (let i = 0; i < count; i++) files.set(nameOf(2 * i), recorded(i, form));
    return files;
  });

function nameOf(i: number): Key {
  return key(`raw/run-${Math.floor(i / 300)}/front/${String(i).padStart(6, '0')}.jpg`);
}

function recorded(i: number, form: string, disk = Math.floor(i / 60)): Entry {
  const common = { kind: 'file', size: 900, mtimeSec: 1_700_000_000, mtimeNsec: 0 } as const;
  const content = contentIdOf(900, hashOf(`frame ${i}`));
  if (form === 'packed' || form === 'mixed') {
    const pack =
      form === 'mixed' ? parseInt(hashOf(`${i}`).slice(0, 2), 16) % 7 : Math.floor(i / 25);
    const address: Address = { kind: 'packed', pack: packOf(`${pack}`), offset: (i % 25) * 900 };
    return { ...common, mode: 0o644, content, address };
  }
  const pin: Pin =
    form === 'object'
      ? { kind: 'object', etag: hashOf(`etag ${i}`), ...(i % 5 === 0 ? {} : { version: `v${i}` }) }
      : { kind: 'mtime', mtimeSec: 1_700_000_000, mtimeNsec: i % 3 };
  const url = `file:///disk-${disk}/${nameOf(2 * i)}`;
  const address: Address = { kind: 'imported', url, pin };
  const id = form !== 'imported' ? pinnedContentId(url, 900, pin) : content;
  return { ...common, mode: 0o600, content: id, address };
}

const anyEdit = fc.record({
  at: fc.nat(900),
  with: fc.constantFrom(
    'remove',
    'whole',
    'packed',
    'pinned',
    'object',
    'touched',
    'labelled',
    'disk',
  ),
  seed: fc.nat(3),
});

function editOf(old: ReadonlyMap<Key, Entry>, at: number, kind: string, seed: number): Edit {
  const k = nameOf(at);
  if (kind === 'remove') return { kind: 'remove', key: k };
  const before = old.get(k);
  if (kind === 'whole' || before === undefined) {
    return { kind: 'put', key: k, entry: file(seed, 900) };
  }
  if (kind === 'touched') return { kind: 'put', key: k, entry: { ...before, mtimeSec: seed } };
  if (kind === 'labelled') {
    return {
      kind: 'put',
      key: k,
      entry: { ...before, metadata: { note: 'x'.repeat(400 * seed) } },
    };
  }
  if (kind === 'disk') return { kind: 'put', key: k, entry: recorded(at / 2, 'pinned', 6 + seed) };
  return { kind: 'put', key: k, entry: recorded(25 * seed, kind) };
}

it('few changes among many files of one folder give the tree that is built of them', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyFolder,
      fc.uniqueArray(anyEdit, { maxLength: 6, selector: ({ at }) => at }),
      async (old, drawn) => {
        const edits = drawn
          .toSorted((a, b) => (nameOf(a.at) < nameOf(b.at) ? -1 : 1))
          .map(({ at, with: kind, seed }) => editOf(old, at, kind, seed));
        const after = new Map(old);
        for (const edit of edits) {
          if (edit.kind === 'put') after.set(edit.key, edit.entry);
          else if (edit.kind === 'remove') after.delete(edit.key);
        }
        const nodes = nodesOver(new MemoryNodes(), MEDIUM);
        const { id } = await buildTree(nodes, [sorted(old)]);
        const edited = await editTree(nodes, id, [edits]);
        const built = await buildTree(nodesOver(new MemoryNodes(), MEDIUM), [sorted(after)]);
        expect(edited).toEqual(built);
      },
    ),
    { numRuns: 400, seed: 8_421 },
  );
});
