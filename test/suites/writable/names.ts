import { expect, it } from 'vitest';
import type { Stage } from './stage.js';

const NOREPLACE = 1;
const EXCHANGE = 2;

/** What names do: making, removing, moving and linking. */
export function describeNames(stage: Stage): void {
  describeMaking(stage);
  describeMoving(stage);
  describeLinks(stage);
  describeListing(stage);
}

function describeMaking(stage: Stage): void {
  it('makes files, once with O_EXCL, and shows them at once to others', async () => {
    const { one, two } = stage;
    await one.call('mkdir', 'made');
    await one.call('open', 'f', 'made/new', 'O_WRONLY|O_CREAT|O_EXCL', 0o640);
    expect(await two.errno('open', 'g', 'made/new', 'O_WRONLY|O_CREAT|O_EXCL')).toBe('EEXIST');
    await one.call('write', 'f', [1, 5000]);
    expect((await two.attributes('made/new')).size).toBe(5000);
    await one.call('close', 'f');
    expect(await two.attributes('made/new')).toMatchObject({ kind: 8, mode: 0o640, nlink: 1 });
  });

  it('lets only one of many win O_EXCL', async () => {
    const { one, two } = stage;
    await one.call('mkdir', 'race');
    for (let round = 0; round < 20; round += 1) {
      const tries = await Promise.all(
        [one, two].map((each) =>
          each.outcome('open', 'f', `race/${round}`, 'O_WRONLY|O_CREAT|O_EXCL'),
        ),
      );
      expect(tries.filter((each) => 'ok' in each)).toHaveLength(1);
      expect(tries.filter((each) => 'errno' in each)).toEqual([{ errno: 'EEXIST' }]);
      await Promise.all([one, two].map((each) => each.call('closeall')));
    }
  });

  it('makes and removes directories, and only empty ones', async () => {
    const { one } = stage;
    await one.call('mkdir', 'dirs', 0o750);
    expect(await one.attributes('dirs')).toMatchObject({ kind: 4, mode: 0o750 });
    expect(await one.errno('mkdir', 'dirs')).toBe('EEXIST');
    await one.call('mkdir', 'dirs/inner');
    expect(await one.errno('rmdir', 'dirs')).toBe('ENOTEMPTY');
    await one.call('rmdir', 'dirs/inner');
    await one.call('rmdir', 'dirs');
    expect(await one.errno('lstat', 'dirs')).toBe('ENOENT');
    expect(await one.errno('rmdir', 'labels')).toBe('ENOTEMPTY');
    expect(await one.errno('rmdir', 'notes.txt')).toBe('ENOTDIR');
    expect(await one.errno('unlink', 'labels')).toMatch(/EISDIR|EPERM/);
  });

  it('removes what was there before, down to nothing, and makes it anew empty', async () => {
    const { one, two } = stage;
    expect(await two.text('removed.txt')).toBe('to be removed\n');
    await one.call('unlink', 'removed.txt');
    expect(await two.errno('lstat', 'removed.txt')).toBe('ENOENT');
    expect(await one.call('list', '')).not.toContain('removed.txt');
    await one.call('unlink', 'tree/sub/file');
    expect(await two.call('list', 'tree/sub')).toEqual([]);
    await one.call('rmdir', 'tree/sub');
    await one.call('rmdir', 'tree');
    await one.call('mkdir', 'tree');
    expect(await two.call('list', 'tree')).toEqual([]);
    await one.put('removed.txt', 'again');
    expect(await two.text('removed.txt')).toBe('again');
  });

  it('keeps a removed file for those who have it open', async () => {
    const { one, two } = stage;
    await one.put('unlinked', 'still there');
    await one.call('open', 'f', 'unlinked', 'O_RDWR');
    await two.call('unlink', 'unlinked');
    expect(await two.errno('lstat', 'unlinked')).toBe('ENOENT');
    expect((await one.bytes('f', 0, 100)).toString()).toBe('still there');
    await one.call('pwrite', 'f', 11, 'IQ==');
    expect((await one.bytes('f', 0, 100)).toString()).toBe('still there!');
    expect(await one.call('fstat', 'f')).toMatchObject({ nlink: 0, size: 12 });
    await one.put('unlinked', 'another');
    expect((await one.bytes('f', 0, 100)).toString()).toBe('still there!');
    await one.call('close', 'f');
    expect(await one.text('unlinked')).toBe('another');
  });

  it('makes fifos and sockets', async () => {
    const { one } = stage;
    await one.call('mknod', 'pipe', 0o010_600);
    expect(await one.attributes('pipe')).toMatchObject({ kind: 1, mode: 0o600 });
    await one.call('mknod', 'plug', 0o140_600);
    expect(await one.attributes('plug')).toMatchObject({ kind: 12 });
    await one.call('open', 'r', 'pipe', 'O_RDONLY|O_NONBLOCK');
    await stage.two.call('open', 'w', 'pipe', 'O_WRONLY');
    await stage.two.call('write', 'w', 'bGlkYXI=');
    expect(Buffer.from(await one.call<string>('read', 'r', 9), 'base64').toString()).toBe('lidar');
    await Promise.all([one.call('closeall'), stage.two.call('closeall')]);
    await one.call('unlink', 'pipe');
    await one.call('unlink', 'plug');
  });

  it('takes names of 255 bytes of any kind, and no longer ones', async () => {
    const { one } = stage;
    await one.call('mkdir', 'odd');
    const names = [`${'ü'.repeat(127)}x`, ' ', 'new\nline', '-rf', 'back\\slash', '\udcff\udc80'];
    for (const name of names) await one.put(`odd/${name}`, name.slice(0, 2).replace('\udcff', '?'));
    expect(await one.call('list', 'odd')).toHaveLength(names.length);
    expect(await one.errno('mkdir', `odd/${'n'.repeat(256)}`)).toBe('ENAMETOOLONG');
  });
}

