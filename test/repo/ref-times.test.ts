import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import { Repository } from '../../src/repo/repository.js';

let directory: string;
let repository: Repository;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-times-'));
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime('2025-06-14T08:00:00Z');
  repository = await Repository.create('drive', join(directory, 'drive'), 'rosa');
});
afterEach(async () => {
  vi.useRealTimers();
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

async function commitAt(time: string, branch = 'main'): Promise<CommitId> {
  vi.setSystemTime(time);
  const { id } = await repository.publish({
    branch,
    by: 'rosa',
    kind: 'commit',
    why: 'commit',
    prepare: async ({ id: parent, commit: { tree } }) => ({
      kind: 'commit',
      // The date is not what counts: a commit may be as old as its author says.
      commit: { tree, parents: [parent], author: 'rosa', dateMs: 0, message: time, metadata: {} },
    }),
  });
  return id;
}

const at = async (text: string): Promise<CommitId> => (await repository.resolve(text)).commitId;

const failure = (kind: string, words: string) => ({
  kind,
  message: expect.stringContaining(words) as string,
});

describe('a ref at a time', () => {
  it('is what it was then, by its own record', async () => {
    const first = await at('main');
    const second = await commitAt('2025-06-14T10:00:00Z');
    const third = await commitAt('2025-06-15T10:00:00Z');
    vi.setSystemTime('2025-06-16T09:00:00Z');
    expect(await at('main@{2025-06-14T10:00:00Z}')).toBe(second);
    expect(await at('main@{2025-06-14 09:59:59.999}')).toBe(first);
    expect(await at('main@{2025-06-14 12:00 Europe/Berlin}')).toBe(second);
    expect(await at('main@{2025-06-14 11:59 Europe/Berlin}')).toBe(first);
    expect(await at('main@{2025-06-15}')).toBe(second);
    expect(await at('main@{yesterday}')).toBe(second);
    expect(await at('main@{22 hours ago}')).toBe(third);
    expect(await at('main@{now}')).toBe(third);
    expect(await at('main@{now}~2')).toBe(first);
    expect(await at('main@{yesterday}^')).toBe(first);
    expect((await repository.resolve('main@{now}')).branch).toBeUndefined();
  });

  it('is refused before the record begins, and in the future', async () => {
    vi.setSystemTime('2025-06-16T09:00:00Z');
    await expect(at('main@{2025-06-14}')).rejects.toMatchObject(
      failure('not-found', 'the history of main goes back to 2025-06-14T08:00:00Z'),
    );
    await expect(at('main@{2025-06-16 09:00:01}')).rejects.toMatchObject(
      failure('invalid', '2025-06-16T09:00:01Z is in the future'),
    );
    await expect(at('nosuch@{yesterday}')).rejects.toMatchObject(failure('not-found', "'nosuch'"));
    const id = await at('main');
    for (const commit of [id, id.slice(0, 12)]) {
      await expect(at(`${commit}@{yesterday}`)).rejects.toMatchObject(
        failure('invalid', 'is a commit'),
      );
    }
  });

  it('says that it had been deleted, and finds what lived before and after that', async () => {
    const first = await at('main');
    vi.setSystemTime('2025-06-14T09:00:00Z');
    await repository.createRef('tag', 'golden', first, 'rosa');
    vi.setSystemTime('2025-06-14T10:00:00Z');
    await repository.deleteRef('tag', 'golden', 'kim');
    const second = await commitAt('2025-06-14T11:00:00Z');
    vi.setSystemTime('2025-06-14T12:00:00Z');
    await repository.createRef('branch', 'golden', second, 'rosa');
    vi.setSystemTime('2025-06-14T13:00:00Z');
    expect(await at('golden@{2025-06-14 09:30}')).toBe(first);
    expect(await at('golden@{2025-06-14 12:30}')).toBe(second);
    await expect(at('golden@{2025-06-14 11:30}')).rejects.toMatchObject(
      failure(
        'not-found',
        "tag 'golden' was not there then: it was deleted at 2025-06-14T10:00:00Z",
      ),
    );
  });

  it('is found under the name that a branch had then', async () => {
    const first = await at('main');
    await repository.createRef('branch', 'labels', first, 'rosa');
    const second = await commitAt('2025-06-14T10:00:00Z', 'labels');
    vi.setSystemTime('2025-06-14T11:00:00Z');
    await repository.renameBranch('labels', 'labels-v2', 'rosa');
    const third = await commitAt('2025-06-14T12:00:00Z', 'labels-v2');
    vi.setSystemTime('2025-06-14T13:00:00Z');
    expect(await at('labels-v2@{2025-06-14 09:00}')).toBe(first);
    expect(await at('labels-v2@{2025-06-14 10:30}')).toBe(second);
    expect(await at('labels-v2@{1 hour ago}')).toBe(third);
    expect(await at('labels@{2025-06-14 10:30}')).toBe(second);
    await expect(at('labels@{2025-06-14 11:30}')).rejects.toMatchObject(
      failure('not-found', "it was renamed to 'labels-v2' at 2025-06-14T11:00:00Z by rosa"),
    );
  });
});
