import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MountRow } from '../../src/daemon/protocol.js';
import { isAlive, killAndWait, run, Shell } from './shell.js';

let shell: Shell;

beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
  await shell.must('put', await shell.file('a.txt', 'alpha'), 'drive/main/raw/a.txt');
  await shell.must('commit', 'drive/main', '-m', 'one');
});

afterEach(() => shell.dispose());

async function mounted(name: string): Promise<string> {
  const directory = await shell.mountPoint(name);
  await shell.must('mount', 'drive/main', directory);
  return directory;
}

async function mountTable(): Promise<string> {
  return readFile('/proc/self/mountinfo', 'utf8');
}

describe('mount points', () => {
  it('refuses one that is missing, a file, or not empty, and says what to do', async () => {
    const missing = await shell.tarn(['mount', 'drive/main', shell.path('nosuch')]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`mkdir -p ${shell.path('nosuch')}`);
    const file = await shell.tarn(['mount', 'drive/main', shell.path('a.txt')]);
    expect(file.code).toBe(1);
    expect(file.stderr).toContain('is not a directory');
    await mkdir(shell.path('full'));
    await writeFile(shell.path('full/x'), 'x');
    const full = await shell.tarn(['mount', 'drive/main', shell.path('full')]);
    expect(full.code).toBe(1);
    expect(full.stderr).toContain("is not empty: it holds 'x'");
  });

  it('refuses one that is mounted already or lies in a mount, through a link too', async () => {
    const directory = await mounted('m');
    await symlink(directory, shell.path('link'));
    for (const given of [directory, shell.path('link')]) {
      const again = await shell.tarn(['mount', 'drive/main', given]);
      expect(again.code).toBe(1);
      expect(again.stderr).toContain('already shows tarn://drive/');
      expect(again.stderr).toContain(`tarn umount ${directory}`);
    }
    const inside = await shell.tarn(['mount', 'drive/main', `${directory}/raw`]);
    expect(inside.code).toBe(2);
    expect(inside.stderr).toContain(`is inside the mount at ${directory}`);
  });

  it('mounts one of two commands that want the same directory', async () => {
    const directory = await shell.mountPoint('m');
    const both = await Promise.all(
      [0, 1].map(() => shell.tarn(['mount', 'drive/main', directory])),
    );
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(await readdir(directory)).toEqual(['raw']);
  });

  it('mounts a branch at the commit it has, which stays', async () => {
    const directory = await mounted('m');
    await shell.must('put', await shell.file('b.txt'), 'drive/main/b.txt');
    await shell.must('commit', 'drive/main', '-m', 'two');
    expect(await readdir(directory)).toEqual(['raw']);
    expect(await shell.must('ls', 'drive/main')).toBe('b.txt\nraw/\n');
  });

  it('keeps a mounted repository from being deleted', async () => {
    const directory = await mounted('m');
    const refused = await shell.tarn(['repo', 'delete', 'drive', '--yes']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`is mounted on '${directory}'`);
  });
});

describe('umount', () => {
  it('names who uses the mount, and detaches it when forced', async () => {
    const directory = await mounted('m');
    const holder = spawn('sleep', ['60'], { cwd: directory, stdio: 'ignore' });
    try {
      await once(holder, 'spawn');
      const busy = await shell.tarn(['umount', directory]);
      expect(busy.code).toBe(1);
      expect(busy.stderr).toContain(`sleep (pid ${String(holder.pid)})`);
      expect(await readdir(directory)).toEqual(['raw']);
      await shell.must('umount', '--force', directory);
      expect(await readdir(directory)).toEqual([]);
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
  });

  it('unmounts all, and says so when nothing is there', async () => {
    const first = await mounted('m1');
    const second = await mounted('m2');
    expect((await shell.must('umount', '--all')).split('\n').sort().join('\n').trim()).toBe(
      `unmounted ${first}\nunmounted ${second}`,
    );
    const nothing = await shell.tarn(['umount', first]);
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toContain('nothing of tarn is mounted');
  });

  it('notices an umount from outside', async () => {
    const directory = await mounted('m');
    expect((await run('umount', [directory])).code).toBe(0);
    await expect.poll(() => shell.must('mounts')).toBe('');
    await shell.must('mount', 'drive/main', directory);
  });
});

describe('a daemon that was killed while mounted, and its keeper', () => {
  it('has its keeper before the first mount, and takes it along when it stops', async () => {
    const keeper = await vi.waitFor(async () => {
      const found = await shell.keeper();
      if (found === undefined) throw new Error('there is no keeper yet');
      return found;
    }, 20_000);
    await mounted('m');
    expect(await shell.keeper()).toBe(keeper);
    await shell.must('daemon', 'stop');
    expect(isAlive(keeper)).toBe(false);
  });

  it('leaves a mount that is shown as dead and goes without a daemon', async () => {
    const directory = await mounted('m');
    await shell.killAll();
    await expect(readdir(directory)).rejects.toThrow(/ENOTCONN|ECONNABORTED/);
    const [row] = await shell.jsonRows('mounts');
    expect(row).toMatchObject({ directory, repository: 'drive', state: 'dead' });
    const refused = await shell.tarn(['mount', 'drive/main', directory]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('whose daemon has died');
    await shell.must('umount', directory);
    expect(await mountTable()).not.toContain(directory);
    expect((await shell.tarn(['daemon', 'status'])).code).toBe(1);
    await shell.must('ls', 'drive/main');
    expect(await mountTable()).not.toContain(directory);
  });

  it('is mounted again by the next daemon, at the commit and place that it had', async () => {
    const directory = await mounted('m');
    await shell.must('put', await shell.file('b.txt'), 'drive/main/b.txt');
    await shell.must('commit', 'drive/main', '-m', 'two');
    await shell.must('put', await shell.file('c.txt'), 'drive/main/c.txt');
    const [before] = await shell.jsonRows<MountRow>('mounts');
    await shell.killAll();
    expect(await shell.must('ls', 'drive/main')).toBe('b.txt\nc.txt\nraw/\n');
    const { commit, ref, driver } = before as MountRow;
    expect(await shell.jsonRows<MountRow>('mounts')).toMatchObject([
      { directory, commit, ref, driver, state: 'mounted' },
    ]);
    expect(await readdir(directory)).toEqual(['raw']);
    expect(await readFile(join(directory, 'raw/a.txt'), 'utf8')).toBe('alpha');
  });
});

describe('stopping', () => {
  it('unmounts, also what is in use, and ends the process', async () => {
    const directory = await mounted('m');
    const pid = await shell.daemonPid();
    const holder = spawn('sleep', ['60'], { cwd: directory, stdio: 'ignore' });
    try {
      await once(holder, 'spawn');
      await shell.must('daemon', 'stop');
      expect(isAlive(pid)).toBe(false);
      expect(await mountTable()).not.toContain(directory);
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
  });

  it('unmounts on SIGTERM', async () => {
    const directory = await mounted('m');
    await killAndWait(await shell.daemonPid(), 'SIGTERM');
    expect(await mountTable()).not.toContain(directory);
    expect((await shell.events()).at(-1)?.event).toBe('stopped');
  });
});
