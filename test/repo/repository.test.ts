import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Commit } from '../../src/model/commit.js';
import type { CommitId } from '../../src/model/ids.js';
import { walkHistory } from '../../src/repo/log.js';
import type { Head, Prepared } from '../../src/repo/publish.js';
import { Repository } from '../../src/repo/repository.js';
import { deleteStorage } from '../../src/repo/storage.js';

let directory: string;
let storage: string;
const open: Repository[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-repository-'));
  storage = join(directory, 'drive');
});
afterEach(async () => {
  for (const repository of open.splice(0)) await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

async function create(at = storage): Promise<Repository> {
  const repository = await Repository.create('drive', at, 'rosa');
  open.push(repository);
  return repository;
}

async function reopen(at = storage): Promise<Repository> {
  const repository = await Repository.open('drive', at);
  open.push(repository);
  return repository;
}

/** A commit on `branch` with the tree of its head: history alone matters here. */
async function commit(repository: Repository, branch = 'main', message = 'x'): Promise<CommitId> {
  const { id } = await repository.publish({
    ...COMMIT,
    branch,
    prepare: async (head) => childOf(head, { dateMs: head.commit.dateMs + 1, message }),
  });
  return id;
}

const COMMIT = { branch: 'main', by: 'rosa', kind: 'commit', why: 'commit' } as const;

/** A commit of the head's own tree. */
function childOf(head: Head, values: Partial<Commit> = {}): Prepared<never> {
  const { tree } = head.commit;
  const plain = { author: 'rosa', dateMs: 0, message: '', metadata: {} };
  return { kind: 'commit', commit: { tree, parents: [head.id], ...plain, ...values } };
}

const failure = (kind: string, words: string) => ({
  kind,
  message: expect.stringContaining(words) as string,
});

describe('creating a repository', () => {
  it('makes a branch main with an empty first commit', async () => {
    const repository = await create();
    const { commitId, commit: first, branch } = await repository.resolve('main');
    expect(branch).toBe('main');
    expect(first).toMatchObject({ parents: [], author: 'rosa' });
    const view = await repository.commitView('main', commitId);
    expect(await view.totals('' as never)).toEqual({ entries: 0, bytes: 0 });
    expect((await reopen()).name).toBe('drive');
  });

  it('takes a file URL and an empty directory', async () => {
    mkdirSync(storage);
    await create(pathToFileURL(storage).href);
    expect((await (await reopen()).resolve('main')).branch).toBe('main');
  });

  it('refuses a directory that holds anything else, and one that is a repository', async () => {
    mkdirSync(storage);
    writeFileSync(join(storage, 'thesis.tex'), '');
    await expect(create()).rejects.toMatchObject(failure('exists', 'thesis.tex'));
    expect(readdirSync(storage)).toEqual(['thesis.tex']);
    rmSync(storage, { recursive: true });
    await create();
    await expect(create()).rejects.toMatchObject(failure('exists', 'repository already'));
  });

  it('refuses a relative path and a file', async () => {
    await expect(create('drive')).rejects.toMatchObject(failure('invalid', 'absolute'));
    writeFileSync(storage, '');
    await expect(create()).rejects.toMatchObject({ kind: 'not-directory' });
  });

  it('completes one that was interrupted', async () => {
    await create();
    rmSync(join(storage, 'tarn.json'));
    await expect(reopen()).rejects.toMatchObject(failure('corrupt', 'tarn.json'));
    const first = (await (open[0] as Repository).resolve('main')).commitId;
    expect((await (await create()).resolve('main')).commitId).toBe(first);
  });
});

describe('opening a repository', () => {
  it('says so when there is none', async () => {
    await expect(reopen()).rejects.toMatchObject(failure('not-found', storage));
  });

  it.each([
    ['{"format":"tarn repository","version":3}', 'unsupported', 'version 3'],
    ['{"format":"tarn repository","version":1}', 'unsupported', 'pre-release'],
    ['{"format":"tarn', 'corrupt', 'tarn.json'],
    ['', 'corrupt', 'tarn.json'],
    ['null', 'corrupt', 'tarn.json'],
    ['{"version":1}', 'corrupt', 'tarn.json'],
  ])('with %j in tarn.json is %s', async (text, kind, words) => {
    await create();
    writeFileSync(join(storage, 'tarn.json'), text);
    await expect(reopen()).rejects.toMatchObject(failure(kind, words));
  });

  it('without its refs is corrupt', async () => {
    await create();
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(join(storage, `refs.db${suffix}`), { force: true });
    }
    await expect(reopen()).rejects.toMatchObject(failure('corrupt', 'refs.db'));
  });

  it('can be deleted, and nothing else can', async () => {
    await create();
    await expect(deleteStorage(directory)).rejects.toMatchObject({ kind: 'not-found' });
    await deleteStorage(storage);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('resolving', () => {
  it('finds branches, tags, whole ids, prefixes and ancestors', async () => {
    const repository = await create();
    const first = (await repository.resolve('main')).commitId;
    const second = await commit(repository);
    const third = await commit(repository);
    await repository.createRef('tag', 'v1.0', second, 'rosa');
    const named = async (text: string) => (await repository.resolve(text)).commitId;
    expect(await named('main')).toBe(third);
    expect(await named('main@')).toBe(third);
    expect(await named('v1.0')).toBe(second);
    expect(await named(first)).toBe(first);
    expect(await named(first.slice(0, 20))).toBe(first);
    expect(await named('main~')).toBe(second);
    expect(await named('main~2')).toBe(first);
    expect(await named('main^^')).toBe(first);
    expect(await named('main^0')).toBe(third);
    expect(await named('v1.0~1')).toBe(first);
  });

  it('means the workspace only by a bare branch', async () => {
    const repository = await create();
    const id = await commit(repository);
    expect((await repository.resolve('main')).branch).toBe('main');
    for (const text of ['main@', 'main~0', id]) {
      expect(await repository.resolve(text)).not.toHaveProperty('branch');
    }
  });

  it.each(['nope', 'nope~1', 'abcd', 'f'.repeat(64)])('does not find %s', async (text) => {
    const repository = await create();
    await expect(repository.resolve(text)).rejects.toMatchObject({
      ...failure('not-found', text.replace('~1', '')),
      hint: expect.stringContaining('tarn branch list drive') as string,
    });
  });

  it('says how far history goes back', async () => {
    const repository = await create();
    await expect(repository.resolve('main~1')).rejects.toMatchObject(
      failure('not-found', 'has no parent'),
    );
    await expect(repository.resolve('main^2')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('refuses a prefix that more than one commit has, and offers longer ones', async () => {
    const repository = await create();
    const ids = new Map<string, CommitId>();
    let twin: [CommitId, CommitId] | undefined;
    for (let i = 0; twin === undefined && i < 3000; i += 1) {
      const { tree } = (await repository.resolve('main')).commit;
      const id = await repository.commits.save({
        tree,
        parents: [],
        author: 'rosa',
        dateMs: i,
        message: '',
        metadata: {},
      });
      const other = ids.get(id.slice(0, 4));
      if (other !== undefined) twin = [other, id];
      ids.set(id.slice(0, 4), id);
    }
    const prefix = (twin as [CommitId, CommitId])[0].slice(0, 4);
    await expect(repository.resolve(prefix)).rejects.toMatchObject({
      ...failure('ambiguous', prefix),
      hint: expect.stringContaining('give more digits') as string,
    });
    await repository.createRef('branch', prefix, (twin as [CommitId, CommitId])[0], 'rosa');
    expect((await repository.resolve(prefix)).branch).toBe(prefix);
  });
});

describe('refs of a repository', () => {
  it('are created at commits that exist, listed, renamed and deleted', async () => {
    const repository = await create();
    const { commitId } = await repository.resolve('main');
    await repository.createRef('branch', 'labels-v2', commitId, 'rosa');
    await repository.createRef('tag', 'prod-2025-08-15', commitId, 'rosa');
    await repository.renameBranch('labels-v2', 'labels-v3', 'rosa');
    const names: string[] = [];
    for await (const ref of repository.listRefs('branch')) names.push(ref.name);
    expect(names).toEqual(['labels-v3', 'main']);
    expect(await repository.deleteRef('branch', 'labels-v3', 'rosa')).toBe(commitId);
    await expect(repository.deleteRef('branch', 'labels-v3', 'rosa')).rejects.toMatchObject(
      failure('not-found', 'labels-v3'),
    );
  });

  it('refuses names that are taken, and commits that are not there', async () => {
    const repository = await create();
    const { commitId } = await repository.resolve('main');
    await expect(repository.createRef('branch', 'main', commitId, 'x')).rejects.toMatchObject(
      failure('exists', "branch 'main'"),
    );
    await expect(repository.createRef('tag', 'main', commitId, 'x')).rejects.toMatchObject(
      failure('exists', 'taken by a branch'),
    );
    const missing = 'f'.repeat(64) as CommitId;
    await expect(repository.createRef('tag', 't', missing, 'x')).rejects.toMatchObject({
      kind: 'not-found',
    });
  });
});

describe('a damaged repository', () => {
  async function damaged(kind: 'commits' | 'trees', how: (file: string) => void): Promise<string> {
    const repository = await create();
    const { commitId, commit: first } = await repository.resolve('main');
    const id = kind === 'commits' ? commitId : first.tree;
    how(join(storage, kind, id.slice(0, 2), id));
    return id;
  }
  const readRoot = async () => {
    const repository = await reopen();
    const { commitId } = await repository.resolve('main');
    const view = await repository.commitView('main', commitId);
    return view.totals('' as never);
  };

  it.each(['commits', 'trees'] as const)('names one of its %s that was cut', async (kind) => {
    const id = await damaged(kind, (file) => truncateSync(file, 20));
    await expect(readRoot()).rejects.toMatchObject(failure('corrupt', id));
  });

  it.each(['commits', 'trees'] as const)('names one of its %s with a flipped bit', async (kind) => {
    const id = await damaged(kind, (file) => {
      const bytes = readFileSync(file);
      bytes[9] = (bytes[9] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    });
    await expect(readRoot()).rejects.toMatchObject(failure('corrupt', id));
  });

  it.each(['commits', 'trees'] as const)('names one of its %s that is missing', async (kind) => {
    const id = await damaged(kind, (file) => rmSync(file));
    await expect(readRoot()).rejects.toMatchObject(failure('not-found', id));
  });
});

describe('publishing', () => {
  it('computes again on the new head when the branch has moved', async () => {
    const repository = await create();
    let rival: CommitId | undefined;
    const seen: CommitId[] = [];
    const { id, onto } = await repository.publish({
      ...COMMIT,
      prepare: async (head) => {
        seen.push(head.id);
        rival ??= await commit(repository);
        return childOf(head);
      },
    });
    expect(onto).toBe(rival);
    expect(seen).toHaveLength(2);
    expect((await repository.readCommit(id)).parents).toEqual([rival]);
  });

  it('gives up, with nothing published, when the branch never rests', async () => {
    const repository = await create();
    let cleared = false;
    const attempt = repository.publish({
      ...COMMIT,
      prepare: async (head) => {
        await commit(repository);
        return childOf(head, { author: 'never' });
      },
      clearStaging: async () => void (cleared = true),
    });
    await expect(attempt).rejects.toMatchObject(failure('conflict', 'main'));
    expect(cleared).toBe(false);
    const { commitId } = await repository.resolve('main');
    const read = (id: CommitId): Promise<Commit> => repository.readCommit(id);
    for await (const each of walkHistory(commitId, read)) expect(each.commit.author).toBe('rosa');
  });

  it('ends with a value, and nothing published, where there is nothing to publish', async () => {
    const repository = await create();
    const { commitId } = await repository.resolve('main');
    const outcome = await repository.publish<{ kind: 'conflicts'; paths: string[] }>({
      ...COMMIT,
      kind: 'merge',
      prepare: async () => ({ kind: 'stop', value: { kind: 'conflicts', paths: ['labels/a'] } }),
    });
    expect(outcome).toEqual({ kind: 'conflicts', paths: ['labels/a'] });
    expect((await repository.resolve('main')).commitId).toBe(commitId);
  });

  it('moves a branch to a commit that is there already', async () => {
    const repository = await create();
    const { commitId: onto } = await repository.resolve('main');
    await repository.createRef('branch', 'labels', onto, 'rosa');
    const ahead = await commit(repository, 'labels');
    const outcome = await repository.publish({
      ...COMMIT,
      kind: 'merge',
      prepare: async () => ({ kind: 'fast-forward', id: ahead }),
    });
    expect(outcome).toEqual({ kind: 'published', id: ahead, onto });
    expect((await repository.resolve('main')).commitId).toBe(ahead);
  });

  it('stops waiting for another attempt when interrupted', async () => {
    const repository = await create();
    const interruption = new AbortController();
    const attempt = repository.publish(
      {
        ...COMMIT,
        prepare: async (head) => {
          await commit(repository);
          interruption.abort();
          return childOf(head);
        },
      },
      interruption.signal,
    );
    await expect(attempt).rejects.toMatchObject({ kind: 'aborted' });
  });

  it('says so when there is no such branch', async () => {
    const repository = await create();
    await expect(commit(repository, 'nope')).rejects.toMatchObject(failure('not-found', 'nope'));
  });
});
