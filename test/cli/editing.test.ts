import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommitResult } from '../../src/daemon/protocol.js';
import type { ChangeRow, LeftRow } from '../../src/daemon/protocol/staging.js';
import { killAndWait, run, Shell } from './shell.js';

const BRANCH = 'drive/labels-v2';

/** Writes through a map of a file that it has closed, and again at the end of its input. */
const MAPPER = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 4096)
at = libc.mmap(None, 4096, 3, 1, fd, 0)
os.close(fd)
ctypes.memmove(at, b'one', 3)
print('one', flush=True)
sys.stdin.read()
ctypes.memmove(at, b'two', 3)
`;

let shell: Shell;
beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive', '--storage', shell.path('storage'));
  await shell.must('branch', 'create', BRANCH, '--from', 'main');
  await shell.must('put', await shell.file('f/labels', 'a'), `${BRANCH}/labels/a.json`);
  await shell.must('put', await shell.file('f/labels', 'b'), `${BRANCH}/labels/b.json`);
  await shell.must('put', await shell.file('f/x', 'x'), `${BRANCH}/raw/run-8421/x`);
  await shell.must('commit', BRANCH, '-m', 'Labels of run 8421');
});
afterEach(() => shell.dispose());

async function mounted(name = 'm', ...more: string[]): Promise<string> {
  const directory = await shell.mountPoint(name);
  await shell.must('mount', '--write', BRANCH, directory, ...more);
  return directory;
}

async function status(): Promise<{ rows: string[]; left: LeftRow[] }> {
  const all = await shell.jsonRows<ChangeRow | LeftRow>('status', BRANCH);
  return {
    rows: all.flatMap((row) => ('change' in row ? [`${row.change} ${row.path}`] : [])),
    left: all.filter((row) => 'reason' in row),
  };
}

describe('a branch that is mounted for writing', () => {
  it('is changed with plain calls, listed without storing, and committed at once', async () => {
    const at = await mounted();
    await writeFile(join(at, 'labels/.a.json.tmp'), 'relabelled');
    await rename(join(at, 'labels/.a.json.tmp'), join(at, 'labels/a.json'));
    await rm(join(at, 'labels/b.json'));
    await rename(join(at, 'raw/run-8421'), join(at, 'raw/run-8422'));
    await mkdir(join(at, 'calibration'));
    await symlink('../labels', join(at, 'calibration/labels'));
    await writeFile(join(at, '.DS_Store'), 'litter');
    await run('mkfifo', [join(at, 'pipe')]);
    const { rows, left: kept } = await status();
    expect(rows).toEqual([
      'added calibration/',
      'added calibration/labels',
      'changed labels/a.json',
      'removed labels/b.json',
      'removed raw/run-8421/x',
      'added raw/run-8422/x',
    ]);
    const left = [
      { path: '.DS_Store', reason: 'ignored', why: 'an ignore rule names it' },
      { path: 'pipe', reason: 'special', why: 'it is a named pipe' },
    ];
    expect(kept).toEqual(left);
    const made = await shell.json<CommitResult>('commit', BRANCH, '-m', 'Relabel');
    expect(made.left).toEqual(left);
    expect((await status()).rows).toEqual([]);

    const frozen = await shell.mountPoint('frozen');
    await shell.must('mount', made.commit.replace(/^/, 'drive/'), frozen);
    expect(await readFile(join(frozen, 'labels/a.json'), 'utf8')).toBe('relabelled');
    expect(await readFile(join(frozen, 'raw/run-8422/x'), 'utf8')).toBe('x');
    expect((await readdir(frozen)).sort()).toEqual(['calibration', 'labels', 'raw']);
    expect((await readdir(at)).sort()).toEqual([
      '.DS_Store',
      'calibration',
      'labels',
      'pipe',
      'raw',
    ]);
  });

  it('is one with its other mounts and with commands on the branch', async () => {
    const [at, other] = [await mounted('m'), await mounted('n')];
    await writeFile(join(at, 'new'), 'one');
    expect(await readFile(join(other, 'new'), 'utf8')).toBe('one');
    await writeFile(join(other, 'new'), 'two!');
    expect(await readFile(join(at, 'new'), 'utf8')).toBe('two!');
    expect(await shell.must('cat', `${BRANCH}/new`)).toBe('two!');
    await shell.must('put', await shell.file('f/p', 'put'), `${BRANCH}/labels/p.json`);
    await shell.must('mv', `${BRANCH}/labels/a.json`, `${BRANCH}/labels/c.json`);
    for (const each of [at, other]) {
      expect((await readdir(join(each, 'labels'))).sort()).toEqual(['b.json', 'c.json', 'p.json']);
    }
    await shell.must('reset', BRANCH, '--path', 'labels', '--yes');
    expect((await readdir(join(other, 'labels'))).sort()).toEqual(['a.json', 'b.json']);
    expect(await readFile(join(other, 'new'), 'utf8')).toBe('two!');
  });

  it('keeps inode numbers through commits, and what goes on being written', async () => {
    const at = await mounted();
    const file = await open(join(at, 'log'), constants.O_RDWR | constants.O_CREAT);
    try {
      await file.write('first ');
      const { ino } = await stat(join(at, 'log'));
      await shell.must('commit', BRANCH, '-m', 'While it is written');
      expect(await shell.must('cat', `${BRANCH}@/log`)).toBe('first ');
      await file.write('second');
      expect((await stat(join(at, 'log'))).ino).toBe(ino);
    } finally {
      await file.close();
    }
    expect((await status()).rows).toEqual(['changed log']);
    await shell.must('commit', BRANCH, '-m', 'Later');
    expect(await shell.must('cat', `${BRANCH}@/log`)).toBe('first second');
  });

  it('has what a program writes through a map of a file that it has closed', async () => {
    const path = join(await mounted(), 'map');
    const stored = (): Promise<number> =>
      readdir(shell.path('storage'), { recursive: true }).then(({ length }) => length);
    const before = await stored();
    const mapper = spawn('python3', ['-c', MAPPER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(mapper, 'exit');
    try {
      await once(mapper.stdout, 'data');
      await vi.waitUntil(async () => (await stored()) > before, { timeout: 10_000 });
    } finally {
      mapper.stdin.end();
      await ended;
    }
    await shell.must('commit', BRANCH, '-m', 'Written through a map');
    expect((await shell.must('cat', `${BRANCH}@/map`)).slice(0, 3)).toBe('two');
  });

  it('waits with --wait until nobody writes', async () => {
    const at = await mounted();
    const file = await open(join(at, 'log'), 'w');
    await file.write('begun');
    let isDone = false;
    const waiting = shell.tarn(['commit', BRANCH, '-m', 'Whole', '--wait']).finally(() => {
      isDone = true;
    });
    await vi.waitUntil(async () => (await shell.daemonPid()) > 0);
    expect(isDone).toBe(false);
    await file.write(' and ended');
    await file.close();
    expect((await waiting).code).toBe(0);
    expect(await shell.must('cat', `${BRANCH}@/log`)).toBe('begun and ended');
  });

  it('comes back where it was after the daemon was killed, with all that was done', async () => {
    const at = await mounted('m', '--umask', '027');
    await writeFile(join(at, 'closed'), 'closed');
    await rename(join(at, 'labels'), join(at, 'moved'));
    await killAndWait(await shell.daemonPid());
    expect((await status()).rows).toEqual([
      'added closed',
      'removed labels/',
      'added moved/a.json',
      'added moved/b.json',
    ]);
    expect(await shell.mounts()).toMatchObject([
      { directory: at, ref: 'labels-v2', write: true, state: 'mounted' },
    ]);
    expect(await readFile(join(at, 'closed'), 'utf8')).toBe('closed');
    expect((await stat(join(at, 'moved/a.json'))).mode & 0o777).toBe(0o640);
    await shell.must('commit', BRANCH, '-m', 'After all');
    expect(await shell.must('ls', `${BRANCH}@/`)).toBe('closed\nmoved/\nraw/\n');
  });

  it('loses nothing when it is unmounted', async () => {
    const at = await mounted();
    await writeFile(join(at, 'new'), 'new');
    await shell.must('umount', at);
    expect(await shell.must('cat', `${BRANCH}/new`)).toBe('new');
    expect((await status()).rows).toEqual(['added new']);
  });

  it('follows what others commit, and finds what conflicts with it', async () => {
    const others = await Shell.open();
    try {
      await others.must('repo', 'add', 'drive', '--storage', shell.path('storage'));
      const at = await mounted();
      await writeFile(join(at, 'labels/a.json'), 'mine');
      await others.must('put', await others.file('f/a', 'theirs'), `${BRANCH}/labels/a.json`);
      await others.must('put', await others.file('f/o', 'other'), `${BRANCH}/other`);
      await others.must('commit', BRANCH, '-m', 'Theirs');
      await vi.waitUntil(async () => (await readdir(at)).includes('other'), { timeout: 20_000 });
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('mine');
      await writeFile(join(at, 'labels/a.json'), 'mine again');
      expect((await shell.tarn(['commit', BRANCH, '-m', 'Mine'])).code).toBe(3);
      // What changes whole folders waits for that, and keeps nobody from resolving it.
      await rename(join(at, 'raw/run-8421'), join(at, 'raw/run-8422'));
      await shell.must('ls', BRANCH);
      expect((await shell.tarn(['commit', BRANCH, '-m', 'Mine'])).code).toBe(3);
      const listed = await shell.tarn(['conflicts', BRANCH]);
      expect(listed.code).toBe(3);
      expect(listed.stdout).toMatch(/^labels\/a\.json\n.*1 B.*\n.*10 B.*\n.*6 B/);
      await shell.must('resolve', BRANCH, 'labels/a.json', '--theirs');
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('theirs');
      await shell.must('commit', BRANCH, '-m', 'Both');
      expect(await shell.must('cat', `${BRANCH}@/raw/run-8422/x`)).toBe('x');
      expect(await shell.must('cat', `${BRANCH}@/labels/a.json`)).toBe('theirs');
    } finally {
      await others.dispose();
    }
  });

  it('leaves out what .tarnignore names, and takes what it takes back', async () => {
    const at = await mounted();
    await writeFile(join(at, '.tarnignore'), '# scratch\n*.tmp\ncache/\n!keep.swp\n');
    await writeFile(join(at, 'x.tmp'), '');
    await mkdir(join(at, 'cache'));
    await writeFile(join(at, 'cache/y'), '');
    await writeFile(join(at, 'keep.swp'), '');
    await writeFile(join(at, 'lose.swp'), '');
    await shell.must('commit', BRANCH, '-m', 'Ignore');
    expect(await shell.must('ls', `${BRANCH}@/`)).toBe('.tarnignore\nkeep.swp\nlabels/\nraw/\n');
    expect(await readdir(at)).toContain('lose.swp');
  });
});

describe('mounting for writing', () => {
  it('refuses what is no branch, with the command that makes one of it', async () => {
    await shell.must('tag', 'create', 'drive/prod-2025-08-15', 'labels-v2');
    const at = await shell.mountPoint('m');
    for (const ref of ['prod-2025-08-15', 'labels-v2@', 'labels-v2~0']) {
      const refused = await shell.tarn(['mount', '--write', `drive/${ref}`, at]);
      expect(refused.code).toBe(2);
      const [, command = ''] = /(branch create .*), and mount/.exec(refused.stderr) ?? [];
      expect(command).not.toBe('');
      await shell.must(...command.replaceAll("'", '').split(' '));
    }
    expect((await shell.tarn(['mount', BRANCH, at, '--umask', '027'])).code).toBe(2);
  });

  it('keeps the branch from going away', async () => {
    const at = await mounted();
    for (const args of [
      ['branch', 'delete', BRANCH, '--yes'],
      ['branch', 'rename', BRANCH, 'labels-v3'],
      ['repo', 'delete', 'drive', '--yes'],
    ]) {
      const refused = await shell.tarn(args);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('mounted');
    }
    await writeFile(join(at, 'new'), 'new');
    await shell.must('umount', at);
    await shell.must('branch', 'rename', BRANCH, 'labels-v3');
    expect(await shell.must('cat', 'drive/labels-v3/new')).toBe('new');
  });
});
