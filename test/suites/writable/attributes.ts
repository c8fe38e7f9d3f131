import { expect, it } from 'vitest';
import { base64 } from './caller.js';
import type { Stage } from './stage.js';

const CREATE = 1;
const REPLACE = 2;
const NEVER_BEFORE = '1000000000';

/** Modes, owners, times, inode numbers and extended attributes. */
export function describeAttributes(stage: Stage): void {
  describeModes(stage);
  describeTimes(stage);
  describeNumbers(stage);
  if (stage.lacks.attributes !== true) describeExtended(stage);
}

function describeModes(stage: Stage): void {
  it('changes modes of files and directories, new ones and old', async () => {
    const { one, two } = stage;
    await one.put('moded', 'x');
    for (const path of ['moded', 'notes.txt', 'labels']) {
      await one.call('chmod', path, 0o751);
      expect((await two.attributes(path)).mode, path).toBe(0o751);
    }
    await one.call('open', 'f', 'moded', 'O_RDONLY');
    await one.call('fchmod', 'f', 0o600);
    await one.call('close', 'f');
    expect((await two.attributes('moded')).mode).toBe(0o600);
  });

  it('applies the umask to what is made', async () => {
    const { one } = stage;
    await one.call('umask', 0o077);
    await one.call('open', 'f', 'masked', 'O_WRONLY|O_CREAT', 0o666);
    await one.call('close', 'f');
    await one.call('mkdir', 'masked-directory', 0o777);
    await one.call('umask', 0o022);
    expect((await one.attributes('masked')).mode).toBe(0o600);
    expect((await one.attributes('masked-directory')).mode).toBe(0o700);
  });

  it('refuses what modes do not allow', async () => {
    const { one } = stage;
    await one.put('secret', 'x');
    await one.call('chmod', 'secret', 0);
    const root = process.getuid?.() === 0;
    const opened = await one.outcome('open', 'f', 'secret', 'O_RDONLY');
    expect('ok' in opened).toBe(root);
    await one.call('closeall');
  });
}

function describeTimes(stage: Stage): void {
  it.skipIf(stage.lacks.nanoseconds)('sets times to the nanosecond', async () => {
    const { one, two } = stage;
    await one.put('timed', 'x');
    for (const path of ['timed', 'notes.txt', 'labels', 'latest']) {
      await one.call('utimes', path, '1700000000123456789', '1700000001987654321');
      const seen = await two.attributes(path);
      expect(seen.mtime, path).toBe('1700000001987654321');
      expect(seen.atime, path).toBe('1700000000123456789');
    }
  });

  it('moves the time of a file when it is written, and only then', async () => {
    const { one, two } = stage;
    await one.put('dated', 'x');
    await one.call('utimes', 'dated', NEVER_BEFORE, NEVER_BEFORE);
    await one.call('chmod', 'dated', 0o600);
    await one.call('rename', 'dated', 'dated-too');
    expect((await two.attributes('dated-too')).mtime).toBe(NEVER_BEFORE);
    for (const change of ['write', 'truncate']) {
      await one.call('utimes', 'dated-too', NEVER_BEFORE, NEVER_BEFORE);
      const before = await two.attributes('dated-too');
      await one.call('open', 'f', 'dated-too', 'O_WRONLY');
      expect((await two.attributes('dated-too')).mtime).toBe(NEVER_BEFORE);
      if (change === 'write') await one.call('pwrite', 'f', 0, base64('y'));
      else await one.call('ftruncate', 'f', 7);
      await one.call('close', 'f');
      const after = await two.attributes('dated-too');
      expect(BigInt(after.mtime), change).toBeGreaterThan(BigInt(NEVER_BEFORE));
      expect(BigInt(after.ctime), change).toBeGreaterThanOrEqual(BigInt(before.ctime));
    }
  });

  it('keeps a time that was set when the file is opened for writing', async () => {
    const { one, two } = stage;
    for (const path of ['logs/dated.mcap', 'dated.txt']) {
      await one.call('utimes', path, NEVER_BEFORE, NEVER_BEFORE);
      await one.call('open', 'f', path, 'O_RDWR');
      await one.call('close', 'f');
      expect((await two.attributes(path)).mtime, path).toBe(NEVER_BEFORE);
    }
  });

  it('moves the time of a directory when a name in it comes, goes or moves', async () => {
    const { one, two } = stage;
    await one.call('mkdir', 'calendar');
    await one.call('mkdir', 'elsewhere');
    const moves = async (act: () => Promise<unknown>, ...directories: string[]): Promise<void> => {
      for (const each of directories) await one.call('utimes', each, NEVER_BEFORE, NEVER_BEFORE);
      await act();
      for (const each of directories) {
        expect(BigInt((await two.attributes(each)).mtime)).toBeGreaterThan(BigInt(NEVER_BEFORE));
      }
    };
    await moves(() => one.put('calendar/a', 'x'), 'calendar');
    await moves(() => one.call('link', 'calendar/a', 'calendar/b'), 'calendar');
    await moves(() => one.call('unlink', 'calendar/b'), 'calendar');
    await moves(() => one.call('symlink', 'a', 'calendar/s'), 'calendar');
    await moves(() => one.call('mkdir', 'calendar/d'), 'calendar');
    await moves(() => one.call('rmdir', 'calendar/d'), 'calendar');
    await moves(() => one.call('rename', 'calendar/a', 'elsewhere/a'), 'calendar', 'elsewhere');
    await one.call('utimes', 'elsewhere', NEVER_BEFORE, NEVER_BEFORE);
    await one.put('elsewhere/a', 'its bytes are no name');
    expect((await two.attributes('elsewhere')).mtime).toBe(NEVER_BEFORE);
  });
}

