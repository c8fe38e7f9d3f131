import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ended, Shell } from '../cli/shell.js';
import { ensureBuilt } from './built.js';
import { fileEntry, key, Sandbox, scan } from './sandbox.js';

beforeAll(ensureBuilt);

describe('removing and discarding what is staged', () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await Sandbox.make();
    const workspace = await sandbox.workspace();
    const entries = ['a', 'raw/x', 'raw/y', 'raw/z/1'];
    await workspace.stage(entries.map((path) => ({ key: key(path), entry: fileEntry(path) })));
  });
  afterEach(() => sandbox.remove());

  const remove = (paths: string[], recursive: boolean) =>
    sandbox.threads.run('rm', { ...sandbox.target, paths: paths.map(key), recursive });
  const paths = async () =>
    (await scan(await (await sandbox.workspace()).view())).map(([path]) => path);

  it('counts what is gone, and refuses folders unless told', async () => {
    await expect(remove(['raw'], false)).rejects.toMatchObject({
      kind: 'is-directory',
      message: "'drive/main/raw' is a folder",
    });
    expect(await remove(['a', 'raw/z'], true)).toEqual({ removed: 2 });
    expect(await paths()).toEqual(['raw/x', 'raw/y']);
    await expect(remove(['raw/x', 'gone', 'raw/y'], false)).rejects.toMatchObject({
      kind: 'not-found',
    });
    expect(await paths()).toEqual(['raw/y']);
    expect(await remove([''], true)).toEqual({ removed: 1 });
    expect(await paths()).toEqual([]);
  });

  it('leaves what was staged after the discarding was decided', async () => {
    const workspace = await sandbox.workspace();
    const { version: versionMax } = workspace;
    await workspace.stage([{ key: key('later'), entry: fileEntry('later') }]);
    await sandbox.threads.run('discard', { ...sandbox.target, versionMax });
    expect(await paths()).toEqual(['later']);
  });
});

it('says of a merge how far it is', async () => {
  const sandbox = await Sandbox.make();
  try {
    const frames = Array.from({ length: 600 }, (_, i) => key(`raw/${String(i).padStart(3, '0')}`));
    const commit = async (branch: string, content: string): Promise<void> => {
      const workspace = await sandbox.workspace(branch);
      await workspace.stage(frames.map((each) => ({ key: each, entry: fileEntry(content) })));
      await workspace.commit({ message: content, author: 'rosa' });
    };
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main');
    await repository.createRef('branch', 'labels-v2', commitId, 'rosa');
    await commit('main', 'ours');
    await commit('labels-v2', 'theirs');
    const input = { ...sandbox.target, source: 'labels-v2', author: 'rosa', isDryRun: true };
    const heard: unknown[] = [];
    const { brought } = await sandbox.threads.run(
      'merge',
      { ...input, preferences: ['dst'] },
      { onProgress: (progress) => heard.push(progress) },
    );
    expect(brought.kind).not.toBe('conflicts');
    expect(heard.at(-1)).toEqual({ files: 600, bytes: 0, current: 'raw/599' });
  } finally {
    await sandbox.remove();
  }
});

describe('a daemon of which another process holds the write lock of staging', () => {
  let shell: Shell;
  beforeEach(async () => {
    shell = await Shell.open();
  });
  afterEach(() => shell.dispose());

  it.each([
    { operation: 'rm', args: ['rm', '-r', 'drive/side/raw', '--yes'] },
    { operation: 'discard', args: ['branch', 'delete', 'drive/side', '--yes'] },
  ])('goes on answering while a $operation waits for it', async ({ operation, args }) => {
    await shell.must('repo', 'create', 'drive');
    await shell.must('branch', 'create', 'drive/side');
    await shell.must('put', await shell.file('a.txt'), 'drive/side/raw/a.txt');
    const database = new Database(join(shell.home, 'workspaces', 'drive.db'));
    database.exec('BEGIN IMMEDIATE');
    const waiting = ended(shell.start(args));
    const jobs = async () =>
      (await shell.json<{ jobs: { operation: string }[] }>('daemon', 'status')).jobs;
    await expect.poll(jobs, { timeout: 20_000 }).toEqual([expect.objectContaining({ operation })]);
    expect(await shell.must('ls', 'drive/main')).toBe('');
    database.exec('ROLLBACK');
    database.close();
    expect(await waiting).toMatchObject({ code: 0 });
    expect(await jobs()).toEqual([]);
  });
});
