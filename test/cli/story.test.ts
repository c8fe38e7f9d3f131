import {
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, killAndWait, MAIN, run, Shell } from './shell.js';

const RUN = 'raw/2025-06-14/run-8421';
const MTIME = new Date('2025-06-14T05:31:07.250Z');

async function sameBytes(a: string, b: string): Promise<boolean> {
  return (await readFile(a)).equals(await readFile(b));
}

describe('a drive, from recording to mount', () => {
  let shell: Shell;

  beforeAll(async () => {
    shell = await Shell.open();
    const log = await shell.file('run-8421/log.mcap', Buffer.alloc(3_000_000, 'lidar'));
    await shell.file('run-8421/frames/000001.jpg', 'jpeg');
    await mkdir(shell.path('run-8421/empty'));
    await symlink('log.mcap', shell.path('run-8421/latest'));
    await utimes(log, MTIME, MTIME);
  });

  afterAll(() => shell.dispose());

  it('creates a repository with an empty first commit on main', async () => {
    const made = await shell.json<{ name: string }>('repo', 'create', 'drive');
    expect(made.name).toBe('drive');
    const shown = await shell.json<{ branches: number; tags: number; entries: number }>(
      'repo',
      'show',
      'drive',
    );
    expect(shown).toMatchObject({ branches: 1, tags: 0, entries: 0 });
    expect(await shell.must('repo', 'list')).toContain('drive\t');
  });

  it('stages a folder, shows it on the branch and not in what is committed', async () => {
    const put = await shell.json('put', '-r', shell.path('run-8421'), `drive/main/${RUN}`);
    expect(put).toMatchObject({ files: 2, symlinks: 1, failureCount: 0 });
    expect(await shell.must('ls', `drive/main/${RUN}`)).toBe('empty/\nframes/\nlatest\nlog.mcap\n');
    expect((await shell.tarn(['ls', `drive/main@/${RUN}`])).code).toBe(1);
    const rows = await shell.jsonRows<{ path: string; change: string }>('status', 'drive/main');
    expect(rows.map(({ path, change }) => `${change} ${path}`)).toEqual([
      `added ${RUN}/empty/`,
      `added ${RUN}/frames/000001.jpg`,
      `added ${RUN}/latest`,
      `added ${RUN}/log.mcap`,
    ]);
  });

  it('commits with metadata, logs and tags', async () => {
    const commit = ['commit', 'drive/main', '-m', 'Ingest run 8421', '--meta', 'vehicle=av-07'];
    const made = await shell.json<{ commit: string }>(...commit, '--author', 'Ada');
    const [newest, first] = await shell.jsonRows<{ commit: string }>('log', 'drive/main');
    expect(newest).toMatchObject({
      commit: made.commit,
      author: 'Ada',
      message: 'Ingest run 8421',
      metadata: { vehicle: 'av-07' },
    });
    expect(newest).toHaveProperty('parents', [first?.commit]);
    await shell.must('tag', 'create', 'drive/golden');
    const shown = await shell.json('show', 'drive/golden');
    expect(shown).toMatchObject({ commit: made.commit, tags: ['golden'], branches: ['main'] });
    expect(await shell.must('log', 'drive/golden', '-n', '1')).toContain('Ingest run 8421');
    expect((await shell.tarn(['status', 'drive/main'])).stderr).toContain('nothing is staged');
  });

  it('branches where the repository is known by a bare ref', async () => {
    await shell.must('branch', 'create', 'drive/labels-v2', '--from', 'golden');
    await shell.must('branch', 'create', 'drive/before', '--from', 'drive/main~1');
    const rows = await shell.jsonRows<{ name: string }>('branch', 'list', 'drive');
    expect(rows.map(({ name }) => name)).toEqual(['before', 'labels-v2', 'main']);
    await shell.must('branch', 'delete', 'drive/before', '--yes');
    expect(await shell.must('branch', 'list', 'drive')).not.toContain('before');
  });

  it('prints bytes, ranges of them, and details', async () => {
    expect(await shell.must('cat', `drive/golden/${RUN}/log.mcap`, '--range', '5-9')).toBe('lidar');
    expect(await shell.must('cat', `drive/golden/${RUN}/log.mcap`, '--range', '-5')).toBe('lidar');
    const whole = await shell.must('cat', `drive/golden/${RUN}/log.mcap`);
    expect(whole === (await readFile(shell.path('run-8421/log.mcap'), 'utf8'))).toBe(true);
    const found = await shell.json('stat', `drive/golden/${RUN}/log.mcap`);
    expect(found).toMatchObject({ size: 3_000_000, mtime: '2025-06-14T05:31:07.250000000Z' });
    expect(await shell.json('du', 'drive/golden/raw')).toMatchObject({ bytes: 3_000_012 });
  });

  it('gets a folder back with modes, times and links', async () => {
    const to = shell.path('copy');
    expect(await shell.json('get', '-r', `drive/golden/${RUN}`, to)).toMatchObject({ failed: [] });
    expect((await readdir(to)).sort()).toEqual(['empty', 'frames', 'latest', 'log.mcap']);
    expect((await stat(`${to}/log.mcap`)).mtimeMs).toBe(MTIME.getTime());
    expect(await readlink(`${to}/latest`)).toBe('log.mcap');
    expect(await sameBytes(`${to}/log.mcap`, shell.path('run-8421/log.mcap'))).toBe(true);
    expect((await lstat(`${to}/empty`)).isDirectory()).toBe(true);
  });

  it('puts stdin, removes, and refuses a folder without -r', async () => {
    const labels = { input: '{"class":"X"}' };
    const put = await shell.tarn(['put', '-', 'drive/main/labels/run-8421.json'], labels);
    expect(put.code).toBe(0);
    expect(await shell.must('cat', 'drive/main/labels/run-8421.json')).toBe('{"class":"X"}');
    const refused = await shell.tarn(['rm', 'drive/main/raw']);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain("'drive/main/raw' is a folder");
    await shell.must('rm', '-r', '--yes', 'drive/main/raw');
    expect(await shell.must('ls', 'drive/main')).toBe('labels/\n');
    await shell.must('commit', 'drive/main', '-m', 'Labels alone', '--path', 'labels');
    expect(await shell.must('ls', 'drive/main@')).toBe('labels/\nraw/\n');
    expect(await readdir(`${shell.home}/spool`)).toEqual([]);
  });

  it('mounts the tag, which stays what it was', async () => {
    const directory = await shell.mountPoint('golden');
    await shell.must('mount', 'drive/golden', directory);
    expect(await readdir(`${directory}/${RUN}`)).toEqual(['empty', 'frames', 'latest', 'log.mcap']);
    const mounted = `${directory}/${RUN}/log.mcap`;
    expect(await sameBytes(mounted, shell.path('run-8421/log.mcap'))).toBe(true);
    const [row] = await shell.jsonRows('mounts');
    expect(row).toMatchObject({ directory, repository: 'drive', ref: 'golden', driver: 'native' });
    expect(await shell.must('umount', directory)).toBe(`unmounted ${directory}\n`);
    expect(await readdir(directory)).toEqual([]);
  });

  it('deletes a repository with its storage', async () => {
    const { storage } = await shell.json<{ storage: string }>('repo', 'show', 'drive');
    await shell.must('repo', 'delete', 'drive', '--yes');
    expect((await shell.tarn(['ls', 'drive/main'])).code).toBe(1);
    await expect(stat(storage)).rejects.toThrow('ENOENT');
  });
});

