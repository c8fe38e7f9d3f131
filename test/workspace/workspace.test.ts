import { readFileSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import { renameWithStaging, settleRenames } from '../../src/workspace/renames.js';
import { Staging } from '../../src/workspace/staging.js';
import type { CommitOptions } from '../../src/workspace/commit.js';
import { Workspace } from '../../src/workspace/workspace.js';
import { all, fileEntry, key, Sandbox, scan } from './sandbox.js';

const RENAME = { from: 'labels-v2', to: 'labels-v3' };

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.make();
});
afterEach(() => sandbox.remove());

const failure = (kind: string, ...words: string[]) => ({
  kind,
  message: expect.stringMatching(new RegExp(words.join('.*'))) as string,
});

function stage(workspace: Workspace, files: Record<string, string>): Promise<void> {
  return workspace.stage(
    Object.entries(files).map(([path, seed]) => ({
      key: key(path),
      entry: fileEntry(seed, path.endsWith('/') ? 0 : 10),
    })),
  );
}

function commit(workspace: Workspace, options: Partial<CommitOptions> = {}): Promise<CommitId> {
  return workspace.commit({ message: 'm', author: 'rosa', ...options });
}

async function paths(workspace: Workspace): Promise<string[]> {
  return (await scan(await workspace.view())).map(([path]) => path);
}

async function changes(workspace: Workspace): Promise<string[]> {
  return (await all(workspace.changes())).map(({ path, change }) => `${change} ${path}`);
}

describe('a commit', () => {
  it('records what it was given', async () => {
    const workspace = await sandbox.workspace();
    const repository = await sandbox.repository();
    const before = (await repository.resolve('main')).commitId;
    await stage(workspace, { a: '1' });
    const metadata = { weather: 'low sun' };
    const id = await commit(workspace, { message: 'Freeze', metadata, dateMs: 42 });
    expect(await repository.readCommit(id)).toMatchObject({
      parents: [before],
      author: 'rosa',
      message: 'Freeze',
      metadata,
      dateMs: 42,
    });
    expect((await repository.resolve('main')).commitId).toBe(id);
    expect(await all(repository.refs.history('branch', 'main'))).toMatchObject([
      { why: 'commit', by: 'rosa', expected: before, next: id },
      { why: 'repository create' },
    ]);
  });

  it('needs something to commit', async () => {
    const workspace = await sandbox.workspace();
    await expect(commit(workspace)).rejects.toMatchObject(failure('nothing-to-commit', "'main'"));
    await stage(workspace, { a: '1' });
    await expect(commit(workspace, { paths: [key('b')] })).rejects.toMatchObject(
      failure('nothing-to-commit', 'at these paths'),
    );
    await workspace.remove([key('a')]);
    await expect(commit(workspace)).rejects.toMatchObject({ kind: 'nothing-to-commit' });
    expect(await changes(workspace)).toEqual([]);
  });

  it('refuses what no commit can hold, and keeps what is staged', async () => {
    const workspace = await sandbox.workspace();
    await stage(workspace, { a: '1' });
    await expect(commit(workspace, { author: 'a\nb' })).rejects.toMatchObject(
      failure('invalid', 'one line'),
    );
    expect(await changes(workspace)).toEqual(['added a']);
  });

  it('of some paths leaves the others staged', async () => {
    const workspace = await sandbox.workspace();
    await stage(workspace, { 'labels/a': '1', 'labels.txt': '2', 'raw/x': '3', labels: '4' });
    await commit(workspace, { paths: [key('labels')] });
    expect(await changes(workspace)).toEqual(['added labels.txt', 'added raw/x']);
    await commit(workspace, { paths: [key('raw/'), key('labels.txt')] });
    expect(await changes(workspace)).toEqual([]);
  });

  it('takes part of a directory that was removed as a whole', async () => {
    const workspace = await sandbox.workspace();
    await stage(workspace, { 'a/b/x': '1', 'a/y': '2' });
    await commit(workspace);
    await workspace.removePrefix(key('a/'));
    await commit(workspace, { paths: [key('a/b')] });
    expect(await changes(workspace)).toEqual(['removed a/y']);
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main@');
    const view = await repository.commitView('main@', commitId);
    expect((await scan(view)).map(([path]) => path)).toEqual(['a/y']);
    await commit(workspace, { paths: [key('a')] });
    expect(await paths(workspace)).toEqual([]);
  });

  it('on a branch that does not exist says so', async () => {
    const workspace = await sandbox.workspace('nope');
    for (const work of [commit(workspace), workspace.view(), stage(workspace, { a: '1' })]) {
      await expect(work).rejects.toMatchObject(failure('not-found', "'nope'"));
    }
  });
});

