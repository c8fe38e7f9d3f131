import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MountRow } from '../../src/daemon/protocol.js';
import { killAndWait, run, Shell } from './shell.js';

let shell: Shell;
let first: string;
let second: string;
/** A moment at which the first commit was the newest one. */
let between: string;

beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
  first = await commit({ 'labels/a.json': 'a', 'raw/run-8421/x': 'x' });
  await shell.must('tag', 'create', 'drive/golden', 'main');
  between = new Date().toISOString();
  second = await commit({ 'labels/a.json': 'relabelled' });
  await shell.must('branch', 'create', 'drive/labels-v2', '--from', 'main');
});
afterEach(() => shell.dispose());

async function commit(files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, bytes] of Object.entries(files)) {
    await shell.must('put', await shell.file(`put/${path}`, bytes), `drive/main/${path}`);
  }
  const made = await shell.json<{ commit: string }>('commit', 'drive/main', '-m', 'Label');
  return made.commit;
}

async function mounted(driver = 'native'): Promise<(path: string) => string> {
  const directory = await shell.mountPoint('m');
  await shell.must('mount', 'drive', directory, '--driver', driver);
  return (path) => join(directory, path);
}

describe.each(['native', 'fuse-native'])('a repository as a directory, by %s', (driver) => {
  it('has branches, tags, commits and times, and lists the names that there are', async () => {
    const at = await mounted(driver);
    expect(await readdir(at(''))).toEqual(['at', 'branches', 'commits', 'tags']);
    expect((await readdir(at('branches'))).sort()).toEqual(['labels-v2', 'main']);
    expect(await readdir(at('tags'))).toEqual(['golden']);
    expect(await readdir(at('commits'))).toEqual([]);
    expect(await readdir(at('at'))).toEqual([]);
    expect(await readdir(at(`at/${between}`))).toEqual(['main']);
    const shown = {
      'branches/main': 'relabelled',
      'tags/golden': 'a',
      [`commits/${first}`]: 'a',
      [`commits/${second.slice(0, 12)}`]: 'relabelled',
      [`at/${between}/main`]: 'a',
      'at/now/labels-v2': 'relabelled',
    };
    for (const [path, bytes] of Object.entries(shown)) {
      expect(await readFile(at(`${path}/labels/a.json`), 'utf8'), path).toBe(bytes);
    }
    for (const path of [
      'branches/none',
      'tags/main',
      'commits/main',
      `commits/${'0'.repeat(64)}`,
      'at/sometime',
      'at/2999-01-01',
      'at/2001-01-01/main',
      `at/${between}/labels-v2`,
      'elsewhere',
    ]) {
      await expect(stat(at(path)), path).rejects.toThrow('ENOENT');
    }
    await expect(writeFile(at('branches/main/labels/a.json'), 'x')).rejects.toThrow('EROFS');
    await expect(writeFile(at('branches/new'), 'x')).rejects.toThrow('EROFS');
  });

  it('leads from a name to the newest commit, and stays where somebody stands', async () => {
    const at = await mounted(driver);
    const file = await open(at('branches/main/labels/a.json'));
    const reader = spawn('sh', ['-c', 'read go; cat labels/a.json; ls labels'], {
      cwd: at('branches/main'),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(reader, 'spawn');
      await expect(stat(at('branches/late'))).rejects.toThrow('ENOENT');
      await shell.must('branch', 'create', 'drive/late', '--from', 'main');
      await commit({ 'labels/a.json': 'a third time', 'labels/b.json': 'b' });
      expect(await readFile(at('branches/main/labels/a.json'), 'utf8')).toBe('a third time');
      expect(await readdir(at('branches/main/labels'))).toEqual(['a.json', 'b.json']);
      expect(await readdir(at('branches'))).toContain('late');
      expect(await readFile(at('branches/late/labels/a.json'), 'utf8')).toBe('relabelled');
      // Libfuse goes by paths.
      if (driver === 'native') {
        expect(await readFile(file, 'utf8')).toBe('relabelled');
        reader.stdin.write('go\n');
        expect(await text(reader.stdout)).toBe('relabelleda.json\n');
      }
    } finally {
      await file.close();
      reader.kill();
    }
    await shell.must('branch', 'delete', 'drive/late', '--yes');
    await expect(stat(at('branches/late'))).rejects.toThrow('ENOENT');
  });
});

describe('a repository as a directory', () => {
  it('is compared and copied with plain programs', async () => {
    const at = await mounted();
    const compared = await run('diff', ['-r', at('branches/main'), at(`at/${between}/main`)]);
    expect(compared.code).toBe(1);
    expect(compared.stdout).toContain('< relabelled');
    expect(compared.stdout).not.toContain('Only in');
    expect((await run('diff', ['-r', at('tags/golden'), at(`commits/${first}`)])).code).toBe(0);
    const target = shell.path('copy');
    expect((await run('cp', ['-a', at('tags/golden'), target])).code).toBe(0);
    expect(await readFile(join(target, 'raw/run-8421/x'), 'utf8')).toBe('x');
    const found = await run('find', [at('branches'), '-name', 'a.json']);
    expect(found.stdout.split('\n').length).toBe(3);
    const attributes = await run('python3', [
      '-c',
      'import os,sys; print(os.getxattr(sys.argv[1], "user.tarn.ref").decode())',
      at(`at/${between}/main/labels/a.json`),
    ]);
    expect(attributes.stdout.trim()).toBe(`main@{${between}}`);
  });

  it('comes back after the daemon was killed', async () => {
    const at = await mounted();
    await killAndWait(await shell.daemonPid());
    await shell.must('ls', 'drive/main');
    expect(await readFile(at('tags/golden/labels/a.json'), 'utf8')).toBe('a');
    expect(await shell.must('mounts')).toContain('the whole repository');
    expect(await shell.jsonRows<MountRow>('mounts')).toMatchObject([
      { directory: at('').replace(/\/$/, ''), repository: 'drive', state: 'mounted' },
    ]);
  });

  it('is not what --write and --follow are for', async () => {
    const directory = await shell.mountPoint('m');
    for (const flag of ['--write', '--follow']) {
      const refused = await shell.tarn(['mount', flag, 'drive', directory]);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('drive/main');
    }
    expect((await shell.tarn(['mount', 'nosuch', directory])).code).toBe(1);
  });
});
