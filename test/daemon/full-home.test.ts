import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive, killAndWait, run, Shell } from '../cli/shell.js';

/** Only root can mount a small file system to fill. */
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('a home on a full disk (needs root, to mount one)', () => {
  let shell: Shell;
  let pid: number;

  beforeEach(async () => {
    shell = await Shell.open();
    mkdirSync(shell.home);
    const options = 'size=8m,mode=0700';
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tarn-test', shell.home]);
    await shell.must('repo', 'create', 'drive', '--storage', shell.path('drive'));
    await shell.must('put', await shell.file('a.txt', 'alpha'), 'drive/main/a.txt');
    await shell.must('commit', 'drive/main', '-m', 'one');
    pid = await shell.daemonPid();
  });

  afterEach(async () => {
    await shell.tarn(['daemon', 'stop']);
    if (isAlive(pid)) await killAndWait(pid);
    await run('umount', ['-l', shell.home]);
    await shell.dispose();
  });

  function fillHome(): void {
    const file = openSync(shell.path('home', 'ballast'), 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    } finally {
      closeSync(file);
    }
  }

  it('goes on serving mounts, and forgets one that was taken away', async () => {
    const kept = await shell.mountPoint('kept');
    const gone = await shell.mountPoint('gone');
    await shell.must('mount', 'drive/main', kept);
    await shell.must('mount', 'drive/main', gone);
    fillHome();
    expect((await run('umount', [gone])).code).toBe(0);
    const directories = async (): Promise<unknown> =>
      (await shell.jsonRows<{ directory: string }>('mounts')).map(({ directory }) => directory);
    await expect.poll(directories).toEqual([kept]);
    await shell.must('mount', 'drive/main', gone);
    expect(await readFile(`${gone}/a.txt`, 'utf8')).toBe('alpha');
    await shell.must('umount', gone);
    expect(await directories()).toEqual([kept]);
    expect(await shell.daemonPid()).toBe(pid);
    await shell.must('daemon', 'stop');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(kept);
  });

  it('B17: On a full disk writers get ENOSPC, all that was staged stays, and files can be removed.', async () => {
    const at = await shell.mountPoint('m');
    await shell.must('mount', '--write', 'drive/main', at);
    await writeFile(`${at}/kept`, 'kept');
    await mkdir(`${at}/d`);
    const small = Array.from({ length: 200 }, (_, i) => `${at}/d/${i}`);
    for (const file of small) await writeFile(file, 'x');
    const big = Buffer.alloc(16_777_216, 'x');
    await expect(writeFile(`${at}/big`, big)).rejects.toMatchObject({ code: 'ENOSPC' });
    fillHome();
    await expect(writeFile(`${at}/new`, 'new')).rejects.toMatchObject({ code: 'ENOSPC' });
    expect((await statfs(at)).bavail).toBe(0);
    expect(await readFile(`${at}/kept`, 'utf8')).toBe('kept');
    for (const file of small) await rm(file);
    await rm(shell.path('home', 'ballast'));
    await rm(`${at}/big`);
    await writeFile(`${at}/new`, 'new');
    await shell.must('commit', 'drive/main', '-m', 'What there was room for');
    expect(await shell.must('ls', '-r', 'drive/main@')).toBe('a.txt\nd/\nkept\nnew\n');
  });

  it('records all mounts again once there is room', async () => {
    const [first, second] = [await shell.mountPoint('m1'), await shell.mountPoint('m2')];
    fillHome();
    await shell.must('mount', 'drive/main', first);
    await rm(shell.path('home', 'ballast'));
    await shell.must('mount', 'drive/main', second);
    await shell.killAll();
    await shell.must('daemon', 'start');
    pid = await shell.daemonPid();
    expect(await shell.mounts()).toMatchObject([
      { directory: first, state: 'mounted' },
      { directory: second, state: 'mounted' },
    ]);
  });
});
