import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../src/model/entry.js';
import { EMPTY_CONTENT } from '../../src/model/ids.js';
import { keyFromText } from '../../src/model/path.js';
import { Repository } from '../../src/repo/repository.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { TarnError } from '../../src/util/errors.js';
import { Staging } from '../../src/workspace/staging.js';
import { Workspace } from '../../src/workspace/workspace.js';
import { WatchedStore } from '../store/watched-store.js';

/**
 * The branch moves only when all is durable that its commit names, in whatever order that becomes so;
 * and what was not saved is not taken to be there.
 */
const STORAGE = 's3://fleet-logs/tarn';
const COMMIT = { message: 'label', author: 'rosa' };

let directory: string;
let memory: MemoryStore;
let staging: Staging;
let repository: Repository;
let workspace: Workspace;
/** Puts that have begun, by the folder of their key. */
let begun: string[];
/** Called before a put goes on. */
let before: (folder: string) => Promise<void> | void;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-order-'));
  memory = new MemoryStore();
  begun = [];
  before = () => undefined;
  const bucket = new WatchedStore(memory, (call, key) => {
    if (call !== 'put') return;
    const folder = key.split('/')[0] ?? '';
    begun.push(folder);
    return before(folder);
  });
  const openBucket = (): Promise<WatchedStore> => Promise.resolve(bucket);
  repository = await Repository.create('drive', STORAGE, 'rosa', { openBucket });
  staging = new Staging(join(directory, 'staging.db'));
  workspace = new Workspace(repository, staging, 'main');
  await workspace.stage([{ key: keyFromText('labels/'), entry: marker() }]);
  begun.length = 0;
});
afterEach(async () => {
  staging.close();
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

function marker(): Entry {
  const about = { size: 0, content: EMPTY_CONTENT, address: { kind: 'none' } } as const;
  return { kind: 'file', ...about, mode: 0o755, mtimeSec: 0, mtimeNsec: 0 };
}

/** As another machine finds the branch: what is told of it is there. */
async function messages(): Promise<string[]> {
  const openBucket = (): Promise<MemoryStore> => Promise.resolve(memory);
  const other = await Repository.open('drive', STORAGE, { openBucket });
  const { commitId, commit } = await other.resolve('main@');
  const view = await other.commitView('main@', commitId);
  const cursor = view.cursor();
  const paths: string[] = [commit.message];
  for (let more = await cursor.seek(keyFromText('')); more; more = await cursor.next()) {
    paths.push(cursor.key);
  }
  return paths;
}

/** Settles when all that does not wait for something held back has run. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe.each(['trees', 'commits'])('a commit whose PUT to %s', (held) => {
  it('lingers does not move the branch before that is done', async () => {
    let release = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (release = resolve));
    before = (folder) => (folder === held ? waiting : undefined);
    const committing = workspace.commit(COMMIT);
    await quiet();
    expect([...begun].sort()).toEqual(['commits', 'trees']);
    expect(await messages()).toEqual(['Create the repository']);
    release();
    await committing;
    expect(begun.at(-1)).toBe('refs');
    expect(await messages()).toEqual(['label', 'labels/']);
  });

  it('fails fails, and leaves all as it was, to be done again', async () => {
    before = (folder) => {
      if (folder === held) throw new TarnError('unavailable', 'the store is down');
    };
    await expect(workspace.commit(COMMIT)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(begun).not.toContain('refs');
    expect(await messages()).toEqual(['Create the repository']);
    before = () => undefined;
    begun.length = 0;
    await workspace.commit(COMMIT);
    expect(begun.slice(0, -1)).toContain(held);
    expect(begun.at(-1)).toBe('refs');
    expect(await messages()).toEqual(['label', 'labels/']);
  });
});
