import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Key } from '../../src/model/path.js';
import type { FrozenView } from '../../src/repo/view.js';
import { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import type { Attributes, Inode } from '../../src/vfs/filesystem.js';
import { listUnmountable } from '../../src/vfs/names.js';
import { filesystemOf, list, NEVER, ROOT } from './helpers.js';
import { MemoryView, type MemoryFile } from './memory-view.mjs';
import { TreeView } from './tree-view.js';

/** A directory as the rules of SEMANTICS.md describe it, built without any order or seeking. */
interface ModelDirectory {
  readonly directories: Map<string, ModelDirectory>;
  readonly files: Map<string, MemoryFile>;
  marker: MemoryFile | undefined;
}

const emptyDirectory = (): ModelDirectory => ({
  directories: new Map(),
  files: new Map(),
  marker: undefined,
});

function canBeNamed(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !name.includes('\0');
}

/** The tree that a mount must show, and the keys that it must not. */
function modelOf(files: readonly MemoryFile[]): { root: ModelDirectory; hidden: Set<string> } {
  const root = emptyDirectory();
  const hidden = new Set<string>();
  for (const file of files) {
    const key = file.key ?? '';
    const components = key.split('/');
    const name = components.pop() ?? '';
    let at: ModelDirectory | undefined = root;
    for (const component of components) {
      if (!canBeNamed(component)) {
        at = undefined;
        break;
      }
      const next: ModelDirectory = at.directories.get(component) ?? emptyDirectory();
      at.directories.set(component, next);
      at = next;
    }
    if (at === undefined) hidden.add(key);
    else if (name === '' && components.length > 0) {
      if (file.symlink === undefined) at.marker = file;
      if (file.symlink !== undefined || (file.bytes ?? '') !== '') hidden.add(key);
    } else if (canBeNamed(name)) at.files.set(name, file);
    else hidden.add(key);
  }
  renameClashes(root, hidden);
  return { root, hidden };
}

function renameClashes(directory: ModelDirectory, hidden: Set<string>): void {
  const real = new Set([...directory.files.keys(), ...directory.directories.keys()]);
  for (const [name, file] of [...directory.files]) {
    if (!directory.directories.has(name)) continue;
    directory.files.delete(name);
    const others = ['', 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `${name}~file${n}`);
    const alias = others.find((other) => !real.has(other));
    if (alias !== undefined && alias.length <= 255) directory.files.set(alias, file);
    else hidden.add(file.key ?? '');
  }
  for (const child of directory.directories.values()) renameClashes(child, hidden);
}

interface Seen {
  readonly kind: string;
  readonly mode: number;
  readonly size: number;
  readonly mtimeMs: number;
}

function expected(root: ModelDirectory, dateMs: number): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const visit = (directory: ModelDirectory, path: string): void => {
    for (const [name, child] of directory.directories) {
      const { mode = child.marker ? 0o644 : 0o755, mtimeMs = dateMs } = child.marker ?? {};
      seen.set(`${path}/${name}`, { kind: 'directory', mode, size: 0, mtimeMs });
      visit(child, `${path}/${name}`);
    }
    for (const [name, file] of directory.files) {
      const { symlink, bytes = '', mode = 0o644, mtimeMs = 0 } = file;
      const kind = symlink === undefined ? 'file' : 'symlink';
      const size = Buffer.byteLength(symlink ?? bytes);
      seen.set(`${path}/${name}`, {
        kind,
        mode: symlink === undefined ? mode : 0o777,
        size,
        mtimeMs,
      });
    }
  };
  visit(root, '');
  return seen;
}

/** Walks everything, and checks on the way that every door to an inode tells the same. */
async function walk(fs: FrozenFilesystem): Promise<Map<string, Seen>> {
  const seen = new Map<string, Seen>();
  const inodes = new Set<Inode>();
  const visit = async (inode: Inode, parent: Inode, path: string): Promise<void> => {
    const listed = await list(fs, inode);
    expect(listed.slice(0, 2).map((l) => [l.name, l.attributes.inode])).toEqual([
      ['.', inode],
      ['..', parent],
    ]);
    await checkResuming(
      fs,
      inode,
      listed.map((l) => l.next),
    );
    for (const { name, attributes } of listed.slice(2)) {
      expect(inodes).not.toContain(attributes.inode);
      inodes.add(attributes.inode);
      expect(attributes.inode).toBeLessThan(2 ** 52);
      expect(await fs.lookup(inode, name as Key, NEVER)).toEqual(attributes);
      expect(await fs.getattr(attributes.inode, NEVER)).toEqual(attributes);
      expect(seen.has(`${path}/${name}`)).toBe(false);
      seen.set(`${path}/${name}`, seenOf(attributes));
      if (attributes.kind === 'directory') await visit(attributes.inode, inode, `${path}/${name}`);
    }
  };
  await visit(ROOT, ROOT, '');
  return seen;
}

