import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { UnmountRow, WorkspaceRow } from '../../src/daemon/protocol.js';
import type { ChangeRow } from '../../src/daemon/protocol/staging.js';
import { killAndWait, Shell } from './shell.js';

const BRANCH = 'drive/main';
const OWN = 'drive/main+1';

let shell: Shell;
beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive', '--storage', shell.path('storage'));
  await shell.must('put', await shell.file('f/labels', 'a'), `${BRANCH}/labels/a.json`);
  await shell.must('put', await shell.file('f/labels', 'b'), `${BRANCH}/labels/b.json`);
  await shell.must('commit', BRANCH, '-m', 'Labels of run 8421');
});
afterEach(() => shell.dispose());

async function mounted(name: string, ref = BRANCH, ...more: string[]): Promise<string> {
  const directory = await shell.mountPoint(name);
  await shell.must('mount', '--write', ...more, ref, directory);
  return directory;
}

async function status(workspace: string): Promise<string[]> {
  const rows = await shell.jsonRows<ChangeRow>('status', workspace);
  return rows.map(({ path, change }) => `${change} ${path}`);
}

function workspaces(): Promise<WorkspaceRow[]> {
  return shell.jsonRows<WorkspaceRow>('workspace', 'list', 'drive');
}

describe('a mount with a workspace of its own', () => {
  it('shows its changes nowhere else until they are committed', async () => {
    const shared = await mounted('shared');
    const own = await mounted('own', BRANCH, '--private');
    await writeFile(join(own, 'labels/a.json'), 'mine');
    await rename(join(own, 'labels/b.json'), join(own, 'labels/c.json'));
    await writeFile(join(shared, 'other'), 'shared');
    expect((await readdir(join(shared, 'labels'))).sort()).toEqual(['a.json', 'b.json']);
    expect(await readFile(join(shared, 'labels/a.json'), 'utf8')).toBe('a');
    expect(await readdir(own)).toEqual(['labels']);
    expect(await shell.must('cat', `${BRANCH}/labels/a.json`)).toBe('a');
    expect(await status(BRANCH)).toEqual(['added other']);
    expect(await status(OWN)).toEqual([
      'changed labels/a.json',
      'removed labels/b.json',
      'added labels/c.json',
    ]);
    expect(await shell.mounts()).toMatchObject([
      { directory: own, ref: 'main+1', write: true },
      { directory: shared, ref: 'main', write: true },
    ]);
    const made = await shell.must('commit', OWN, '-m', 'Mine');
    expect(made).toContain('on drive/main+1: Mine');
    await vi.waitFor(async () => {
      expect((await readdir(join(shared, 'labels'))).sort()).toEqual(['a.json', 'c.json']);
    });
    expect(await readFile(join(shared, 'labels/a.json'), 'utf8')).toBe('mine');
    expect(await status(BRANCH)).toEqual(['added other']);
    await writeFile(join(shared, '.tarn/commit'), 'Shared');
    await vi.waitFor(async () => {
      expect((await readdir(own)).sort()).toEqual(['labels', 'other']);
    });
    await writeFile(join(own, 'last'), 'last');
    await writeFile(join(own, '.tarn/commit'), 'Last');
    expect(await shell.must('cat', `${BRANCH}@/last`)).toBe('last');
  });

  it('finds what conflicts with the branch, and keeps both versions', async () => {
    const shared = await mounted('shared');
    const own = await mounted('own', BRANCH, '--private');
    for (const [at, text] of [
      [own, 'mine'],
      [shared, 'theirs'],
    ] as const) {
      await writeFile(join(at, 'labels/a.json'), text);
      await writeFile(join(at, text), text);
    }
    await shell.must('commit', BRANCH, '-m', 'Theirs');
    expect(await readFile(join(own, 'labels/a.json'), 'utf8')).toBe('mine');
    const refused = await shell.tarn(['commit', OWN, '-m', 'Mine']);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('labels/a.json');
    expect(await readFile(join(own, 'labels/a.json'), 'utf8')).toBe('mine');
    expect(await readFile(join(shared, 'labels/a.json'), 'utf8')).toBe('theirs');
    expect((await shell.tarn(['conflicts', OWN])).code).toBe(3);
    expect((await shell.tarn(['conflicts', BRANCH])).code).toBe(0);
    await shell.must('resolve', OWN, 'labels/a.json', '--ours');
    await shell.must('commit', OWN, '-m', 'Mine');
    for (const at of [own, shared]) {
      await vi.waitFor(async () => {
        expect((await readdir(at)).sort()).toEqual(['labels', 'mine', 'theirs']);
      });
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('mine');
    }
  });

  it('can be given up when its branch was deleted elsewhere, once it is unmounted', async () => {
    await shell.must('branch', 'create', 'drive/side', '--from', 'main');
    const own = await mounted('own', 'drive/side', '--private');
    await writeFile(join(own, 'new'), 'new');
    const other = await Shell.open();
    try {
      await other.must('repo', 'add', shell.path('storage'));
      await other.must('branch', 'delete', 'storage/side', '--yes');
    } finally {
      await other.dispose();
    }
    const refused = await shell.tarn(['reset', 'drive/side+1', '--yes']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is mounted')]);
    await shell.must('umount', own);
    expect((await workspaces()).map(({ workspace }) => workspace)).toEqual(['side+1']);
    await shell.must('reset', 'drive/side+1', '--yes');
    expect(await workspaces()).toEqual([]);
    // A branch made under that name begins with nothing.
    await shell.must('branch', 'create', 'drive/side', '--from', 'main');
    expect(await readdir(await mounted('again', 'drive/side', '--private'))).toEqual(['labels']);
    expect(await status('drive/side+1')).toEqual([]);
  });

  it('keeps what is staged when it is unmounted, to be mounted, committed or given up', async () => {
    const own = await mounted('own', BRANCH, '--private');
    await writeFile(join(own, 'new'), 'new');
    const [row] = await shell.jsonRows<UnmountRow>('umount', own);
    expect(row?.kept).toBe(OWN);
    expect(await workspaces()).toEqual([{ repository: 'drive', workspace: 'main+1', mounts: [] }]);
    expect(await shell.must('ls', BRANCH)).toBe('labels/\n');
    expect(await status(OWN)).toEqual(['added new']);
    // Others are made beside it, and go when nothing is left in them.
    const second = await mounted('second', BRANCH, '--private');
    expect((await workspaces()).map(({ workspace }) => workspace)).toEqual(['main+1', 'main+2']);
    expect(await readdir(second)).toEqual(['labels']);
    await shell.must('umount', second);
    for (const args of [
      ['branch', 'rename', BRANCH, 'trunk'],
      ['branch', 'delete', BRANCH, '--yes'],
    ]) {
      const refused = await shell.tarn(args);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('main+1');
    }
    const again = await mounted('again', OWN);
    expect(await readFile(join(again, 'new'), 'utf8')).toBe('new');
    await writeFile(join(again, 'more'), 'more');
    await shell.must('reset', OWN, '--path', 'new', '--yes');
    expect((await readdir(again)).sort()).toEqual(['labels', 'more']);
    await shell.must('umount', again);
    await shell.must('commit', OWN, '-m', 'More');
    expect(await workspaces()).toEqual([]);
    expect(await shell.must('ls', `${BRANCH}@`)).toBe('labels/\nmore\n');
    const missing = await shell.tarn(['status', OWN]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('tarn workspace list drive');
    expect((await shell.tarn(['mount', OWN, again])).code).not.toBe(0);
    expect((await shell.tarn(['mount', '--private', BRANCH, again])).code).toBe(2);
  });

  it('comes back with its workspace after the daemon was killed', async () => {
    const own = await mounted('own', BRANCH, '--private');
    await writeFile(join(own, 'closed'), 'closed');
    await rm(join(own, 'labels/a.json'));
    await killAndWait(await shell.daemonPid());
    expect(await status(OWN)).toEqual(['added closed', 'removed labels/a.json']);
    expect(await shell.mounts()).toMatchObject([
      { directory: own, ref: 'main+1', write: true, state: 'mounted' },
    ]);
    expect(await readFile(join(own, 'closed'), 'utf8')).toBe('closed');
    expect(await status(BRANCH)).toEqual([]);
    await shell.must('reset', OWN, '--yes');
    expect(await readdir(join(own, 'labels'))).toEqual(['a.json', 'b.json']);
    await shell.must('umount', own);
    expect(existsSync(join(shell.home, 'workspaces/drive/main+1'))).toBe(false);
  });
});
