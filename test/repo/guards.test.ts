import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import type { PublicationKind } from '../../src/repo/guards.js';
import type { Prepared } from '../../src/repo/publish.js';
import { Repository } from '../../src/repo/repository.js';
import { parseSettings } from '../../src/repo/settings.js';

let directory: string;
let repository: Repository;
let first: CommitId;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-guards-'));
  repository = await Repository.create('drive', join(directory, 'drive'), 'rosa');
  first = (await repository.resolve('main')).commitId;
});
afterEach(async () => {
  await repository.close();
  rmSync(directory, { recursive: true, force: true });
});

async function set(value: unknown): Promise<void> {
  const settings = parseSettings(JSON.stringify(value));
  await repository.settings.change({ by: 'rosa', why: 'repo settings', change: () => settings });
}

let calls = 0;

async function publish(
  kind: PublicationKind,
  metadata: Record<string, string> = {},
  branch = 'main',
  isEarly = true,
): Promise<CommitId> {
  const { id } = await repository.publish({
    branch,
    by: 'rosa',
    kind,
    why: kind,
    ...(isEarly ? { metadata } : {}),
    prepare: async (head): Promise<Prepared<never>> => {
      calls += 1;
      const { tree } = head.commit;
      const message = `${kind} ${calls}`;
      return {
        kind: 'commit',
        commit: { tree, parents: [head.id], author: 'rosa', dateMs: 0, message, metadata },
      };
    },
  });
  return id;
}

const denied = (words: string, hint = '') => ({
  kind: 'denied',
  message: expect.stringContaining(words) as string,
  hint: expect.stringContaining(hint) as string,
});

const main = async (): Promise<CommitId> => (await repository.resolve('main')).commitId;

describe('a protected branch', () => {
  beforeEach(() => set({ protectedBranches: ['main', 'release-*'] }));

  it.each(['commit', 'cherry-pick'] as const)(
    'takes no %s, and does no work for it',
    async (kind) => {
      calls = 0;
      await expect(publish(kind)).rejects.toMatchObject(
        denied(`branch 'main' of 'drive' is protected and takes merges, no ${kind}`, 'tarn merge'),
      );
      expect(calls).toBe(0);
      expect(await main()).toBe(first);
    },
  );

  it.each(['merge', 'revert'] as const)('takes a %s', async (kind) => {
    const id = await publish(kind);
    expect(await main()).toBe(id);
  });

  it('is not deleted, renamed or reset', async () => {
    const second = await publish('merge');
    await expect(repository.deleteRef('branch', 'main', 'rosa')).rejects.toMatchObject(
      denied("'main' of 'drive' is protected and cannot be deleted", 'tarn branch protect'),
    );
    await expect(repository.renameBranch('main', 'old', 'rosa')).rejects.toMatchObject(
      denied('cannot be renamed'),
    );
    const reset = { branch: 'main', from: second, to: first, by: 'rosa' };
    await expect(repository.resetBranch(reset)).rejects.toMatchObject(denied('cannot be reset'));
    expect(await main()).toBe(second);
  });

  it('is meant by its pattern, and others are free', async () => {
    await repository.createRef('branch', 'release-7', first, 'rosa');
    await expect(publish('commit', {}, 'release-7')).rejects.toMatchObject(
      denied("'release-7' of 'drive' is protected (by 'release-*')"),
    );
    await repository.createRef('branch', 'labels', first, 'rosa');
    const id = await publish('commit', {}, 'labels');
    const reset = { branch: 'labels', from: id, to: first, by: 'rosa' };
    await repository.resetBranch(reset);
    await expect(repository.resetBranch(reset)).rejects.toMatchObject({ kind: 'conflict' });
    await repository.renameBranch('labels', 'labels-v2', 'rosa');
    await repository.deleteRef('branch', 'labels-v2', 'rosa');
  });

  it('is free again when the protection is taken off', async () => {
    await set({ protectedBranches: ['release-*'] });
    expect(await main()).toBe(first);
    const id = await publish('commit');
    expect(await main()).toBe(id);
  });
});

describe('a protected tag', () => {
  it('is not deleted, and no tag is moved', async () => {
    await set({ protectedTags: ['prod-*'] });
    await repository.createRef('tag', 'prod-2025-08-15', first, 'rosa');
    await repository.createRef('tag', 'golden', first, 'rosa');
    await expect(repository.deleteRef('tag', 'prod-2025-08-15', 'rosa')).rejects.toMatchObject(
      denied(
        "tag 'prod-2025-08-15' of 'drive' is protected (by 'prod-*')",
        'tarn tag protect drive',
      ),
    );
    const second = await publish('commit');
    for (const name of ['prod-2025-08-15', 'golden']) {
      await expect(repository.createRef('tag', name, second, 'rosa')).rejects.toMatchObject({
        kind: 'exists',
        message: `there is a tag '${name}' already, at commit ${first.slice(0, 12)}`,
      });
    }
    await repository.deleteRef('tag', 'golden', 'rosa');
    expect((await repository.resolve('prod-2025-08-15')).commitId).toBe(first);
  });
});