describe('a branch that others commit to', () => {
  let mine: Workspace;
  let theirs: Workspace;
  beforeEach(async () => {
    mine = await sandbox.workspace();
    theirs = await sandbox.workspace('main', sandbox.anotherHome());
    await stage(mine, { 'a/x': '1', 'a/y': '1', b: '1' });
    await commit(mine);
  });

  it('takes a commit of other paths on top of theirs', async () => {
    await stage(mine, { b: '2' });
    await stage(theirs, { 'a/x': '2', c: '1' });
    const parent = await commit(theirs);
    const id = await commit(mine);
    expect((await (await sandbox.repository()).readCommit(id)).parents).toEqual([parent]);
    expect(await scan(await mine.view())).toEqual([
      ['a/x', fileEntry('2')],
      ['a/y', fileEntry('1')],
      ['b', fileEntry('2')],
      ['c', fileEntry('1')],
    ]);
  });

  it('refuses a commit of the same paths, lists them, and loses nothing', async () => {
    await stage(mine, { b: '2', 'a/x': '2', new: '2', own: '2' });
    await stage(theirs, { b: '3', new: '3' });
    await theirs.remove([key('a/x')]);
    await commit(theirs);
    await expect(commit(mine)).rejects.toMatchObject(
      failure('conflict', "'main'", "'a/x', 'b', 'new'"),
    );
    expect((await scan(await mine.view())).map(([, entry]) => entry)).toEqual([
      fileEntry('2'),
      fileEntry('1'),
      fileEntry('2'),
      fileEntry('2'),
      fileEntry('2'),
    ]);
    await commit(mine, { paths: [key('own')] });
    await stage(mine, { b: '2', 'a/x': '2', new: '2' });
    await commit(mine);
    expect(await changes(mine)).toEqual([]);
    expect(await scan(await theirs.view())).toHaveLength(5);
  });

  it('takes the same change from both', async () => {
    await stage(mine, { b: '2', c: '1' });
    await stage(theirs, { b: '2' });
    await commit(theirs);
    await commit(mine);
    expect(await changes(mine)).toEqual([]);
  });

  it('refuses to remove a directory in which a file has changed', async () => {
    await mine.removePrefix(key('a/'));
    await stage(theirs, { 'a/x': '2' });
    await commit(theirs);
    await expect(commit(mine)).rejects.toMatchObject(failure('conflict', "'a/x'"));
    expect(await paths(mine)).toEqual(['b']);
    await mine.removePrefix(key('a/'));
    await commit(mine);
    expect(await paths(theirs)).toEqual(['b']);
  });

  it('keeps what others added to a directory that was removed, and shows it', async () => {
    await mine.removePrefix(key('a/'));
    await stage(theirs, { 'a/new': '1' });
    await commit(theirs);
    expect(await paths(await sandbox.workspace())).toEqual(['a/new', 'b']);
    await commit(mine);
    expect(await paths(theirs)).toEqual(['a/new', 'b']);
  });

  it('takes a moved directory on top of theirs, and refuses where both changed a file', async () => {
    await mine.move(key('a'), key('moved'));
    await stage(theirs, { b: '2' });
    await commit(theirs);
    await commit(mine);
    expect(await paths(theirs)).toEqual(['b', 'moved/x', 'moved/y']);
    await mine.move(key('moved'), key('again'));
    await stage(theirs, { 'moved/x': '2' });
    await commit(theirs);
    await expect(commit(mine)).rejects.toMatchObject(failure('conflict', "'moved/x'"));
    expect(await mine.reset([key('moved/x'), key('again/x')])).toBe(true);
    await commit(mine);
    expect(await scan(await theirs.view())).toEqual([
      ['again/y', fileEntry('1')],
      ['b', fileEntry('2')],
      ['moved/x', fileEntry('2')],
    ]);
  });

  it('removes a directory when only something else has changed', async () => {
    await mine.removePrefix(key('a/'));
    await stage(theirs, { b: '2' });
    await commit(theirs);
    await commit(mine);
    expect(await paths(theirs)).toEqual(['b']);
  });
});

