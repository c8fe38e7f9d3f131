import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogRow } from '../../src/daemon/protocol/history.js';
import { FuseNativeDriver } from '../../src/mount/fuse-native/driver.js';
import { run, Shell } from './shell.js';

const BRANCH = 'drive/labels-v2';

const libfuse = await new FuseNativeDriver().unavailable();
const DRIVERS = ['native', ...(libfuse === undefined ? ['fuse-native'] : [])] as const;

let shell: Shell;
beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive', '--storage', shell.path('storage'));
  await shell.must('branch', 'create', BRANCH, '--from', 'main');
  await shell.must('put', await shell.file('f/labels', 'a'), `${BRANCH}/labels/a.json`);
  await shell.must('commit', BRANCH, '-m', 'Labels of run 8421');
});
afterEach(() => shell.dispose());

async function mounted(name: string, ...more: string[]): Promise<string> {
  const directory = await shell.mountPoint(name);
  await shell.must('mount', '--write', BRANCH, directory, ...more);
  return directory;
}

async function newest(): Promise<LogRow | undefined> {
  return (await shell.jsonRows<LogRow>('log', BRANCH, '--limit', '1'))[0];
}

/** Why a message was refused. */
async function refused(at: string, message: string): Promise<{ errno: string; text: string }> {
  const errno = await writeFile(join(at, '.tarn/commit'), message).then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown',
  );
  return { errno, text: await readFile(join(at, '.tarn/commit'), 'utf8') };
}