describe('pipes and signals', () => {
  let shell: Shell;

  beforeAll(async () => {
    shell = await Shell.open();
    await shell.must('repo', 'create', 'drive');
    await mkdir(shell.path('many'));
    const names = Array.from({ length: 3_000 }, (_, i) => `frame-${String(i).padStart(6, '0')}`);
    await Promise.all(names.map((name) => writeFile(shell.path('many', name), name)));
    await shell.must('put', '-r', shell.path('many'), 'drive/main/frames');
  });

  afterAll(() => shell.dispose());

  it('says nothing when the reader has seen enough', async () => {
    const script = `"$0" "$1" ls -r --json drive/main | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const ran = await run('env', [
      `TARN_HOME=${shell.home}`,
      'bash',
      '-c',
      script,
      process.execPath,
      MAIN,
    ]);
    expect(ran.stderr).toBe('');
    expect(ran.stdout.split('\n')[1]).toBe('0');
  });

  it('lists every file once, on the branch and in the commit', async () => {
    const staged = await shell.must('ls', '-r', 'drive/main');
    expect(staged.trim().split('\n')).toHaveLength(3_000);
    await shell.must('commit', 'drive/main', '-m', 'frames');
    expect(await shell.must('ls', '-r', 'drive/main@')).toBe(staged);
    const [row] = await shell.jsonRows('ls', '-l', 'drive/main');
    expect(row).toEqual({ path: 'frames', kind: 'directory', size: 36_000, entries: 3_000 });
  });

  it('fails with words when the daemon is killed in the middle', async () => {
    await run('truncate', ['-s', '20G', shell.path('sparse.bin')]);
    const put = ended(shell.start(['put', shell.path('sparse.bin'), 'drive/main/sparse.bin']));
    const jobs = async (): Promise<number> =>
      (await shell.json<{ jobs: unknown[] }>('daemon', 'status')).jobs.length;
    await expect.poll(jobs, { timeout: 20_000 }).toBe(1);
    await killAndWait(await shell.daemonPid());
    const ran = await put;
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('the daemon went away before it had answered');
    expect((await shell.tarn(['status', 'drive/main'])).stderr).toContain('nothing is staged');
  });
});
