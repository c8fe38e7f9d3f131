import { beforeEach, describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import { keyFromText, type Key } from '../../src/model/path.js';
import type { FrozenView } from '../../src/repo/view.js';
import type { Attributes, Errno, Inode } from '../../src/vfs/filesystem.js';
import {
  directoryInode,
  fileInode,
  INODE_END,
  packedInode,
  packedSpan,
  ROOT_INODE,
  unpackedInode,
} from '../../src/vfs/inodes.js';
import { RepositoryFilesystem, type Moments } from '../../src/vfs/repository-filesystem.js';
import { inodeOf, list, namesIn, NEVER, readAll, resolve, ROOT, succeeded } from './helpers.js';
import { MemoryView } from './memory-view.mjs';

const THEN = '2025-06-14T17:30:00Z';

/** A repository whose commits are maps of files, named by digits. */
class MemoryMoments implements Moments {
  readonly repository = 'drive';
  readonly commits = new Map<string, Readonly<Record<string, string>>>();
  readonly branches = new Map<string, CommitId>();
  readonly tags = new Map<string, CommitId>();
  /** As they were at THEN. */
  readonly then = new Map<string, CommitId>();
  viewsOpened = 0;

  commit(digits: string, files: Readonly<Record<string, string>>): CommitId {
    const id = digits.padEnd(64, '0') as CommitId;
    this.commits.set(id, files);
    return id;
  }

  names(kind: 'branches' | 'tags'): Promise<readonly string[]> {
    return Promise.resolve([...this[kind].keys()]);
  }

  find(kind: 'branches' | 'tags' | 'commits', name: string): Promise<CommitId | undefined> {
    if (kind !== 'commits') return Promise.resolve(this[kind].get(name));
    const found = [...this.commits.keys()].filter((id) => id.startsWith(name));
    return Promise.resolve(found.length === 1 ? (found[0] as CommitId) : undefined);
  }

  isTime(text: string): boolean {
    return text === THEN;
  }

  namesAt(): Promise<readonly string[]> {
    return Promise.resolve([...this.then.keys()]);
  }

  findAt(_time: string, name: string): Promise<CommitId | undefined> {
    return Promise.resolve(this.then.get(name) ?? this.tags.get(name));
  }

  view(ref: string, commitId: CommitId): Promise<FrozenView> {
    this.viewsOpened += 1;
    const files = Object.entries(this.commits.get(commitId) ?? {});
    const view = new MemoryView(files.map(([path, bytes]) => ({ path, bytes })));
    return Promise.resolve(
      Object.assign(view, { source: { ...view.source, ref, commitId } }) as FrozenView,
    );
  }
}

let moments: MemoryMoments;
let fs: RepositoryFilesystem;
let old: CommitId;
let newest: CommitId;

beforeEach(() => {
  moments = new MemoryMoments();
  old = moments.commit('aa11', { 'labels/a': 'a', 'raw/run-8421/x': 'x' });
  newest = moments.commit('ab22', { 'labels/a': 'relabelled', 'labels/b': 'b' });
  moments.branches.set('main', newest);
  moments.tags.set('golden', old);
  moments.then.set('main', old);
  fs = new RepositoryFilesystem(moments);
});

async function find(parent: Inode, name: string): Promise<Attributes | Errno> {
  return fs.lookup(parent, keyFromText(name), NEVER);
}

describe('a repository as a directory', () => {
  it('D1: `branches`, `tags`, `commits` and `at` lead to commits, each as a mount of it would show it.', async () => {
    expect(await namesIn(fs, '')).toEqual(['branches', 'tags', 'commits', 'at']);
    for (const path of ['branches/main', 'commits/ab']) {
      expect(await readAll(fs, `${path}/labels/a`)).toBe('relabelled');
      expect(await namesIn(fs, `${path}/labels`)).toEqual(['a', 'b']);
    }
    for (const path of ['tags/golden', `commits/${old}`, `at/${THEN}/main`]) {
      expect(await namesIn(fs, path)).toEqual(['labels', 'raw']);
      expect(await readAll(fs, `${path}/raw/run-8421/x`)).toBe('x');
      expect(await resolve(fs, `${path}/labels/a`)).toMatchObject({ size: 1, kind: 'file' });
    }
    expect(await resolve(fs, 'elsewhere')).toBe('ENOENT');
  });

  it('D2: A name leads to what it names when it is looked up; who stands in an older commit stays there.', async () => {
    const main = await inodeOf(fs, 'branches/main');
    const labels = await inodeOf(fs, 'branches/main/labels');
    moments.branches.set('main', moments.commit('cc33', { new: 'n' }));
    expect(await namesIn(fs, 'branches/main')).toEqual(['new']);
    expect(await inodeOf(fs, 'branches/main')).not.toBe(main);
    expect(await find(labels, 'b')).toMatchObject({ kind: 'file', size: 1 });
    expect(await find(main, 'new')).toBe('ENOENT');
    moments.branches.delete('main');
    expect(await resolve(fs, 'branches/main')).toBe('ENOENT');
    expect(await find(main, 'labels')).toMatchObject({ inode: labels });
    moments.branches.set('main', newest);
    expect(await inodeOf(fs, 'branches/main')).toBe(main);
    for (const [path, isPassing] of [
      ['', false],
      ['branches', true],
      [`at/${THEN}`, true],
      ['tags/golden', false],
    ] as const) {
      expect(fs.isPassing(await inodeOf(fs, path)), path).toBe(isPassing);
    }
  });

  it('D3: `branches` and `tags` list the names that there are, `commits` and `at` none.', async () => {
    expect(await namesIn(fs, 'branches')).toEqual(['main']);
    for (let i = 0; i < 20; i += 1) moments.branches.set(`b${i}`, old);
    const listed = await list(fs, await inodeOf(fs, 'branches'), { room: 3 });
    expect(listed.map(({ name }) => name)).toEqual(['.', '..', ...moments.branches.keys()]);
    expect(await namesIn(fs, 'tags')).toEqual(['golden']);
    expect(await namesIn(fs, 'commits')).toEqual([]);
    expect(await namesIn(fs, 'at')).toEqual([]);
    expect(moments.viewsOpened).toBe(0);
  });

  it('D4: `commits` finds an id and each prefix that no other commit has, `at` each time that is past.', async () => {
    for (const name of [newest, 'ab22', 'ab']) {
      expect(await resolve(fs, `commits/${name}`)).toMatchObject({ kind: 'directory' });
    }
    for (const path of ['commits/a', 'commits/ac', 'commits/main', 'at/someday', 'branches/ab22']) {
      expect(await resolve(fs, path), path).toBe('ENOENT');
    }
  });

  it('D5: `at/TIME` lists the branches as they were then, and finds tags too.', async () => {
    moments.branches.set('later', newest);
    expect(await namesIn(fs, `at/${THEN}`)).toEqual(['main']);
    expect(await resolve(fs, `at/${THEN}/later`)).toBe('ENOENT');
    expect(await readAll(fs, `at/${THEN}/golden/labels/a`)).toBe('a');
  });

  it('D6: No two nodes have one number, and a number stays while the directory of its commit is held.', async () => {
    const paths = [
      'branches/main',
      'tags/golden',
      'commits/ab',
      'commits/ab22',
      `at/${THEN}/main`,
      `at/${THEN}`,
    ];
    const numbers = new Map<Inode, string>();
    for (const path of paths) {
      numbers.set(await inodeOf(fs, path), path);
      for (const below of [
        'labels',
        'labels/a',
        'raw',
        'raw/run-8421',
        'raw/run-8421/x',
        'labels/b',
      ]) {
        const found = await resolve(fs, `${path}/${below}`);
        if (typeof found !== 'string') numbers.set(found.inode, `${path}/${below}`);
      }
    }
    expect(numbers.size).toBe(new Set(numbers.values()).size);
    // Far more than are kept when nobody holds them.
    for (let i = 0; i < 300; i += 1) {
      moments.tags.set(`t${i}`, moments.commit(`dd${i}e`, { [`f${i}`]: '' }));
      fs.forget(await inodeOf(fs, `tags/t${i}`), 1);
    }
    for (const [inode, path] of numbers) {
      expect(await fs.getattr(inode, NEVER), path).toMatchObject({ inode });
      expect(await inodeOf(fs, path), path).toBe(inode);
    }
    expect(fs.opened).toBeLessThan(100);
    expect(await fs.getattr(2 ** 51, NEVER)).toBe('ESTALE');
  });

  it('D7: Attributes name the commit, and the way that it was found by.', async () => {
    const value = async (path: string, name: string): Promise<string> => {
      const found = await fs.getxattr(await inodeOf(fs, path), `user.tarn.${name}` as Key, NEVER);
      return typeof found === 'string' ? found : Buffer.from(found).toString();
    };
    expect(await value('branches/main/labels/a', 'ref')).toBe('main');
    expect(await value('branches/main/labels/a', 'commit')).toBe(newest);
    expect(await value(`at/${THEN}/main`, 'ref')).toBe(`main@{${THEN}}`);
    expect(await value('branches', 'repository')).toBe('drive');
    expect(await value('branches', 'commit')).toBe('ENODATA');
  });

  it('lists `.` and `..` with the numbers that they have', async () => {
    const main = await inodeOf(fs, 'branches/main');
    const dots = async (path: string): Promise<Inode[]> => {
      const listed = await list(fs, await inodeOf(fs, path));
      return listed.slice(0, 2).map(({ attributes }) => attributes.inode);
    };
    expect(await dots('branches/main')).toEqual([main, await inodeOf(fs, 'branches')]);
    expect(await dots('branches/main/labels')).toEqual([
      await inodeOf(fs, 'branches/main/labels'),
      main,
    ]);
    expect(await dots('branches')).toEqual([await inodeOf(fs, 'branches'), ROOT]);
    expect(await find(main, '..')).toMatchObject({ inode: await inodeOf(fs, 'branches') });
  });

  it('keeps nothing that the kernel has forgotten but the last views', async () => {
    const at = await inodeOf(fs, `at/${THEN}`);
    const main = await inodeOf(fs, 'branches/main');
    const { handle } = succeeded(await fs.open(await inodeOf(fs, 'branches/main/labels/a'), NEVER));
    const before = fs.opened;
    fs.forget(at, 1);
    fs.forget(main, 2);
    expect(await fs.getattr(at, NEVER)).toBe('ESTALE');
    expect(fs.opened).toBe(before - 1);
    expect(Buffer.from(succeeded(await fs.read(handle, 0, 99, NEVER))).toString()).toBe(
      'relabelled',
    );
    fs.release(handle);
  });
});

describe('numbers of many views', () => {
  it('are packed without gaps or doubles, however large the view', () => {
    for (const entries of [1, 7, 10_000_000, 3_000_000_000]) {
      const numbers = [ROOT_INODE];
      for (const ordinal of [0, Math.floor(entries / 3), entries - 1]) {
        numbers.push(fileInode(ordinal));
        for (const depth of [1, 2, 511, 512]) numbers.push(directoryInode(depth, ordinal));
      }
      const packed = new Set<number>();
      for (const inode of numbers) {
        const number = packedInode(inode, entries);
        expect(unpackedInode(number, entries)).toBe(inode);
        expect(number).toBeLessThan(packedSpan(entries));
        packed.add(number);
      }
      expect(packed.size).toBe(new Set(numbers).size);
      expect(packedSpan(entries) * 1000).toBeLessThan(INODE_END);
    }
    expect(packedSpan(0)).toBe(1);
  });
});