describe.each(DRIVERS)('.tarn at the root of a branch, mounted by the %s driver', (driver) => {
  it('B16: A write to `.tarn/commit` returns when the commit is made, or says by errno why it is not.', async () => {
    const at = await mounted('m', '--driver', driver, '--author', 'labeler-7');
    expect(await readFile(join(at, '.tarn/commit'), 'utf8')).toContain('Write a message here');
    await writeFile(join(at, 'labels/a.json'), 'relabelled');
    await writeFile(join(at, 'labels/b.json'), 'b');
    await run('mkfifo', [join(at, 'pipe')]);
    const listed = await readFile(join(at, '.tarn/status'), 'utf8');
    expect(listed).toContain(await shell.must('status', BRANCH));
    expect(listed).toMatch(/^M +10 B {2}labels\/a\.json\nA +1 B {2}labels\/b\.json\n!.*pipe/);
    expect(listed).toMatch(/1 added, 1 changed, 0 removed on drive\/labels-v2 at [0-9a-f]{12}\n$/);

    const message = 'Relabel the glare frames\n\nSeen in the dusk.\n\ncalibration: v7\nguide: v3\n';
    await writeFile(join(at, '.tarn/commit'), message);
    const made = await newest();
    expect(made).toMatchObject({
      message: 'Relabel the glare frames\n\nSeen in the dusk.',
      author: 'labeler-7',
      metadata: { calibration: 'v7', guide: 'v3' },
    });
    const id = made?.commit.slice(0, 12) ?? '';
    expect(await readFile(join(at, '.tarn/commit'), 'utf8')).toBe(
      `${id} on ${BRANCH}: Relabel the glare frames\nnot committed: pipe: it is a named pipe\n`,
    );
    const log = await run('cat', [join(at, '.tarn/log')]);
    expect(log.stdout).toBe(await shell.must('log', BRANCH));
    expect(await readFile(join(at, '.tarn/status'), 'utf8')).toMatch(/nothing is staged/);
    expect(await shell.must('cat', `${BRANCH}@/labels/a.json`)).toBe('relabelled');
  });

  it('says with errno and words why nothing was committed, and loses nothing', async () => {
    const at = await mounted('m', '--driver', driver);
    expect(await refused(at, 'Nothing')).toEqual({
      errno: 'ENODATA',
      text: expect.stringContaining('nothing is staged') as string,
    });
    await writeFile(join(at, 'new'), 'new');
    expect((await refused(at, ' \n')).errno).toBe('EINVAL');
    expect((await refused(at, 'x\n\nk: 1\nk: 2')).errno).toBe('EINVAL');
    expect((await refused(at, 'x'.repeat(65_537))).errno).toBe('EINVAL');
    await shell.must('repo', 'require', 'drive/labels-*', 'calibration');
    const { errno, text } = await refused(at, 'No calibration');
    expect(errno).toBe('EACCES');
    expect(text).toMatch(/^not committed: .*calibration/);
    const echoed = await run('sh', ['-c', `echo again > '${at}/.tarn/commit'`]);
    expect(echoed.code).not.toBe(0);
    expect(await readFile(join(at, 'new'), 'utf8')).toBe('new');
    expect((await newest())?.message).toBe('Labels of run 8421');
    await writeFile(join(at, '.tarn/commit'), 'With it\n\ncalibration: v7');
    expect((await newest())?.metadata).toEqual({ calibration: 'v7' });
  });

  it('answers EBUSY where others changed the same path, and keeps both versions', async () => {
    const others = await Shell.open();
    try {
      await others.must('repo', 'add', 'drive', '--storage', shell.path('storage'));
      const at = await mounted('m', '--driver', driver);
      await writeFile(join(at, 'labels/a.json'), 'mine');
      await others.must('put', await others.file('f/a', 'theirs'), `${BRANCH}/labels/a.json`);
      await others.must('commit', BRANCH, '-m', 'Theirs');
      const { errno, text } = await refused(at, 'Mine');
      expect(errno).toBe('EBUSY');
      expect(text).toMatch(/not committed: .*labels\/a\.json[^]*hint: .*tarn conflicts/);
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('mine');
      expect(await shell.must('cat', `${BRANCH}@/labels/a.json`)).toBe('theirs');
      expect((await shell.tarn(['conflicts', BRANCH])).code).toBe(3);
      await shell.must('resolve', BRANCH, 'labels/a.json', '--ours');
      await writeFile(join(at, '.tarn/commit'), 'Mine');
      expect(await shell.must('cat', `${BRANCH}@/labels/a.json`)).toBe('mine');
    } finally {
      await others.dispose();
    }
  });

  it('B15: `.tarn` at the root is reached by name and never listed, unless the branch has such an entry.', async () => {
    const at = await mounted('m', '--driver', driver, '--umask', '027');
    expect(await readdir(at)).toEqual(['labels']);
    expect((await run('find', [at, '-name', '*tarn*'])).stdout).toBe('');
    expect((await readdir(join(at, '.tarn'))).sort()).toEqual(['commit', 'log', 'status']);
    expect((await run('ls', ['-la', join(at, '.tarn')])).code).toBe(0);
    expect((await stat(join(at, '.tarn/commit'))).mode & 0o777).toBe(0o640);
    await mkdir(join(at, 'd'));
    const attempts = [
      mkdir(join(at, '.tarn')),
      rm(join(at, '.tarn'), { recursive: true }),
      rename(join(at, '.tarn'), join(at, 'x')),
      rename(join(at, 'd'), join(at, '.tarn')),
      writeFile(join(at, '.tarn/new'), ''),
      rm(join(at, '.tarn/log')),
      writeFile(join(at, '.tarn/status'), ''),
    ];
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.map(({ status }) => status)).toEqual(attempts.map(() => 'rejected'));
    await writeFile(join(at, '.tarn/commit'), 'A folder');
    expect(await shell.must('ls', '-r', `${BRANCH}@`)).not.toContain('tarn');
    await shell.must('put', await shell.file('f/own', 'own'), `${BRANCH}/.tarn/status`);
    await vi.waitFor(async () => {
      expect(await readFile(join(at, '.tarn/status'), 'utf8')).toBe('own');
    });
    expect((await readdir(at)).sort()).toEqual(['.tarn', 'd', 'labels']);
    await writeFile(join(at, '.tarn/status'), 'changed');
    await shell.must('commit', BRANCH, '-m', 'Its own');
    expect(await shell.must('cat', `${BRANCH}@/.tarn/status`)).toBe('changed');
    await rm(join(at, '.tarn'), { recursive: true });
    expect(await readFile(join(at, '.tarn/status'), 'utf8')).toMatch(/^D .*\.tarn/);
  });

  it('commits while programs go on writing, what is open as of one instant', async () => {
    const at = await mounted('m', '--driver', driver);
    const file = await open(join(at, 'log'), constants.O_RDWR | constants.O_CREAT);
    let made: number;
    try {
      await file.write('first ');
      let isCommitting = true;
      const making = (async (): Promise<number> => {
        for (let i = 0; ; i += 1) {
          if (!isCommitting && i >= 50) return i;
          await writeFile(join(at, 'new'), `${i}`);
          await rename(join(at, 'new'), join(at, `${i}`));
        }
      })();
      const lists = shell.must('ls', BRANCH);
      for (let i = 0; i < 4; i += 1) await writeFile(join(at, '.tarn/commit'), `${i}`);
      isCommitting = false;
      made = await making;
      await lists;
      expect(await shell.must('cat', `${BRANCH}@/log`)).toBe('first ');
      await file.write('second');
    } finally {
      await file.close();
    }
    expect(await readFile(join(at, '.tarn/status'), 'utf8')).toMatch(/^M .* log\n/m);
    await writeFile(join(at, '.tarn/commit'), 'The rest');
    expect((await shell.jsonRows('ls', `${BRANCH}@`)).length).toBe(made + 2);
    expect(await readFile(join(at, '.tarn/status'), 'utf8')).toMatch(/^nothing is staged/);
    expect(await readFile(join(at, 'log'), 'utf8')).toBe('first second');
  });
});
