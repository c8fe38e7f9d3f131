import { open, opendir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MountRow } from '../../src/daemon/protocol.js';
import { killAndWait, Shell } from './shell.js';

const BRANCH = 'drive/labels-v2';

let shell: Shell;
beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive', '--storage', shell.path('storage'));
  await shell.must('branch', 'create', BRANCH, '--from', 'main');
  await commit({ 'labels/a.json': 'a', 'labels/b.json': 'b', 'raw/run-8421/x': 'x' });
});
afterEach(() => shell.dispose());

async function commit(files: Readonly<Record<string, string>>, by = shell): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await by.must('put', await by.file(`put/${path}`, bytes), `${BRANCH}/${path}`);
  }
  await by.must('commit', BRANCH, '-m', 'Label');
}

async function following(driver = 'native'): Promise<string> {
  const directory = await shell.mountPoint('m');
  await shell.must('mount', '--follow', BRANCH, directory, '--driver', driver);
  return directory;
}

async function head(): Promise<string> {
  return (await shell.json<{ commit: string }>('show', `${BRANCH}@`)).commit;
}

async function row(): Promise<MountRow> {
  const [only] = await shell.jsonRows<MountRow>('mounts');
  return only as MountRow;
}

describe('a mount that follows a branch', () => {
  it.each(['native', 'fuse-native'])(
    'shows what is committed, and only that, by %s',
    async (driver) => {
      const at = await following(driver);
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('a');
      await expect(stat(join(at, 'new/c'))).rejects.toThrow('ENOENT');
      const before = await row();
      await shell.must('put', await shell.file('f/c', 'c'), `${BRANCH}/new/c`);
      await shell.must('put', await shell.file('f/a', 'relabelled'), `${BRANCH}/labels/a.json`);
      await shell.must('rm', '-r', `${BRANCH}/raw`, '--yes');
      expect(await readdir(at)).toEqual(['labels', 'raw']);
      await shell.must('commit', BRANCH, '-m', 'Relabel');
      expect(await readFile(join(at, 'new/c'), 'utf8')).toBe('c');
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('relabelled');
      expect((await stat(join(at, 'labels/a.json'))).size).toBe(10);
      expect(await readdir(at)).toEqual(['labels', 'new']);
      await expect(writeFile(join(at, 'labels/b.json'), 'x')).rejects.toThrow('EROFS');
      expect(await row()).toMatchObject({ ref: 'labels-v2', follow: true, commit: await head() });
      expect(before.commit).not.toBe(await head());
    },
  );

  it('goes on with what was opened, and keeps numbers of what did not change', async () => {
    await commit({ 'labels/log': 'first' });
    const at = await following();
    const { ino } = await stat(join(at, 'labels/b.json'));
    const labels = (await stat(join(at, 'labels'))).ino;
    const file = await open(join(at, 'labels/log'));
    const listing = await opendir(join(at, 'labels'), { bufferSize: 1 });
    try {
      const names = [(await listing.read())?.name];
      await commit({ 'labels/log': 'second!', 'labels/aa': 'new' });
      expect(await file.readFile('utf8')).toBe('first');
      expect((await file.stat()).size).toBe(5);
      for await (const { name } of listing) names.push(name);
      expect(names.sort()).toEqual(['a.json', 'b.json', 'log']);
    } finally {
      await file.close();
    }
    expect(await readFile(join(at, 'labels/log'), 'utf8')).toBe('second!');
    expect(await readdir(join(at, 'labels'))).toEqual(['a.json', 'aa', 'b.json', 'log']);
    expect((await stat(join(at, 'labels/b.json'))).ino).toBe(ino);
    expect((await stat(join(at, 'labels'))).ino).toBe(labels);
  });

  it('shows merges, resets and what other processes commit', async () => {
    const at = await following();
    await shell.must('branch', 'create', 'drive/fix', '--from', 'labels-v2');
    await shell.must('put', await shell.file('f/m', 'merged'), 'drive/fix/merged');
    await shell.must('commit', 'drive/fix', '-m', 'Fix');
    await shell.must('merge', 'drive/fix', BRANCH);
    expect(await readFile(join(at, 'merged'), 'utf8')).toBe('merged');
    await shell.must('reset', BRANCH, 'labels-v2~1', '--yes');
    expect(await readdir(at)).toEqual(['labels', 'raw']);
    const others = await Shell.open();
    try {
      await others.must('repo', 'add', 'drive', '--storage', shell.path('storage'));
      await commit({ 'labels/theirs': 'theirs' }, others);
    } finally {
      await others.dispose();
    }
    await vi.waitUntil(async () => (await readdir(join(at, 'labels'))).includes('theirs'), {
      timeout: 20_000,
    });
    expect(await row()).toMatchObject({ commit: await head() });
  });

  it('M8: When the branch is deleted, the mount stays at the last commit that it showed.', async () => {
    const at = await following();
    await shell.must('branch', 'delete', BRANCH, '--yes');
    expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('a');
    expect(await row()).toMatchObject({ ref: 'labels-v2', follow: true, gone: true });
    expect(await shell.must('mounts')).toContain('the branch is gone');
    await shell.must('branch', 'create', BRANCH, '--from', 'main');
    await commit({ again: 'again' });
    expect(await readdir(at)).toEqual(['again']);
    expect((await row()).gone).toBeUndefined();
  });

  it('comes back after the daemon was killed, and follows on', async () => {
    const at = await following();
    await killAndWait(await shell.daemonPid());
    await commit({ 'labels/c.json': 'c' });
    expect(await row()).toMatchObject({ directory: at, follow: true, commit: await head() });
    await commit({ 'labels/d.json': 'd' });
    expect(await readdir(join(at, 'labels'))).toEqual(['a.json', 'b.json', 'c.json', 'd.json']);
  });

  it('is refused for what never moves, and for writing', async () => {
    await shell.must('tag', 'create', 'drive/golden', 'labels-v2');
    const at = await shell.mountPoint('m');
    for (const ref of ['golden', 'labels-v2@', 'labels-v2~0', await head()]) {
      const refused = await shell.tarn(['mount', '--follow', `drive/${ref}`, at]);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('nothing to follow');
    }
    expect((await shell.tarn(['mount', '--follow', '--write', BRANCH, at])).code).toBe(2);
  });
});
