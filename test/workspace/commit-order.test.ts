import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteContentIndex } from '../../src/cache/content-index.js';
import type { Entry } from '../../src/model/entry.js';
import { EMPTY_CONTENT } from '../../src/model/ids.js';
import { keyFromText } from '../../src/model/path.js';
import type { StoredContent } from '../../src/repo/content-writer.js';
import { ContentWriter } from '../../src/repo/content-writer.js';
import { Repository } from '../../src/repo/repository.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { Edit } from '../../src/tree/edit.js';
import { TarnError } from '../../src/util/errors.js';
import { Saves } from '../../src/util/saves.js';
import type { CommittedEdits } from '../../src/workspace/commit-edits.js';
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
});
afterEach(async () => {
  staging.close();
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

function empty(): Entry {
  const about = { size: 0, content: EMPTY_CONTENT, address: { kind: 'none' } } as const;
  return { kind: 'file', ...about, mode: 0o644, mtimeSec: 0, mtimeNsec: 0 };
}

/** What another machine finds on the branch: its last commit, and paths of which all bytes are there. */
async function found(): Promise<string[]> {
  const openBucket = (): Promise<MemoryStore> => Promise.resolve(memory);
  const other = await Repository.open('drive', STORAGE, { openBucket });
  const { commitId, commit } = await other.resolve('main@');
  const view = await other.commitView('main@', commitId);
  const cursor = view.cursor();
  const paths: string[] = [commit.message];
  for (let more = await cursor.seek(keyFromText('')); more; more = await cursor.next()) {
    const content = await view.open(cursor.key, cursor.entry());
    await content.read(0, content.size);
    content.close();
    paths.push(cursor.key);
  }
  return paths;
}

/** Settles when all that does not wait for something held back has run. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

const LABEL = Buffer.from('a label');

/** Commits a file as a mount does, its bytes being on their way. */
async function commitEdited(index?: SqliteContentIndex): Promise<CommittedEdits | undefined> {
  const saves = new Saves();
  const edits: Edit[] = [];
  const stored = (batch: StoredContent<null>[]): void => {
    for (const { size, content, address } of batch) {
      const about = { mode: 0o644, mtimeSec: 0, mtimeNsec: 0 };
      const entry = { kind: 'file', size, content, address, ...about } as const;
      edits.push({ kind: 'put', key: keyFromText('label'), entry });
    }
  };
  const { objects } = repository;
  const writer = new ContentWriter<null>(objects, index, stored, undefined, saves);
  await writer.addSmall(LABEL, null);
  await writer.flush();
  const { commitId: onto } = await repository.resolve('main@');
  return workspace.commitEdits({ ...COMMIT, edits, onto, saves });
}

/** What is committed, and what must be durable before the branch moves. */
const WAYS = {
  'what is staged': {
    before: () => workspace.stage([{ key: keyFromText('label'), entry: empty() }]),
    commit: () => workspace.commit(COMMIT),
    puts: ['commits', 'trees'],
  },
  'what a mount has': {
    before: async () => undefined,
    commit: commitEdited,
    puts: ['commits', 'packs', 'trees'],
  },
};
const CASES = Object.entries(WAYS).flatMap(([what, way]) =>
  way.puts.map((held) => ({ what, held, ...way })),
);

describe.each(CASES)(
  'a commit of $what whose PUT to $held',
  ({ before: begin, commit, puts, held }) => {
    beforeEach(async () => {
      await begin();
      begun.length = 0;
    });

    it('lingers does not move the branch before that is done, nor stage anything', async () => {
      let release = (): void => undefined;
      const waiting = new Promise<void>((resolve) => (release = resolve));
      before = (folder) => (folder === held ? waiting : undefined);
      const { version } = workspace;
      const committing = commit();
      await quiet();
      expect([...begun].sort()).toEqual(puts);
      expect(await found()).toEqual(['Create the repository']);
      expect(workspace.version).toBe(version);
      release();
      await committing;
      expect(begun.at(-1)).toBe('refs');
      expect(await found()).toEqual(['label', 'label']);
    });

    it('fails fails, and leaves all as it was, to be done again', async () => {
      before = (folder) => {
        if (folder === held) throw new TarnError('unavailable', 'the store is down');
      };
      const { version } = workspace;
      await expect(commit()).rejects.toMatchObject({ kind: 'unavailable' });
      expect(begun).not.toContain('refs');
      expect(await found()).toEqual(['Create the repository']);
      expect(workspace.version).toBe(version);
      before = () => undefined;
      begun.length = 0;
      await commit();
      expect(begun.slice(0, -1)).toContain(held);
      expect(begun.at(-1)).toBe('refs');
      expect(await found()).toEqual(['label', 'label']);
    });
  },
);

describe('edits that are committed at once', () => {
  it('are not, where their bytes failed before: nothing of those is remembered', async () => {
    const index = new SqliteContentIndex(join(directory, 'contents.db'));
    try {
      before = (folder) => {
        if (folder === 'packs') throw new TarnError('unavailable', 'the store is down');
      };
      await expect(commitEdited(index)).rejects.toMatchObject({ kind: 'unavailable' });
      before = () => undefined;
      begun.length = 0;
      await commitEdited(index);
      expect(begun).toContain('packs');
      expect(await found()).toEqual(['label', 'label']);
    } finally {
      index.close();
    }
  });

  it('are staged until they are cleared, and conflict with what others made of them meanwhile', async () => {
    const committed = await commitEdited();
    if (committed === undefined) throw new Error('it was not committed at once');
    expect((await workspace.base()).tree).toBe(committed.tree);
    const elsewhere = new Staging(join(directory, 'elsewhere.db'));
    try {
      const theirs = new Workspace(repository, elsewhere, 'main');
      await theirs.stage([{ key: keyFromText('label'), entry: { ...empty(), mode: 0o600 } }]);
      await theirs.commit({ ...COMMIT, message: 'theirs' });
    } finally {
      elsewhere.close();
    }
    await expect(workspace.commit(COMMIT)).rejects.toMatchObject({ kind: 'conflict' });
    workspace.clearCommitted(committed);
    await expect(workspace.commit(COMMIT)).rejects.toMatchObject({ kind: 'nothing-to-commit' });
  });

  it('are left to be staged where something else is, or the branch has moved', async () => {
    await workspace.stage([{ key: keyFromText('other'), entry: empty() }]);
    expect(await commitEdited()).toBeUndefined();
    await workspace.commit({ ...COMMIT, message: 'other' });
    const { commitId: onto } = await repository.resolve('main~1');
    const edits: Edit[] = [{ kind: 'put', key: keyFromText('label'), entry: empty() }];
    const saves = new Saves();
    expect(await workspace.commitEdits({ ...COMMIT, edits, onto, saves })).toBeUndefined();
    expect(await found()).toEqual(['other', 'other']);
  });
});