function describeMoving(stage: Stage): void {
  it('renames over what is there, and the old file lives on for those who have it open', async () => {
    const { one, two } = stage;
    await two.call('open', 'old', 'replaced.txt', 'O_RDONLY');
    await one.put('.replaced.txt.swp', 'replaced\n');
    await one.call('rename', '.replaced.txt.swp', 'replaced.txt');
    expect(await two.text('replaced.txt')).toBe('replaced\n');
    expect((await two.bytes('old', 0, 100)).toString()).toBe('to be replaced\n');
    await two.call('close', 'old');
    expect(await one.errno('lstat', '.replaced.txt.swp')).toBe('ENOENT');
  });

  it('moves a directory with all that is below it, changed or not', async () => {
    const { one, two } = stage;
    await one.put('labels/a/new.json', '{"new":1}');
    await one.call('unlink', 'labels/a/d.json');
    await one.call('mkdir', 'moved');
    await one.call('rename', 'labels/a', 'moved/z');
    expect(await two.call('list', 'moved/z')).toEqual(['b', 'new.json']);
    expect(await two.text('moved/z/b/c.json')).toBe('{"c":1}');
    expect(await two.call('list', 'labels')).toEqual(['e.json']);
    expect(await two.errno('lstat', 'labels/a/b/c.json')).toBe('ENOENT');
    await one.call('mkdir', 'labels/a');
    expect(await two.call('list', 'labels/a')).toEqual([]);
    await one.call('rename', 'moved/z/b', 'labels/a/b');
    expect(await two.text('labels/a/b/c.json')).toBe('{"c":1}');
  });

  it('refuses moves that make no sense', async () => {
    const { one } = stage;
    await one.call('mkdir', 'sense');
    await one.call('mkdir', 'sense/full');
    await one.put('sense/full/x', 'x');
    await one.call('mkdir', 'sense/empty');
    await one.put('sense/file', 'file');
    expect(await one.errno('rename', 'sense', 'sense/full/inner')).toBe('EINVAL');
    expect(await one.errno('rename', 'sense/empty', 'sense/full')).toMatch(/ENOTEMPTY|EEXIST/);
    expect(await one.errno('rename', 'sense/file', 'sense/empty')).toBe('EISDIR');
    expect(await one.errno('rename', 'sense/empty', 'sense/file')).toBe('ENOTDIR');
    expect(await one.errno('rename', 'sense/none', 'sense/file')).toBe('ENOENT');
    await one.call('rename', 'sense/full', 'sense/empty');
    expect(await one.call('list', 'sense/empty')).toEqual(['x']);
    await one.call('rename', 'sense/file', 'sense/file');
    expect(await one.text('sense/file')).toBe('file');
  });

  it.skipIf(stage.lacks.renameFlags)('renames without replacing, and exchanges', async () => {
    const { one, two } = stage;
    await one.put('swapped/new', 'new');
    expect(await one.errno('rename', 'swapped/new', 'swapped/right', NOREPLACE)).toBe('EEXIST');
    await one.call('rename', 'swapped/new', 'swapped/newer', NOREPLACE);
    expect(await one.errno('rename', 'swapped/left', 'swapped/none', EXCHANGE)).toBe('ENOENT');
    await one.call('rename', 'swapped/left', 'swapped/right', EXCHANGE);
    expect(await two.text('swapped/right/deep/one')).toBe('1');
    expect(await two.text('swapped/left')).toBe('2');
    expect(await two.call('list', 'swapped')).toEqual(['left', 'newer', 'right']);
  });

  it.skipIf(stage.lacks.replacing)('never shows a name missing while it is replaced', async () => {
    const { one, two } = stage;
    await one.call('mkdir', 'atomic');
    await one.put('atomic/file', '0');
    const writing = (async () => {
      for (let round = 1; round < 100; round += 1) {
        await one.put('atomic/temporary', String(round));
        await one.call('rename', 'atomic/temporary', 'atomic/file');
      }
    })();
    let last = 0;
    while (last < 99) {
      const seen = Number(await two.text('atomic/file'));
      expect(seen).toBeGreaterThanOrEqual(last);
      last = seen;
    }
    await writing;
  });
}

