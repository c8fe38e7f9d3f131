import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Repositories } from '../../src/daemon/repositories.js';
import { Repository } from '../../src/repo/repository.js';
import { NodeCache } from '../../src/tree/nodes.js';
import { Home } from '../../src/workspace/home.js';

let root: string;
let home: Home;
let repositories: Repositories;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tarn-repositories-'));
  home = Home.open(join(root, 'home'));
  const stamps = { get: () => undefined, set: () => undefined };
  repositories = new Repositories(home, { nodeCache: new NodeCache(1_000_000), stamps });
});

afterEach(async () => {
  await repositories.close();
  home.close();
  await rm(root, { recursive: true, force: true });
});

describe('a home and its repositories', () => {
  it('creates one again that was cut short before its name was taken', async () => {
    const made = await Repository.create('drive', home.defaultStorage('drive'), 'Ada');
    const { commitId } = await made.resolve('main');
    await made.close();
    await repositories.create('drive', undefined, 'Bob');
    const opened = await repositories.open('drive');
    expect((await opened.resolve('main')).commitId).toBe(commitId);
  });

  it('does not take over what lies where the user points', async () => {
    const storage = join(root, 'elsewhere');
    await (await Repository.create('theirs', storage, 'Ada')).close();
    await expect(repositories.create('drive', storage, 'Bob')).rejects.toMatchObject({
      kind: 'exists',
    });
    expect(repositories.list()).toEqual([]);
  });

  it('opens one once, however many ask, and forgets a failed opening', async () => {
    await repositories.create('drive', undefined, 'Ada');
    const [one, two] = await Promise.all([repositories.open('drive'), repositories.open('drive')]);
    expect(one).toBe(two);
    expect(repositories.openCount).toBe(1);
    await expect(repositories.open('later')).rejects.toMatchObject({ kind: 'not-found' });
    await repositories.create('later', undefined, 'Ada');
    expect((await repositories.open('later')).name).toBe('later');
  });

  it('forgets one whose storage is gone already', async () => {
    const { storage } = await repositories.create('drive', undefined, 'Ada');
    await rm(storage, { recursive: true });
    await repositories.delete('drive');
    expect(repositories.list()).toEqual([]);
  });
});
