import { describe, expect, it } from 'vitest';
import type { Key } from '../../src/model/path.js';
import { directoryInode, fileInode } from '../../src/vfs/inodes.js';
import { filesystemOf, inodeOf, list, namesIn, NEVER, resolve, ROOT } from './helpers.js';

describe('files and directories', () => {
  it('F1: Every entry shows once, under its path, with the kind, size, mode and mtime it was stored with.', async () => {
    const { filesystem } = filesystemOf([
      { path: 'a/b', bytes: 'four', mode: 0o4751, mtimeMs: -1.5 * 86_400_000 },
      { path: 'a/link', symlink: 'ünicode', mtimeMs: 1_718_000_000_125 },
    ]);
    expect(await resolve(filesystem, 'a/b')).toEqual({
      inode: fileInode(0),
      kind: 'file',
      size: 4,
      mode: 0o4751,
      mtimeSec: -129_600,
      mtimeNsec: 0,
      nlink: 1,
    });
    const link = { kind: 'symlink', size: 8, mtimeSec: 1_718_000_000, mtimeNsec: 125_000_000 };
    expect(await resolve(filesystem, 'a/link')).toMatchObject(link);
    expect(await namesIn(filesystem, 'a')).toEqual(['b', 'link']);
  });

  it('F2: A directory is wherever a key goes on with `/`, however deep.', async () => {
    const deep = Array.from({ length: 512 }, () => 'd').join('/');
    const { filesystem } = filesystemOf([deep, 'e/f/g']);
    expect(await namesIn(filesystem, 'e')).toEqual(['f']);
    expect(await resolve(filesystem, deep)).toMatchObject({ kind: 'file' });
    const bottom = await inodeOf(filesystem, deep.slice(0, -2));
    expect(bottom).toBe(directoryInode(511, 0));
    expect(await filesystemOf([deep]).filesystem.getattr(bottom, NEVER)).toMatchObject({
      kind: 'directory',
    });
  });

  it('F3: A marker makes its directory exist, gives it mode and mtime, and is not listed.', async () => {
    const marker = { mode: 0o2750, mtimeMs: 1_000_000_000_000 };
    const { filesystem } = filesystemOf([
      { path: 'empty/', ...marker },
      { path: 'full/', ...marker },
      'full/x',
    ]);
    expect(await namesIn(filesystem, 'empty')).toEqual([]);
    expect(await namesIn(filesystem, 'full')).toEqual(['x']);
    for (const path of ['empty', 'full']) {
      const seen = await resolve(filesystem, path);
      expect(seen).toMatchObject({ kind: 'directory', mode: 0o2750, mtimeSec: 1_000_000_000 });
    }
  });

  it('F4: A directory without a marker has mode 0755 and the date of the commit.', async () => {
    const { filesystem } = filesystemOf(['a/b'], { commit: { dateMs: -250 } });
    for (const path of ['', 'a']) {
      const seen = await resolve(filesystem, path);
      expect(seen).toMatchObject({ mode: 0o755, mtimeSec: -1, mtimeNsec: 750_000_000 });
    }
  });

  it('F5: A directory has size 0 and 1 link, which tells programs not to count its sub-directories.', async () => {
    const { filesystem } = filesystemOf(['a/b/c', 'a/d/e', { path: 'm/' }]);
    for (const path of ['', 'a', 'm']) {
      expect(await resolve(filesystem, path)).toMatchObject({ size: 0, nlink: 1 });
    }
  });

  it('F6: A symlink gives its target byte for byte as stored, wherever that points.', async () => {
    const targets = ['/etc/passwd', '../../out', 'no/such', 'x'.repeat(4095), 'ü'];
    const { filesystem } = filesystemOf(
      targets.map((symlink, i) => ({ path: `l${i}`, symlink })).concat(),
    );
    for (const [i, target] of targets.entries()) {
      const inode = await inodeOf(filesystem, `l${i}`);
      const found = await filesystem.readlink(inode, NEVER);
      expect(found).toEqual({ target: Buffer.from(target).toString('latin1') });
      expect(await filesystem.open(inode, NEVER)).toBe('ELOOP');
    }
    expect(await filesystem.readlink(ROOT, NEVER)).toBe('EINVAL');
  });
});

describe('inodes', () => {
  const FILES = ['a/b/c', 'a/b/d', 'a/e', 'a!', 'f', 'g/h/i/j/k'];

  it('I1: Inode numbers follow from the commit alone: another mount of it, or a new daemon, gives the same.', async () => {
    const one = filesystemOf(FILES).filesystem;
    // In another order, and the other one has never heard of these numbers.
    const other = filesystemOf(FILES.toReversed()).filesystem;
    for (const path of ['a', 'a/b', 'a/b/d', 'a!', 'g/h/i/j', 'g/h/i/j/k']) {
      const here = await resolve(one, path);
      expect(await other.getattr(await inodeOf(one, path), NEVER)).toEqual(here);
    }
  });

  it('I2: No two nodes have the same number, and every number is below 2^52.', async () => {
    // All of these directories have the same first entry.
    const { filesystem } = filesystemOf(['d/d/d/d/d', 'e']);
    const paths = ['', 'd', 'd/d', 'd/d/d', 'd/d/d/d', 'd/d/d/d/d', 'e'];
    const inodes = await Promise.all(paths.map((path) => inodeOf(filesystem, path)));
    expect(new Set(inodes).size).toBe(paths.length);
    expect(Math.max(...inodes)).toBeLessThan(2 ** 52);
    expect(directoryInode(512, 2 ** 42 - 1)).toBeLessThan(2 ** 52);
  });

  it('I3: Listing, lookup and getattr give the same number and the same attributes.', async () => {
    const { filesystem } = filesystemOf(FILES);
    for (const { name, attributes } of await list(filesystem, ROOT)) {
      expect(await filesystem.lookup(ROOT, name as Key, NEVER)).toEqual(attributes);
      expect(await filesystem.getattr(attributes.inode, NEVER)).toEqual(attributes);
    }
  });

  it('I4: A number that stands for nothing is ESTALE, never another node.', async () => {
    const { filesystem } = filesystemOf(['a/b', 'a/c', 'x//y', { path: 'z/' }]);
    const nothing = [0, -1, 1.5, 2 ** 52, 2 ** 53, Number.NaN];
    const odd = [
      fileInode(2), // x//y
      fileInode(3), // z/, a marker
      fileInode(4), // past the end
      directoryInode(1, 1), // a/c is not the first in a
      directoryInode(2, 0), // a/b is no directory
      directoryInode(2, 2), // x// has no name
      directoryInode(1, 9),
    ];
    for (const inode of [...nothing, ...odd]) {
      expect(await filesystem.getattr(inode, NEVER), `${inode}`).toBe('ESTALE');
      expect(await filesystem.listxattr(inode, NEVER), `${inode}`).toBe('ESTALE');
    }
    expect(await filesystem.open(fileInode(2), NEVER)).toBe('ESTALE');
    expect(await filesystem.opendir(directoryInode(1, 1), NEVER)).toBe('ESTALE');
  });
});
