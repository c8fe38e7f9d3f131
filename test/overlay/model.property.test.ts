import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromText } from '../../src/model/path.js';
import type { Errno, Inode } from '../../src/vfs/filesystem.js';
import type { RenameHow } from '../../src/vfs/writable.js';
import type { MemoryFile } from '../vfs/memory-view.mjs';
import { Mounted, NEVER, OWNER, ROOT } from './mount-model.js';

/** A naive file system: what the mount must be like after each call. */
interface Item {
  readonly kind: 'file' | 'directory' | 'symlink';
  mode: number;
  bytes: string;
  readonly target: string;
  readonly names: Map<string, Item>;
  links: number;
  inode: Inode | undefined;
}

function item(kind: Item['kind'], mode: number, text = ''): Item {
  const target = kind === 'symlink' ? text : '';
  const bytes = kind === 'file' ? text : '';
  return { kind, mode, bytes, target, names: new Map(), links: 1, inode: undefined };
}

const NAMES = ['labels', 'raw', 'a', 'b'];
const BASE: readonly MemoryFile[] = [
  { path: 'a', bytes: 'alpha' },
  { path: 'labels/a', bytes: 'label a', mode: 0o600 },
  { path: 'labels/raw/b', bytes: 'deep' },
  { path: 'raw/labels/a/b', bytes: 'deeper' },
  { path: 'raw/b', symlink: 'nowhere' },
];

const place = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 });
const text = fc.string({ maxLength: 5 });
const call = fc.oneof(
  fc.record({ do: fc.constant('create' as const), at: place, text }),
  fc.record({ do: fc.constant('write' as const), at: place, offset: fc.nat(8), text }),
  fc.record({ do: fc.constant('mkdir' as const), at: place }),
  fc.record({
    do: fc.constant('symlink' as const),
    at: place,
    target: fc.string({ minLength: 1 }),
  }),
  fc.record({ do: fc.constant('link' as const), at: place, to: place }),
  fc.record({ do: fc.constant('unlink' as const), at: place }),
  fc.record({ do: fc.constant('rmdir' as const), at: place }),
  fc.record({
    do: fc.constant('rename' as const),
    at: place,
    to: place,
    how: fc.constantFrom<RenameHow>('replace', 'replace', 'no-replace', 'exchange'),
  }),
  fc.record({ do: fc.constant('chmod' as const), at: place, mode: fc.nat(0o777) }),
  fc.record({ do: fc.constant('truncate' as const), at: place, size: fc.nat(9) }),
  fc.record({ do: fc.constant('reopen' as const) }),
  fc.record({ do: fc.constant('snapshot' as const) }),
  fc.record({ do: fc.constant('stage' as const) }),
);
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;
type Paths = readonly string[];

class Model {
  readonly root = item('directory', 0o755);

  constructor(files: readonly MemoryFile[]) {
    for (const { path = '', bytes = '', symlink, mode } of files) {
      const names = path.split('/');
      let at = this.root;
      for (const name of names.slice(0, -1)) {
        const next = at.names.get(name) ?? item('directory', 0o755);
        at.names.set(name, next);
        at = next;
      }
      const leaf =
        symlink === undefined
          ? item('file', mode ?? 0o644, String(bytes))
          : item('symlink', mode ?? 0o777, symlink);
      at.names.set(names.at(-1) as string, leaf);
    }
  }

  find(path: Paths): Item | Errno {
    let at = this.root;
    for (const name of path) {
      if (at.kind !== 'directory') return 'ENOTDIR';
      const next = at.names.get(name);
      if (next === undefined) return 'ENOENT';
      at = next;
    }
    return at;
  }

  /** The directory of a path; an errno when there is none. */
  parent(path: Paths): Item | Errno {
    const found = this.find(path.slice(0, -1));
    return typeof found === 'string' || found.kind === 'directory' ? found : 'ENOTDIR';
  }

  put(path: Paths, made: Item): Errno | undefined {
    const parent = this.parent(path);
    if (typeof parent === 'string') return parent;
    const name = path.at(-1) as string;
    if (parent.names.has(name)) return 'EEXIST';
    parent.names.set(name, made);
    return undefined;
  }

  link(at: Paths, to: Paths): Errno | undefined {
    const found = this.find(at);
    if (typeof found === 'string') return found;
    const parent = this.parent(to);
    if (typeof parent === 'string') return parent;
    if (found.kind === 'directory') return 'EPERM';
    const refused = this.put(to, found);
    if (refused === undefined) found.links += 1;
    return refused;
  }

