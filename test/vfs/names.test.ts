import { describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '../../src/model/path.js';
import { listUnmountable } from '../../src/vfs/names.js';
import { filesystemOf, inodeOf, list, namesIn, NEVER, readAll, resolve, ROOT } from './helpers.js';
import type { MemoryView } from './memory-view.mjs';

async function unmountable(view: MemoryView): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, why } of listUnmountable(view)) found[key] = why;
  return found;
}

describe('names', () => {
  it('N1: Names are bytes: nothing is folded, normalised or decoded.', async () => {
    const raw = ['\xff\xfe', 'A', 'a', 'e\xcc\x81', '\xc3\xa9'];
    const { filesystem } = filesystemOf(raw.map((key) => ({ key, bytes: key })));
    const listed = await list(filesystem, ROOT);
    expect(listed.slice(2).map(({ name }) => name)).toEqual(raw.toSorted());
    for (const { name, attributes } of listed.slice(2)) {
      expect(await filesystem.lookup(ROOT, name as Key, NEVER)).toEqual(attributes);
    }
  });

  it('N2: What has an empty, `.` or `..` component, one over 255 bytes or one with a NUL is not shown.', async () => {
    const odd = ['a//b', '/lead', './x', '../x', 'a/./x', 'a/..', 'a/\0', `a/${'n'.repeat(256)}`];
    const { filesystem, view } = filesystemOf([...odd, 'a/ok', `a/${'n'.repeat(255)}`]);
    expect(await namesIn(filesystem, '')).toEqual(['a']);
    expect(await namesIn(filesystem, 'a')).toEqual(['n'.repeat(255), 'ok']);
    expect(Object.keys(await unmountable(view)).toSorted()).toEqual(odd.toSorted());
  });

  it('N3: A directory that holds only what is not shown is there, and empty.', async () => {
    const { filesystem } = filesystemOf(['a//b', 'c/d/../e']);
    expect(await namesIn(filesystem, '')).toEqual(['a', 'c']);
    expect(await namesIn(filesystem, 'a')).toEqual([]);
    expect(await namesIn(filesystem, 'c/d')).toEqual([]);
  });

  it('N4: Where a key is both a file and a directory, the file shows as `name~file` beside the directory.', async () => {
    const { filesystem } = filesystemOf([
      { path: 'run', bytes: 'the file' },
      { path: 'run-1/x', bytes: '' },
      { path: 'run.md', bytes: '' },
      { path: 'run/x', bytes: '' },
      { path: 'link', symlink: 'run' },
      { path: 'link/x', bytes: '' },
    ]);
    expect((await namesIn(filesystem, '')).toSorted()).toEqual(
      ['link', 'link~file', 'run', 'run-1', 'run.md', 'run~file'].toSorted(),
    );
    expect(await readAll(filesystem, 'run~file')).toBe('the file');
    expect(await resolve(filesystem, 'run')).toMatchObject({ kind: 'directory' });
    expect(await resolve(filesystem, 'link~file')).toMatchObject({ kind: 'symlink' });
    const inode = await inodeOf(filesystem, 'run~file');
    const path = await filesystem.getxattr(inode, keyFromText('user.tarn.path'), NEVER);
    expect(Buffer.from(path).toString()).toBe('run');
    expect(await resolve(filesystem, 'run.md~file')).toBe('ENOENT');
    expect(await resolve(filesystem, 'run~file2')).toBe('ENOENT');
    expect(await resolve(filesystem, 'run-1~file')).toBe('ENOENT');
  });

  it('N5: If `name~file` is taken the file is `name~file2` … `name~file9`, the first that is free.', async () => {
    const { filesystem } = filesystemOf([
      { path: 'a', bytes: 'a' },
      'a/x',
      { path: 'a~file', bytes: 'real' },
      'a~file2/x',
      'a~file4',
    ]);
    expect(await readAll(filesystem, 'a~file')).toBe('real');
    expect(await readAll(filesystem, 'a~file3')).toBe('a');
    expect(await resolve(filesystem, 'a~file2')).toMatchObject({ kind: 'directory' });
    expect(await resolve(filesystem, 'a~file5')).toBe('ENOENT');
  });

  it('N6: A file that finds none of these names free, or whose name leaves no room for them, is not shown.', async () => {
    const long = 'l'.repeat(251);
    const taken = ['', 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `a~file${n}`);
    const { filesystem, view } = filesystemOf(['a', 'a/x', ...taken, long, `${long}/x`]);
    expect(await namesIn(filesystem, '')).toEqual(['a', ...taken, long]);
    expect(Object.keys(await unmountable(view))).toEqual(['a', long]);
  });

  it('N7: A marker that is not an empty file still makes its directory, but its content is not shown.', async () => {
    const { filesystem, view } = filesystemOf([
      { path: 'full/', bytes: 'content', mode: 0o700 },
      { path: 'link/', symlink: 'x' },
      { path: 'plain/', mode: 0o755 },
    ]);
    expect(await namesIn(filesystem, '')).toEqual(['full', 'link', 'plain']);
    expect(await resolve(filesystem, 'full')).toMatchObject({ kind: 'directory', mode: 0o700 });
    expect(await resolve(filesystem, 'link')).toMatchObject({ kind: 'directory', mode: 0o755 });
    expect(Object.keys(await unmountable(view))).toEqual(['full/', 'link/']);
  });

  it('N8: Everything that is not shown is reported, with the reason.', async () => {
    const long = 'n'.repeat(300);
    const keys = ['a//b', 'b/../c', `c/${long}/x`, 'd\0', 'ok', `${long.slice(0, 252)}`];
    const { view } = filesystemOf([...keys, `${long.slice(0, 252)}/x`]);
    expect(await unmountable(view)).toEqual({
      'a//b': "a component is empty (two '/' in a row, or one in front)",
      'b/../c': "a component is '..'",
      [`c/${long}/x`]: 'a component is 300 bytes long, at most 255 can be shown',
      'd\0': 'a component holds a NUL byte',
      [long.slice(0, 252)]: expect.stringContaining('it is also a directory') as string,
    });
  });

  it('N9: A name over 255 bytes is ENAMETOOLONG; one that is not there is ENOENT.', async () => {
    const { filesystem } = filesystemOf(['a/b', 'raw.txt']);
    const lookup = (name: string) => filesystem.lookup(ROOT, name as Key, NEVER);
    expect(await lookup('n'.repeat(256))).toBe('ENAMETOOLONG');
    for (const name of ['n'.repeat(255), 'A', 'raw', 'raw.txt.', '', 'a/b', '\0', 'a\0', '~file']) {
      expect(await lookup(name)).toBe('ENOENT');
    }
    const file = await inodeOf(filesystem, 'raw.txt');
    expect(await filesystem.lookup(file, 'x' as Key, NEVER)).toBe('ENOTDIR');
  });

  it('stops looking for what is not shown when asked to', async () => {
    const stop = new AbortController();
    const keys = Array.from({ length: 20_000 }, (_, i) => `${i}//x`);
    const { view } = filesystemOf(keys);
    const seen: string[] = [];
    const walk = async (): Promise<void> => {
      for await (const { key } of listUnmountable(view, stop.signal)) {
        seen.push(key);
        stop.abort();
      }
    };
    await expect(walk()).rejects.toMatchObject({ kind: 'aborted' });
    expect(seen.length).toBeLessThan(keys.length);
  });
});