describe('a rule of metadata', () => {
  const schema = { properties: { calibration: { enum: ['v7', 'v8'] } } };

  beforeEach(() =>
    set({ metadata: { main: { required: ['calibration', 'firmware', 'map'], schema } } }),
  );

  const ALL = { calibration: 'v7', firmware: '4.2.1', map: 'sf-12' };

  it.each(['commit', 'merge', 'revert', 'cherry-pick'] as const)('holds for a %s', async (kind) => {
    calls = 0;
    await expect(publish(kind, { calibration: 'v7' })).rejects.toMatchObject(
      denied(
        'must say calibration, firmware and map: firmware and map are missing',
        '--meta firmware=… --meta map=…',
      ),
    );
    expect(calls).toBe(0);
    await expect(publish(kind, { ...ALL, calibration: 'v9' }, 'main', false)).rejects.toMatchObject(
      denied(
        "'calibration' must be equal to one of the allowed values: v7, v8",
        'repo settings drive',
      ),
    );
    expect(await main()).toBe(first);
    const id = await publish(kind, ALL);
    expect(await main()).toBe(id);
  });

  it('holds for every commit that is published at once, and for a fast-forward', async () => {
    await repository.createRef('branch', 'labels', first, 'rosa');
    const bare = await publish('commit', {}, 'labels');
    const said = await publish('commit', ALL, 'labels');
    const forward = (id: CommitId) =>
      repository.publish({
        branch: 'main',
        by: 'rosa',
        kind: 'merge',
        why: 'merge',
        prepare: async () => ({ kind: 'fast-forward', id }),
      });
    await expect(forward(bare)).rejects.toMatchObject(denied('are missing'));
    const [under, over] = [await repository.readCommit(bare), await repository.readCommit(said)];
    const chain = repository.publish({
      branch: 'main',
      by: 'rosa',
      kind: 'cherry-pick',
      why: 'cherry-pick',
      prepare: async () => ({ kind: 'commit', commit: over, between: [under] }),
    });
    await expect(chain).rejects.toMatchObject(denied('are missing'));
    expect(await main()).toBe(first);
    await forward(said);
    expect(await main()).toBe(said);
  });

  it('that comes while a tree is built is obeyed', async () => {
    await set({});
    const attempt = repository.publish({
      branch: 'main',
      by: 'rosa',
      kind: 'commit',
      why: 'commit',
      metadata: {},
      prepare: async (head): Promise<Prepared<never>> => {
        await set({ protectedBranches: ['*'] });
        const plain = { author: 'rosa', dateMs: 0, message: '', metadata: {} };
        const { tree } = head.commit;
        return { kind: 'commit', commit: { tree, parents: [head.id], ...plain } };
      },
    });
    await expect(attempt).rejects.toMatchObject(denied('is protected'));
    expect(await main()).toBe(first);
  });
});

describe('the history of settings', () => {
  it('keeps every version, with who, when and why', async () => {
    expect(await repository.settings.current()).toEqual({ settings: parseSettings('{}') });
    await set({ protectedBranches: ['main'] });
    const { id: one } = await repository.settings.current();
    await set({ protectedBranches: ['main'], protectedTags: ['prod-*'] });
    await set({ protectedTags: ['prod-*'], protectedBranches: ['main'] });
    const { id: two, settings } = await repository.settings.current();
    const changes = [];
    for await (const change of repository.settings.history()) changes.push(change);
    expect(changes).toMatchObject([
      { expected: one, next: two, by: 'rosa', why: 'repo settings' },
      { expected: undefined, next: one },
    ]);
    const [newest, oldest] = changes;
    expect(await repository.settings.at(newest?.atMs ?? 0)).toEqual({ settings, id: two });
    expect(await repository.settings.at((oldest?.atMs ?? 0) - 1)).toEqual({
      settings: parseSettings('{}'),
    });
  });

  it('loses no change of several at once', async () => {
    const protect = (name: string) =>
      repository.settings.change({
        by: 'rosa',
        why: 'branch protect',
        change: (now) => ({ ...now, protectedBranches: [...now.protectedBranches, name].sort() }),
      });
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(names.map(protect));
    expect((await repository.settings.current()).settings.protectedBranches).toEqual(names);
  });

  it('keeps the settings as they were when the new ones are refused', async () => {
    await set({ protectedBranches: ['main'] });
    const before = await repository.settings.current();
    await expect(set({ metadata: { main: { schema: false } } })).rejects.toMatchObject({
      kind: 'invalid',
    });
    expect(await repository.settings.current()).toEqual(before);
  });

  it('is known to whoever opens the repository next', async () => {
    await set({ protectedBranches: ['main'] });
    const other = await Repository.open('drive', join(directory, 'drive'));
    try {
      expect((await other.settings.current()).settings.protectedBranches).toEqual(['main']);
    } finally {
      await other.close();
    }
  });
});
