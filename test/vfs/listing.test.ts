import { describe, expect, it } from 'vitest';
import { filesystemOf, inodeOf, list, ListSink, NEVER, ROOT } from './helpers.js';

describe('listings', () => {
  it('L1: A listing begins with `.` and `..`; then come the names, in the order of their keys.', async () => {
    const { filesystem } = filesystemOf(['b/c/x', 'b/c!', 'b/c0', 'b/\xe9', 'b/a']);
    const [root, b] = [ROOT, await inodeOf(filesystem, 'b')];
    const listed = await list(filesystem, b);
    // `c!` before the directory `c`, as `!` sorts before `/`, and `c0` after it.
    expect(listed.map(({ name }) => name)).toEqual(['.', '..', 'a', 'c!', 'c', 'c0', '\xc3\xa9']);
    expect(listed.slice(0, 2).map(({ attributes }) => attributes.inode)).toEqual([b, root]);
    const below = await list(filesystem, await inodeOf(filesystem, 'b/c'));
    expect(below[1]?.attributes).toEqual(listed[0]?.attributes);
    expect((await list(filesystem, ROOT))[1]?.attributes.inode).toBe(ROOT);
  });

  for (const slow of [false, true]) {
    it('L2: A listing goes on from any position it has given, at any time, through any handle.', async () => {
      const keys = ['a', 'a/b', 'a/c', 'd/', 'd/e', '//', 'f', 'g/h/i', 'zz'];
      const { filesystem } = filesystemOf(keys, { slow });
      const whole = await list(filesystem, ROOT);
      expect(whole.map(({ name }) => name)).toEqual([
        '.',
        '..',
        'a~file',
        'a',
        'd',
        'f',
        'g',
        'zz',
      ]);
      for (const [i, { next }] of whole.entries()) {
        for (const room of [1, 3, Infinity]) {
          expect(await list(filesystem, ROOT, { offset: next, room })).toEqual(whole.slice(i + 1));
        }
      }
    });
  }

  it('L3: Listing a directory steps over what is below its sub-directories.', async () => {
    const below = Array.from({ length: 500 }, (_, i) => `big/${i}/x`);
    const { filesystem, view } = filesystemOf([...below, 'a', 'huge//x', 'z']);
    const before = view.steps;
    expect((await list(filesystem, ROOT)).length).toBe(6);
    expect(view.steps - before).toBeLessThan(20);
  });

  it('stays in one tick when everything is at hand', () => {
    const { filesystem } = filesystemOf(['a', 'a-b', 'd/e', 'f']);
    const opened = filesystem.opendir(ROOT, NEVER);
    expect(opened).not.toBeInstanceOf(Promise);
    const sink = new ListSink();
    const { handle } = opened as { handle: number };
    expect(filesystem.readdir(handle, 0, sink, NEVER)).toBeUndefined();
    expect(sink.listed.length).toBe(6);
    const position = sink.listed.at(-1)?.next ?? 0;
    expect(filesystem.readdir(handle, position, sink, NEVER)).toBeUndefined();
    expect(sink.listed.length).toBe(6);
    filesystem.releasedir(handle);
    expect(filesystem.readdir(handle, 0, sink, NEVER)).toBe('EBADF');
  });

  it('lists no file', async () => {
    const { filesystem } = filesystemOf(['a']);
    expect(await filesystem.opendir(await inodeOf(filesystem, 'a'), NEVER)).toBe('ENOTDIR');
  });
});