  remove(path: Paths, isDirectory: boolean): Errno | undefined {
    const parent = this.parent(path);
    if (typeof parent === 'string') return parent;
    const found = this.find(path);
    if (typeof found === 'string') return found;
    if (isDirectory && found.kind !== 'directory') return 'ENOTDIR';
    if (!isDirectory && found.kind === 'directory') return 'EISDIR';
    if (isDirectory && found.names.size > 0) return 'ENOTEMPTY';
    parent.names.delete(path.at(-1) as string);
    found.links -= 1;
    return undefined;
  }

  rename(at: Paths, to: Paths, how: RenameHow): Errno | undefined {
    const from = this.parent(at);
    if (typeof from === 'string') return from;
    const into = this.parent(to);
    if (typeof into === 'string') return into;
    const source = this.find(at);
    if (typeof source === 'string') return source;
    const name = to.at(-1) as string;
    const target = into.names.get(name);
    if (how === 'exchange' && target === undefined) return 'ENOENT';
    if (how === 'no-replace' && target !== undefined) return 'EEXIST';
    if (contains(source, into)) return 'EINVAL';
    if (how === 'exchange' && target !== undefined) {
      if (contains(target, from)) return 'EINVAL';
      from.names.set(at.at(-1) as string, target);
      into.names.set(name, source);
      return undefined;
    }
    if (target !== undefined && target !== source) {
      if (source.kind === 'directory' && target.kind !== 'directory') return 'ENOTDIR';
      if (source.kind !== 'directory' && target.kind === 'directory') return 'EISDIR';
      if (target.names.size > 0) return 'ENOTEMPTY';
    }
    if (source === target) return undefined;
    if (target !== undefined) target.links -= 1;
    from.names.delete(at.at(-1) as string);
    into.names.set(name, source);
    return undefined;
  }

  /** As a tree has it; markers for all directories. */
  *files(at = this.root, prefix = ''): Generator<MemoryFile> {
    for (const [name, { kind, mode, bytes, target, names }] of at.names) {
      const path = `${prefix}${name}`;
      if (kind === 'file') yield { path, bytes, mode };
      else if (kind === 'symlink') yield { path, symlink: target, mode };
      else {
        yield { path: `${path}/`, mode };
        yield* this.files(at.names.get(name), `${path}/`);
      }
      void names;
    }
  }
}

function contains(above: Item, sought: Item): boolean {
  return above === sought || [...above.names.values()].some((below) => contains(below, sought));
}

async function agree(
  mounted: Mounted,
  at: Item,
  inode: Inode,
  seen: Map<Inode, Item>,
): Promise<void> {
  const listed = await mounted.list(inode);
  expect([...listed.keys()].sort()).toEqual([...at.names.keys()].sort());
  for (const [name, expected] of at.names) {
    const found = listed.get(name);
    if (found === undefined) throw new Error('not listed');
    const looked = await mounted.fs.lookup(inode, keyFromText(name), NEVER);
    expect(looked).toEqual(found);
    expect({ kind: found.kind, mode: found.mode }).toEqual({
      kind: expected.kind,
      mode: expected.mode,
    });
    expect(found.inode).toBe(expected.inode ?? found.inode);
    expected.inode = found.inode;
    expect(seen.get(found.inode) ?? expected).toBe(expected);
    seen.set(found.inode, expected);
    if (expected.kind === 'directory') await agree(mounted, expected, found.inode, seen);
    else expect(found.nlink).toBe(expected.links);
    if (expected.kind === 'symlink') {
      expect(await mounted.fs.readlink(found.inode, NEVER)).toEqual({
        target: keyFromText(expected.target),
      });
    }
    if (expected.kind === 'file') {
      expect(found.size).toBe(Buffer.byteLength(expected.bytes));
      expect(await mounted.bytes(found.inode)).toBe(expected.bytes);
    }
    mounted.fs.forget(found.inode, 1);
  }
}