function describeNumbers(stage: Stage): void {
  it.skipIf(stage.lacks.inodes)(
    'keeps the number of a node through all that is done to it',
    async () => {
      const { one, two } = stage;
      await one.put('numbered', 'x');
      const { inode } = await one.attributes('numbered');
      await one.call('chmod', 'numbered', 0o600);
      await one.call('rename', 'numbered', 'labels/numbered');
      await one.call('link', 'labels/numbered', 'numbered');
      await one.call('truncate', 'numbered', 100_000);
      for (const path of ['labels/numbered', 'numbered']) {
        expect((await two.attributes(path)).inode, path).toBe(inode);
      }
      expect(await two.call('listinodes', 'labels')).toMatchObject({ numbered: inode });
      const old = await one.attributes('crowd/000100.jpg');
      await one.call('open', 'f', 'crowd/000100.jpg', 'O_WRONLY|O_APPEND');
      await one.call('write', 'f', base64('!'));
      await one.call('close', 'f');
      await one.call('rename', 'crowd/000100.jpg', 'moved-frame.jpg');
      expect((await two.attributes('moved-frame.jpg')).inode).toBe(old.inode);
      await one.put('crowd/000100.jpg', 'made anew');
      expect((await two.attributes('crowd/000100.jpg')).inode).not.toBe(old.inode);
    },
  );

  it.skipIf(stage.lacks.inodes)('lists the numbers that lstat gives', async () => {
    const { one } = stage;
    const listed = await one.call<Record<string, number>>('listinodes', '');
    for (const [name, inode] of Object.entries(listed)) {
      expect((await one.attributes(name)).inode, name).toBe(inode);
    }
    expect(new Set(Object.values(listed)).size).toBeGreaterThan(5);
  });
}

function describeExtended(stage: Stage): void {
  it('keeps extended attributes of the user', async () => {
    const { one, two } = stage;
    await one.put('attributed', 'x');
    for (const path of ['attributed', 'notes.txt', 'labels']) {
      const value = Buffer.from([0, 1, 255, 10]).toString('base64');
      await one.call('setxattr', path, 'user.sensor', value);
      expect(await two.call('getxattr', path, 'user.sensor'), path).toBe(value);
      const create = ['setxattr', path, 'user.sensor', base64('y'), CREATE];
      expect(await one.errno(...create)).toBe('EEXIST');
      const replace = ['setxattr', path, 'user.none', base64('y'), REPLACE];
      expect(await one.errno(...replace)).toBe('ENODATA');
      await one.call('setxattr', path, 'user.empty', '');
      const own = (await two.call<string[]>('listxattr', path)).filter((name) =>
        /^user\.(sensor|empty)$/.test(name),
      );
      expect(own, path).toEqual(['user.empty', 'user.sensor']);
      await one.call('removexattr', path, 'user.empty');
      expect(await one.errno('removexattr', path, 'user.empty')).toBe('ENODATA');
      expect(await two.errno('getxattr', path, 'user.empty')).toBe('ENODATA');
    }
    await one.call('rename', 'attributed', 'attributed-too');
    expect(await two.call('listxattr', 'attributed-too')).toContain('user.sensor');
  });
}