describe('what is staged', () => {
  it('is seen by a walk that a commit happens under, each entry once', async () => {
    const workspace = await sandbox.workspace();
    const names = Array.from({ length: 2500 }, (_, i) => `f${String(i).padStart(4, '0')}`);
    await stage(workspace, Object.fromEntries(names.map((name) => [name, name])));
    const other = await sandbox.workspace();
    const cursor = (await workspace.view()).cursor();
    const seen: string[] = [];
    for (let ok = await cursor.seek(key('')); ok; ok = await cursor.next()) {
      seen.push(cursor.key);
      if (seen.length === 1200) await commit(other);
    }
    expect(seen).toEqual(names);
  });

  it('of a view taken before a commit is the same after it', async () => {
    const workspace = await sandbox.workspace();
    await stage(workspace, { a: '1', 'b/c': '2' });
    const view = await workspace.view();
    const before = await scan(view);
    await commit(await sandbox.workspace());
    expect(await scan(view)).toEqual(before);
    expect(await view.get(key('a'))).toEqual(fileEntry('1'));
    expect(await view.totals(key(''))).toEqual({ entries: 2, bytes: 20 });
  });

  it('while a commit runs waits for the next one', async () => {
    const repository = await sandbox.repository();
    const staging = new Staging(sandbox.home.stagingFile('drive'));
    const workspace = new Workspace(repository, staging, 'main');
    await stage(workspace, { a: '1', b: '1' });
    const other = await sandbox.workspace();
    const save = repository.commits.save.bind(repository.commits);
    vi.spyOn(repository.commits, 'save').mockImplementationOnce(async (made) => {
      await stage(other, { b: '2', c: '2' });
      return save(made);
    });
    await commit(workspace);
    expect(await changes(workspace)).toEqual(['changed b', 'added c']);
    await commit(other);
    expect(await scan(await workspace.view())).toEqual([
      ['a', fileEntry('1')],
      ['b', fileEntry('2')],
      ['c', fileEntry('2')],
    ]);
    expect(await changes(workspace)).toEqual([]);
    staging.close();
  });

  it('of one branch is not seen on another, and moves with its name', async () => {
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main');
    await repository.createRef('branch', 'labels-v2', commitId, 'rosa');
    await stage(await sandbox.workspace('labels-v2'), { a: '1' });
    expect(await paths(await sandbox.workspace())).toEqual([]);
    const staging = new Staging(sandbox.home.stagingFile('drive'));
    await renameWithStaging(repository.refs, staging, RENAME, () =>
      repository.renameBranch('labels-v2', 'labels-v3', 'rosa'),
    );
    staging.close();
    expect(await changes(await sandbox.workspace('labels-v3'))).toEqual(['added a']);
  });

  it.each(['before', 'after'])('is kept when a rename is cut short %s the ref', async (when) => {
    const repository = await sandbox.repository();
    const { commitId } = await repository.resolve('main');
    await repository.createRef('branch', RENAME.from, commitId, 'rosa');
    await stage(await sandbox.workspace(RENAME.from), { a: '1' });
    const staging = new Staging(sandbox.home.stagingFile('drive'));
    staging.beginRename(RENAME);
    if (when === 'after') await repository.renameBranch(RENAME.from, RENAME.to, 'rosa');
    await settleRenames(repository.refs, staging);
    expect(staging.renames()).toEqual([]);
    staging.close();
    const name = when === 'after' ? RENAME.to : RENAME.from;
    expect(await changes(await sandbox.workspace(name))).toEqual(['added a']);
  });

  it('is one line for a directory of which nothing is left, and says how much that is', async () => {
    const workspace = await sandbox.workspace();
    const files = Array.from({ length: 1500 }, (_, i) => [`raw/f${i}`, String(i)] as const);
    await stage(workspace, { ...Object.fromEntries<string>(files), 'labels/a': '1', keep: '1' });
    await commit(workspace);
    await workspace.removePrefix(key('raw/'));
    await workspace.remove([key('labels/a')]);
    await stage(workspace, { last: '1' });
    const raw = { path: 'raw/', change: 'removed', entries: 1500, size: 15_000 };
    expect(await all(workspace.changes())).toEqual(
      [
        { path: 'labels/a', change: 'removed', entries: 1, size: 10 },
        { path: 'last', change: 'added', entries: 1, size: 10 },
        raw,
      ].sort((a, b) => (a.path < b.path ? -1 : 1)),
    );
    expect(await all(workspace.changes({ after: key('last') }))).toEqual([raw]);
    expect(await all(workspace.changes({ after: key('raw/') }))).toEqual([]);
    await stage(workspace, { 'raw/f1': 'new', 'raw/f2': '2', 'raw/zzz': '1' });
    const below = (await all(workspace.changes())).filter(({ path }) => path.startsWith('raw/'));
    expect(below.filter(({ change }) => change === 'removed')).toHaveLength(1498);
    expect(below.filter(({ change }) => change !== 'removed')).toEqual([
      { path: 'raw/f1', change: 'changed', entries: 1, size: 10, sizeBefore: 10 },
      { path: 'raw/zzz', change: 'added', entries: 1, size: 10 },
    ]);
    await commit(workspace);
    expect(await paths(workspace)).toEqual(['keep', 'last', 'raw/f1', 'raw/f2', 'raw/zzz']);
  });

  it('cannot be what is not there', async () => {
    const workspace = await sandbox.workspace();
    await expect(workspace.remove([key('a')])).rejects.toMatchObject(failure('not-found', "'a'"));
    await expect(workspace.removePrefix(key('a/'))).rejects.toMatchObject({ kind: 'not-found' });
    await expect(workspace.removePrefix(key('a'))).rejects.toMatchObject({ kind: 'invalid' });
  });
});