async function checkResuming(fs: FrozenFilesystem, inode: Inode, nexts: number[]): Promise<void> {
  for (const [i, offset] of nexts.entries()) {
    const rest = await list(fs, inode, { offset, room: 2 });
    expect(rest.map((l) => l.next)).toEqual(nexts.slice(i + 1));
  }
}

function seenOf(attributes: Attributes): Seen {
  const { kind, mode, size, mtimeSec, mtimeNsec } = attributes;
  return { kind, mode, size, mtimeMs: mtimeSec * 1000 + mtimeNsec / 1e6 };
}

const component = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'a!', 'a-', 'a.', 'a0', 'ab', 'é', '~') },
  {
    weight: 4,
    arbitrary: fc.constantFrom('a~file', 'a~file2', 'a~file9', 'b~file', '~file', '~file3'),
  },
  { weight: 2, arbitrary: fc.constantFrom('', '.', '..', 'a\0', '...', '\xff', '\x01') },
  { weight: 1, arbitrary: fc.constantFrom(251, 255, 256).map((n) => 'l'.repeat(n)) },
);
const key = fc
  .tuple(fc.array(component, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([parts, marker]) => parts.join('/') + (marker ? '/' : ''))
  .filter((k) => k !== '' && k.length <= 1024);
const file = fc.record(
  {
    key,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    mtimeMs: fc.integer({ min: -1e12, max: 4e12 }),
    bytes: fc.constantFrom('', '', 'x', 'hello'),
    symlink: fc.constantFrom('elsewhere', '../a'),
  },
  { requiredKeys: ['key', 'mode', 'mtimeMs'] },
);
const commit = fc.uniqueArray(file, { selector: (f) => f.key, maxLength: 30 });

describe('FrozenFilesystem against a model', () => {
  const views: readonly [string, (files: readonly MemoryFile[]) => Promise<FrozenView>][] = [
    ['at hand', async (files) => new MemoryView(files)],
    ['as promises', async (files) => new MemoryView(files, { slow: true })],
    ['in a tree', (files) => TreeView.over(new MemoryView(files))],
  ];
  it.each(views)('shows any set of keys as the rules say: entries %s', async (_, viewOf) => {
    const property = fc.asyncProperty(commit, async (files) => {
      const view = await viewOf(files);
      const { root, hidden } = modelOf(files);
      const shown = await walk(new FrozenFilesystem(view));
      expect(shown).toEqual(expected(root, view.source.commit.dateMs));
      const reported: string[] = [];
      for await (const { key } of listUnmountable(view)) reported.push(key);
      expect(new Set(reported)).toEqual(hidden);
      expect(reported.length).toBe(hidden.size);
    });
    await fc.assert(property, { numRuns: 300, seed: 20250614 });
  });

  it('answers ESTALE, never a wrong node, for numbers that no listing gave', async () => {
    const property = fc.asyncProperty(
      commit,
      fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 40 }))),
      async (files, guesses) => {
        const { filesystem } = filesystemOf(files);
        const known = new Map<Inode, Attributes>();
        const visit = async (inode: Inode): Promise<void> => {
          for (const { attributes } of (await list(filesystem, inode)).slice(2)) {
            known.set(attributes.inode, attributes);
            if (attributes.kind === 'directory') await visit(attributes.inode);
          }
        };
        const fresh = filesystemOf(files).filesystem;
        await visit(ROOT);
        for (const [depth, ordinal] of guesses) {
          const inode = depth * 2 ** 42 + ordinal;
          if (inode === ROOT) continue;
          const answer = await fresh.getattr(inode, NEVER);
          const shownElsewhere = typeof answer !== 'string' && answer.kind !== 'directory';
          if (!shownElsewhere) expect(answer).toEqual(known.get(inode) ?? 'ESTALE');
        }
      },
    );
    await fc.assert(property, { numRuns: 200, seed: 8421 });
  });
});