function describeLinks(stage: Stage): void {
  it('gives a file several names, one inode and one content', async () => {
    const { one, two } = stage;
    await one.put('first', 'linked');
    await one.call('link', 'first', 'second');
    expect(await two.attributes('second')).toMatchObject({ nlink: 2, size: 6 });
    if (stage.lacks.inodes !== true) {
      expect((await two.attributes('second')).inode).toBe((await two.attributes('first')).inode);
    }
    await two.put('second', 'through the second name');
    expect(await one.text('first')).toBe('through the second name');
    await one.call('unlink', 'first');
    expect(await two.attributes('second')).toMatchObject({ nlink: 1 });
    expect(await two.text('second')).toBe('through the second name');
    expect(await one.errno('link', 'second', 'second')).toBe('EEXIST');
    expect(await one.errno('link', 'labels', 'hard')).toBe('EPERM');
  });

  it('links a file that was there before, and both names change together', async () => {
    const { one, two } = stage;
    await one.call('link', 'notes.txt', 'notes-too.txt');
    expect(await two.attributes('notes.txt')).toMatchObject({ nlink: 2, mode: 0o640 });
    await one.call('open', 'f', 'notes-too.txt', 'O_WRONLY|O_APPEND');
    await one.call('write', 'f', 'YWZ0ZXIK');
    await one.call('close', 'f');
    expect(await two.text('notes.txt')).toBe('before\nafter\n');
    await one.call('unlink', 'notes-too.txt');
    expect(await two.attributes('notes.txt')).toMatchObject({ nlink: 1 });
  });

  it('makes symlinks, keeps their text and follows it', async () => {
    const { one, two } = stage;
    await one.call('symlink', 'labels/e.json', 'newest');
    expect(await two.call('readlink', 'newest')).toBe('labels/e.json');
    expect(await two.text('newest')).toBe('{"e":1}');
    expect(await two.attributes('newest')).toMatchObject({ kind: 10, size: 13 });
    expect(await one.errno('symlink', 'x', 'newest')).toBe('EEXIST');
    await one.call('symlink', 'labels', 'latest.new');
    await one.call('rename', 'latest.new', 'latest');
    expect(await two.call('readlink', 'latest')).toBe('labels');
  });

  it.skipIf(stage.lacks.temporaryFiles)('gives a nameless file a name', async () => {
    const { one, two } = stage;
    await one.call('temporary', 'f', '');
    await one.call('write', 'f', [7, 10_000]);
    await one.call('linkopen', 'f', 'named');
    expect(await two.attributes('named')).toMatchObject({ size: 10_000, nlink: 1 });
    await one.call('close', 'f');
  });
}

function describeListing(stage: Stage): void {
  it('lists old and new names together, each once', async () => {
    const { one, two } = stage;
    const before = await two.call<string[]>('list', 'crowd');
    await one.put('crowd/000007-bis.jpg', 'new');
    await one.call('unlink', 'crowd/000008.jpg');
    await one.call('rename', 'crowd/000009.jpg', 'crowd/zero.jpg');
    const expected = [...before, '000007-bis.jpg', 'zero.jpg']
      .map((name) => name.replace('crowd/', ''))
      .filter((name) => name !== '000008.jpg' && name !== '000009.jpg');
    expect(await two.call('list', 'crowd')).toEqual(expected.toSorted());
  });

  it('goes on listing while names come and go, and misses none that stayed', async () => {
    const { one, two } = stage;
    await one.call('mkdir', 'busy');
    const stays = Array.from({ length: 300 }, (_, i) => `stays-${i}`);
    for (const name of stays) await one.put(`busy/${name}`, name);
    let isDone = false;
    const changing = (async () => {
      for (let i = 0; !isDone; i += 1) {
        await one.put(`busy/comes-${i % 50}`, 'x');
        await one.call('unlink', `busy/comes-${i % 50}`);
      }
    })();
    for (let round = 0; round < 20; round += 1) {
      const seen = await two.call<string[]>('list', 'busy');
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((name) => name.startsWith('stays-'))).toHaveLength(stays.length);
    }
    isDone = true;
    await changing;
  });
}