describe('a damaged staging database', () => {
  it('is an error that names it, never an empty one', async () => {
    const workspace = await sandbox.workspace();
    const files = Array.from({ length: 400 }, (_, i) => [`f${i}`, String(i)] as const);
    await stage(workspace, Object.fromEntries<string>(files));
    const file = sandbox.home.stagingFile('drive');
    await sandbox.closeAll();
    const bytes = readFileSync(file);
    bytes.fill(0x55, 4096 * 5, 4096 * 12);
    for (const content of [bytes, bytes.subarray(0, 4096 * 3), Buffer.from('no database at all')]) {
      writeFileSync(file, content);
      const read = async () => paths(await sandbox.workspace());
      await expect(read()).rejects.toMatchObject(failure('corrupt', file));
      await sandbox.closeAll();
    }
  });

  it.each([
    "UPDATE staged SET entry = replace(entry, '\"size\":10', '\"size\":11') WHERE path = x'61'",
    "UPDATE staged SET entry = NULL WHERE path = x'61'",
    "UPDATE staged SET path = x'62' WHERE path = x'61'",
    "UPDATE staged SET version = version - 1 WHERE path = x'61'",
    "UPDATE staged SET base = base - 1 WHERE path = x'61'",
    "UPDATE staged SET base = 99 WHERE path = x'61'",
    "UPDATE staged_trees SET tree = replace(tree, substr(tree, 1, 1), 'x')",
    'UPDATE staged_trees SET base = base - 1',
    'UPDATE staged_trees SET version = version - 1',
    "UPDATE bases SET commit_id = replace(commit_id, substr(commit_id, 1, 1), 'x')",
  ])('of one row is found before that is committed: %s', async (damage) => {
    const workspace = await sandbox.workspace();
    await stage(workspace, { 'raw/x': '1', first: '1' });
    await commit(workspace, { paths: [key('raw')] });
    await commit(workspace);
    await workspace.removePrefix(key('raw/'));
    await stage(workspace, { a: '1', b: '2', c: '3' });
    await workspace.remove([key('first')]);
    await commit(workspace, { paths: [key('c')] });
    const file = sandbox.home.stagingFile('drive');
    await sandbox.closeAll();
    const database = new Database(file);
    database.exec("DELETE FROM staged WHERE path = x'62'");
    expect(database.prepare(damage).run().changes).toBeGreaterThan(0);
    database.close();
    const again = await sandbox.workspace();
    await expect(commit(again)).rejects.toMatchObject(failure('corrupt', 'row of', 'checksum'));
  });
});
