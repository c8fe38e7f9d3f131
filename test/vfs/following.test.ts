import { describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '../../src/model/path.js';
import type { Attributes, Errno, Inode } from '../../src/vfs/filesystem.js';
import { FollowingFilesystem } from '../../src/vfs/following-filesystem.js';
import type { NodeSink } from '../../src/vfs/living.js';
import { ListSink, namesIn, NEVER, readAll, resolve, ROOT, succeeded } from './helpers.js';
import { MemoryView, type MemoryFile } from './memory-view.mjs';

const COMMIT = '2025-06-14T18:30:00Z';

/** A followed branch whose commits are lists of files; it records what a kernel is told. */
class Followed {
  readonly fs: FollowingFilesystem;
  readonly told: string[] = [];
  readonly #slow: boolean;
  #files: ReadonlyMap<string, string>;

  constructor(files: Readonly<Record<string, string>>, slow = false) {
    this.#slow = slow;
    this.#files = new Map(Object.entries(files));
    this.fs = new FollowingFilesystem(this.#view());
    this.fs.connect({
      grant: () => {},
      entryChanged: (parent, name) => this.told.push(`${parent === ROOT ? '' : '…'}/${name}`),
      heard: () => Promise.resolve(),
      nodeChanged: (inode, bytes) => this.told.push(`${inode === ROOT ? 'root' : '…'} ${bytes}`),
    });
  }

  async commit(files: Readonly<Record<string, string>>): Promise<void> {
    const before = this.#files;
    this.#files = new Map(Object.entries(files));
    const all = [...new Set([...before.keys(), ...this.#files.keys()])].sort();
    const keys = all.filter((path) => before.get(path) !== this.#files.get(path));
    await this.fs.follow(this.#view(), keys.map(keyFromText));
  }

  async inode(path: string): Promise<Inode> {
    return succeeded<Attributes>(await resolve(this.fs, path)).inode;
  }

  #view(): MemoryView {
    const files: MemoryFile[] = [...this.#files].map(([path, bytes]) => ({ path, bytes }));
    return new MemoryView(files, { slow: this.#slow, commit: { dateMs: Date.parse(COMMIT) } });
  }
}

async function textOf(fs: FollowingFilesystem, handle: number): Promise<string> {
  return Buffer.from(succeeded(await fs.read(handle, 0, 100, NEVER))).toString();
}

/** Names that the kernel was let keep, and those that it was not, of one reading of some entries. */
async function some(
  fs: FollowingFilesystem,
  handle: number,
  offset: number,
  room: number,
): Promise<{ held: Key[]; alone: Key[]; next: number }> {
  const read = { held: [] as Key[], alone: [] as Key[], next: offset };
  let left = room;
  const takes = (next: number): boolean => {
    if (left === 0) return false;
    left -= 1;
    read.next = next;
    return true;
  };
  const sink: NodeSink = {
    addNode: (name, next) => {
      if (!takes(next)) return 'full';
      if (name === '.' || name === '..') return 'listed';
      read.held.push(name);
      return 'held';
    },
    addName: (name, next) => takes(next) && read.alone.push(name) > 0,
  };
  expect(await fs.readdirNodes(handle, offset, sink, NEVER)).toBeUndefined();
  return read;
}

const BEFORE = { 'labels/a': 'a', 'labels/b': 'b', 'raw/run-8421/x': 'x', top: 'top' };

describe.each([false, true])('a branch that is followed (loaded: %s)', (slow) => {
  it('M1: A new commit of the branch shows at once, and nothing that is not committed does.', async () => {
    const branch = new Followed(BEFORE, slow);
    const { fs } = branch;
    expect(await resolve(fs, 'new/c')).toBe('ENOENT');
    expect(await namesIn(fs, 'labels')).toEqual(['a', 'b']);
    await branch.commit({ 'labels/a': 'relabelled', 'labels/b': 'b', 'new/c': 'c', top: 'top' });
    expect(await readAll(fs, 'labels/a')).toBe('relabelled');
    expect(await readAll(fs, 'new/c')).toBe('c');
    expect(await namesIn(fs, '')).toEqual(['labels', 'new', 'top']);
    expect(await resolve(fs, 'raw')).toBe('ENOENT');
    expect((await fs.statfs(NEVER)).files).toBe(4);
  });

  it('M2: A file that is open goes on being the one that was opened, its size and attributes too.', async () => {
    const branch = new Followed(BEFORE, slow);
    const { fs } = branch;
    const inode = await branch.inode('labels/a');
    const { handle } = succeeded(await fs.open(inode, NEVER));
    await branch.commit({ ...BEFORE, 'labels/a': 'longer' });
    await branch.commit({ ...BEFORE, 'labels/a': 'and longer' });
    expect(await textOf(fs, handle)).toBe('a');
    expect(await fs.getattr(inode, NEVER)).toMatchObject({ inode, size: 1 });
    // As a kernel does that has not yet been told.
    const again = succeeded(await fs.open(inode, NEVER));
    expect(await textOf(fs, again.handle)).toBe('a');
    expect(await readAll(fs, 'labels/a')).toBe('and longer');
    for (const each of [handle, again.handle]) fs.release(each);
    expect(await fs.read(handle, 0, 1, NEVER)).toBe('EBADF');
  });

  it('M3: A listing goes on with the names of the commit that it was begun on.', async () => {
    const branch = new Followed({ ...BEFORE, 'labels/c': 'c' }, slow);
    const { fs } = branch;
    const { handle } = succeeded(await fs.opendir(await branch.inode('labels'), NEVER));
    const first = await some(fs, handle, 0, 3);
    expect(first.held).toEqual(['a']);
    await branch.commit({ 'labels/aa': 'new', 'labels/c': 'changed' });
    const rest = await some(fs, handle, first.next, 9);
    expect(rest).toMatchObject({ held: [], alone: ['b', 'c'] });
    expect((await some(fs, handle, 0, 9)).held).toEqual(['aa', 'c']);
    fs.releasedir(handle);
    const sink = new ListSink();
    expect(await fs.readdir(handle, 0, sink, NEVER)).toBe('EBADF');
  });

  it('M4: The kernel is told of the names that a commit changed, at a cost that follows the change.', async () => {
    const branch = new Followed({ ...BEFORE, 'labels/d/e': 'e', marked: 'm' }, slow);
    await namesIn(branch.fs, 'labels');
    await resolve(branch.fs, 'labels/d/e');
    await branch.commit({
      ...BEFORE,
      'labels/b': 'changed',
      'new/1': '',
      'new/2': '',
      marked: 'm',
    });
    // Of what is below `new`, which nobody knows, its name; a file of a directory's name has others.
    const directory = (name: string): string[] => [name, ...aliases(name)];
    expect(branch.told).toEqual([
      '…/b',
      '…/e',
      ...directory('new').map((name) => `/${name}`),
      ...directory('d').map((name) => `…/${name}`),
    ]);
    branch.told.length = 0;
    await branch.commit({
      ...BEFORE,
      'labels/b': 'changed',
      'labels/': '',
      'new/1': '',
      'new/2': '',
    });
    expect(branch.told).toEqual(['… false', '/marked']);
  });

  it('M5: What a commit left as it was keeps its inode number as long as a kernel holds it.', async () => {
    const branch = new Followed(BEFORE, slow);
    const paths = ['labels', 'labels/b', 'raw/run-8421', 'raw/run-8421/x', 'top'];
    const before = await Promise.all(paths.map((path) => branch.inode(path)));
    for (let i = 0; i < 3; i += 1)
      await branch.commit({ ...BEFORE, 'labels/a': `a${i}`, [`n${i}/x`]: '' });
    expect(await Promise.all(paths.map((path) => branch.inode(path)))).toEqual(before);
    for (const inode of before) {
      expect(await branch.fs.getattr(inode, NEVER)).toMatchObject({ inode });
    }
  });

  it('M6: What a commit changed is another node with another number, never other bytes under the same.', async () => {
    const branch = new Followed(BEFORE, slow);
    const { fs } = branch;
    const numbers = new Set<Inode>();
    const contents = ['a', 'b', 'a', 'c'];
    for (const bytes of contents) {
      await branch.commit({
        ...BEFORE,
        'labels/a': bytes,
        ...(bytes === 'c' ? { 'top/x': '' } : {}),
      });
      numbers.add(await branch.inode('labels/a'));
    }
    // The first commit is as the branch was mounted.
    expect(numbers.size).toBe(contents.length);
    for (const [i, inode] of [...numbers].entries()) {
      const { handle } = succeeded(await fs.open(inode, NEVER));
      expect(await textOf(fs, handle)).toBe(contents[i]);
      fs.release(handle);
    }
    expect(await resolve(fs, 'top')).toMatchObject({ kind: 'directory' });
    expect(await resolve(fs, 'top~file')).toMatchObject({ kind: 'file' });
  });

  it('M7: Who stands in a directory that is gone goes on seeing what was in it.', async () => {
    const branch = new Followed(BEFORE, slow);
    const { fs } = branch;
    const raw = await branch.inode('raw');
    const run = await branch.inode('raw/run-8421');
    await branch.commit({ 'labels/a': 'a' });
    await branch.commit({ 'labels/a': 'a', 'raw/run-8421/y': 'y' });
    const find = async (parent: Inode, name: string): Promise<Attributes | Errno> =>
      fs.lookup(parent, keyFromText(name), NEVER);
    const x = succeeded<Attributes>(await find(run, 'x'));
    const { handle } = succeeded(await fs.open(x.inode, NEVER));
    expect(await textOf(fs, handle)).toBe('x');
    fs.release(handle);
    expect(await find(run, 'y')).toBe('ENOENT');
    expect(await find(raw, 'run-8421')).toMatchObject({ inode: run });
    expect(await namesIn(fs, 'raw/run-8421')).toEqual(['y']);
    expect(await branch.inode('raw')).not.toBe(raw);
  });

  it('keeps nothing of what the kernel forgets', async () => {
    const branch = new Followed(BEFORE, slow);
    const { fs } = branch;
    const held: Inode[] = [];
    for (const path of ['labels', 'labels/a', 'raw', 'raw/run-8421', 'raw/run-8421/x', 'top']) {
      held.push(await branch.inode(path));
    }
    await namesIn(fs, 'labels');
    await branch.commit({ 'labels/a': 'other' });
    await branch.inode('labels/a');
    // Each look-up above held what is on its path.
    for (let i = 0; i < 9; i += 1) for (const inode of held) fs.forget(inode, 1);
    for (const name of ['labels', 'labels/a']) fs.forget(await branch.inode(name), 9);
    expect(fs.nodesInMemory).toBe(1);
  });

  it('names the newest commit that has a file as it was', async () => {
    const branch = new Followed(BEFORE, slow);
    const { fs } = branch;
    const inode = await branch.inode('labels/b');
    await branch.commit({ ...BEFORE, 'labels/a': 'other' });
    const value = succeeded(await fs.getxattr(inode, 'user.tarn.path' as Key, NEVER));
    expect(Buffer.from(value).toString()).toBe('labels/b');
    expect(await fs.listxattr(ROOT, NEVER)).toContain('user.tarn.message');
  });
});

function aliases(name: string): string[] {
  return ['', 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `${name}~file${n}`);
}