/** Runs one call on both; gives the errnos. */
async function both(mounted: Mounted, model: Model, step: Call): Promise<[unknown, unknown]> {
  if (step.do === 'reopen' || step.do === 'snapshot' || step.do === 'stage') return [0, 0];
  const { fs } = mounted;
  const { at } = step;
  const parent = model.parent(at);
  const name = keyFromText(at.at(-1) as string);
  if (typeof parent === 'string') return [0, 0];
  const above = await mounted.inode(at.slice(0, -1).join('/'));
  const errno = (value: unknown): unknown => (typeof value === 'string' ? value : undefined);
  const found = model.find(at);
  const there = typeof found === 'string' ? undefined : found;
  const inode = there === undefined ? 0 : await mounted.inode(at.join('/'));
  switch (step.do) {
    case 'create': {
      const made = await mounted.create(above, String(name), step.text);
      return [errno(made), model.put(at, item('file', OWNER.mode, step.text))];
    }
    case 'mkdir':
      return [
        errno(await fs.makeDirectory(above, name, { ...OWNER, mode: 0o750 }, NEVER)),
        model.put(at, item('directory', 0o750)),
      ];
    case 'symlink':
      return [
        errno(await fs.symlink(above, name, keyFromText(step.target), OWNER, NEVER)),
        model.put(at, item('symlink', 0o777, step.target)),
      ];
    case 'write': {
      if (there?.kind !== 'file') return [0, 0];
      const bytes = Buffer.from(step.text);
      const before = Buffer.from(there.bytes);
      const size = bytes.length === 0 ? before.length : step.offset + bytes.length;
      const after = Buffer.alloc(Math.max(before.length, size));
      before.copy(after);
      bytes.copy(after, step.offset);
      there.bytes = after.toString();
      if (!Buffer.from(there.bytes).equals(after)) {
        there.bytes = before.toString();
        return [0, 0];
      }
      await mounted.write(inode, step.offset, step.text);
      return [0, 0];
    }
    case 'truncate': {
      if (there?.kind !== 'file') return [0, 0];
      const after = Buffer.alloc(step.size);
      Buffer.from(there.bytes).copy(after);
      if (!Buffer.from(after.toString()).equals(after)) return [0, 0];
      there.bytes = after.toString();
      return [errno(await fs.setattr(inode, { size: step.size }, NEVER)), undefined];
    }
    case 'chmod':
      if (there === undefined || there.kind === 'symlink') return [0, 0];
      there.mode = step.mode;
      return [errno(await fs.setattr(inode, { mode: step.mode }, NEVER)), undefined];
    case 'unlink':
      return [await fs.unlink(above, name, NEVER), model.remove(at, false)];
    case 'rmdir':
      return [await fs.removeDirectory(above, name, NEVER), model.remove(at, true)];
    case 'link':
    case 'rename': {
      if (there === undefined || typeof model.parent(step.to) === 'string') return [0, 0];
      const into = await mounted.inode(step.to.slice(0, -1).join('/'));
      const newName = keyFromText(step.to.at(-1) as string);
      if (step.do === 'link') {
        return [errno(await fs.link(inode, into, newName, NEVER)), model.link(at, step.to)];
      }
      return [
        await fs.rename(above, name, into, newName, step.how, NEVER),
        model.rename(at, step.to, step.how),
      ];
    }
  }
}

async function run(steps: readonly Call[], slow: boolean): Promise<void> {
  const mounted = new Mounted(BASE, slow);
  const model = new Model(BASE);
  let staging: Parameters<Mounted['overlay']['rebase']> | undefined;
  try {
    for (const step of steps) {
      const [got, expected] = await both(mounted, model, step);
      expect(got).toBe(expected);
      if (step.do === 'reopen' && staging === undefined) await mounted.reopen();
      if (step.do === 'snapshot' && staging === undefined) {
        const snapshot = mounted.overlay.snapshot();
        staging = await mounted.absorb(snapshot, mounted.view([...model.files()]));
      }
      if (step.do === 'stage' && staging !== undefined) {
        mounted.overlay.rebase(...staging);
        staging[1]?.snapshot.end();
        staging = undefined;
      }
      await agree(mounted, model.root, ROOT, new Map());
    }
  } finally {
    await mounted.dispose();
  }
}

const RUNS = Number(process.env['TARN_OVERLAY_RUNS'] ?? 60);

describe('an overlay against a plain model', () => {
  it.each([false, true])(
    'agrees after every call, over a base that is loaded: %s',
    async (slow) => {
      await fc.assert(
        fc.asyncProperty(fc.array(call, { maxLength: 40 }), (steps) => run(steps, slow)),
        { numRuns: RUNS, seed: 20250614 },
      );
    },
  );
});
