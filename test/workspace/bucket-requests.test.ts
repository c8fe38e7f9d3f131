import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileEntry } from '../../src/model/entry.js';
import type { CommitId } from '../../src/model/ids.js';
import { EMPTY_CONTENT } from '../../src/model/ids.js';
import { keyFromText } from '../../src/model/path.js';
import { ContentWriter } from '../../src/repo/content-writer.js';
import { Repository } from '../../src/repo/repository.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { ObjectRefStore } from '../../src/store/object-refs/object-ref-store.js';
import { Staging } from '../../src/workspace/staging.js';
import { Workspace } from '../../src/workspace/workspace.js';
import { WatchedStore } from '../store/watched-store.js';

const STORAGE = 's3://fleet-logs/tarn';

let directory: string;
let memory: MemoryStore;
let calls: string[];
let repository: Repository;
let staging: Staging;
let workspace: Workspace;

/** In words such as `put trees`. */
async function openBucket(): Promise<WatchedStore> {
  return new WatchedStore(memory, (call, key) => {
    if (call !== 'write' && call !== 'upload') calls.push(`${call} ${key.split('/')[0] ?? ''}`);
  });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-bucket-'));
  memory = new MemoryStore();
  calls = [];
  repository = await Repository.create('drive', STORAGE, 'rosa', { openBucket });
  staging = new Staging(join(directory, 'staging.db'));
  workspace = new Workspace(repository, staging, 'main');
});
afterEach(async () => {
  staging.close();
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Stores and stages a file, as tarn put does. */
async function put(path: string, bytes: Buffer): Promise<void> {
  const entries: FileEntry[] = [];
  const writer = new ContentWriter<null>(repository.objects, undefined, (batch) => {
    for (const { size, content, address } of batch) {
      const about = { mode: 0o644, mtimeSec: 0, mtimeNsec: 0 };
      entries.push({ kind: 'file', size, content, address, ...about });
    }
  });
  const source = (async function* () {
    yield bytes;
  })();
  await writer.addLarge(source, null);
  await writer.flush();
  await workspace.stage(entries.map((entry) => ({ key: keyFromText(path), entry })));
}

describe('what work on a bucket asks of it', () => {
  it('a small file is put by 3 requests and committed by 4, of which 2 are one after the other', async () => {
    await put('labels/0.json', Buffer.from('zero'));
    await workspace.commit({ message: 'first', author: 'rosa' });
    calls.length = 0;
    await put('labels/1.json', Buffer.from('one'));
    // The root of the branch's tree, where nothing is kept on this machine.
    expect(calls).toEqual(['put packs', 'get refs', 'get trees']);
    calls.length = 0;
    await workspace.commit({ message: 'second', author: 'rosa' });
    // The settings are asked for while the tree and the commit are put.
    expect(calls).toEqual(['put trees', 'put commits', 'get refs', 'put refs']);
  });

  it('files that are put by the thousand ask once where the branch is', async () => {
    const { commitId } = await repository.resolve('main@');
    await workspace.view();
    const about = { size: 0, content: EMPTY_CONTENT, address: { kind: 'none' } } as const;
    const entry = { kind: 'file', ...about, mode: 0o644, mtimeSec: 0, mtimeNsec: 0 } as const;
    calls.length = 0;
    for (const folder of ['a', 'b']) {
      const entries = Array.from({ length: 2_001 }, (_, i) => ({
        key: keyFromText(`${folder}/${String(i).padStart(4, '0')}`),
        entry,
      }));
      await workspace.stage(entries, undefined, commitId);
    }
    await workspace.commit({ message: 'first', author: 'rosa' });
    const refs = calls.filter((call) => call.endsWith(' refs'));
    // That of the settings, and the branch as it moves.
    expect(refs).toEqual(['get refs', 'put refs']);
    const other = await Repository.open('drive', STORAGE, { openBucket });
    const { commitId: made } = await other.resolve('main@');
    const { entries } = await (await other.commitView('main', made)).totals(keyFromText(''));
    expect(entries).toBe(4_002);
    await other.close();
  });

  it('a branch that another machine has moved is committed to by 4 more, and loses nothing', async () => {
    await put('labels/0.json', Buffer.from('zero'));
    await workspace.commit({ message: 'first', author: 'rosa' });
    const other = await Repository.open('drive', STORAGE, { openBucket });
    const elsewhere = new Staging(join(directory, 'elsewhere.db'));
    const theirs = new Workspace(other, elsewhere, 'main');
    await theirs.removePrefix(keyFromText('labels/'));
    await put('labels/1.json', Buffer.from('one'));
    await theirs.commit({ message: 'theirs', author: 'ada' });
    calls.length = 0;
    const mine = await workspace.commit({ message: 'mine', author: 'rosa' });
    expect(calls.filter((call) => call === 'put refs')).toHaveLength(2);
    const { commit } = await repository.resolve(mine);
    expect((await repository.readCommit(commit.parents[0] as CommitId)).message).toBe('theirs');
    elsewhere.close();
    await other.close();

    // Where others are at work the branch is looked at first.
    await put('labels/2.json', Buffer.from('two'));
    calls.length = 0;
    await workspace.commit({ message: 'mine again', author: 'rosa' });
    expect(calls).toEqual(['get refs', 'put trees', 'put commits', 'get refs', 'put refs']);
  });

  it('what is staged stays where the branch moved to what it was made on', async () => {
    await put('labels/0.json', Buffer.from('zero'));
    await workspace.commit({ message: 'first', author: 'rosa' });
    await put('labels/0.json', Buffer.from('one'));
    await put('labels/0.json', Buffer.from('zero'));
    const other = await Repository.open('drive', STORAGE, { openBucket });
    const elsewhere = new Staging(join(directory, 'elsewhere.db'));
    const theirs = new Workspace(other, elsewhere, 'main');
    await theirs.removePrefix(keyFromText('labels/'));
    await theirs.commit({ message: 'theirs', author: 'ada' });
    const committing = workspace.commit({ message: 'mine', author: 'rosa' });
    await expect(committing).rejects.toMatchObject({ kind: 'conflict' });
    elsewhere.close();
    await other.close();
  });

  it('a repository that is open is mounted by 2, as the branch has its commit with it', async () => {
    await put('labels/0.json', Buffer.from('zero'));
    await workspace.commit({ message: 'first', author: 'rosa' });
    const other = await Repository.open('drive', STORAGE, { openBucket });
    calls.length = 0;
    const { commitId } = await other.resolve('main@');
    const view = await other.commitView('main', commitId);
    expect(await view.get(keyFromText('labels/0.json'))).toMatchObject({ size: 4 });
    expect(calls).toEqual(['get refs', 'get trees']);
    calls.length = 0;
    expect((await other.resolve(commitId)).commitId).toBe(commitId);
    expect(calls).toEqual([]);
  });

  it('a commit that a branch does not have with it, or a wrong one, is read where it lies', async () => {
    const first = await repository.resolve('main@');
    const forger = new ObjectRefStore(memory);
    forger.attach({ of: () => 'tarn-commit 1\nsomething else', found: () => undefined });
    const change = {
      kind: 'branch',
      next: first.commitId,
      by: 'rosa',
      atMs: 1,
      why: 'test',
    } as const;
    await forger.compareAndSwap({ ...change, name: 'forged', expected: undefined });
    await new ObjectRefStore(memory).compareAndSwap({
      ...change,
      name: 'bare',
      expected: undefined,
    });
    for (const name of ['forged', 'bare']) {
      calls.length = 0;
      const fresh = await Repository.open('drive', STORAGE, { openBucket });
      expect((await fresh.resolve(name)).commit).toEqual(first.commit);
      expect(calls).toEqual(['get tarn.json', 'get refs', 'get commits']);
      await fresh.close();
    }
  });

  it('4 KiB of a large file are read by 2', async () => {
    await put('run.mcap', Buffer.alloc(5_000_000, 'mcap'));
    await workspace.commit({ message: 'first', author: 'rosa' });
    const other = await Repository.open('drive', STORAGE, { openBucket });
    const { commitId } = await other.resolve('main@');
    const view = await other.commitView('main', commitId);
    const entry = await view.get(keyFromText('run.mcap'));
    if (entry === undefined) throw new Error('no file');
    calls.length = 0;
    const content = await view.open(keyFromText('run.mcap'), entry);
    expect(Buffer.from(await content.read(3_000_000, 4_096)).toString()).toMatch(/^(mcap)+$/);
    content.close();
    expect(calls).toEqual(['get manifests', 'get files']);
  });
});
