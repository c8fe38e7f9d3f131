import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
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

  it('creates one again that was cut short before its first commit was there', async () => {
    const storage = home.defaultStorage('drive');
    await (await Repository.create('drive', storage, 'Ada')).close();
    await rm(join(storage, 'tarn.json'));
    await repositories.create('drive', undefined, 'Bob');
    const { commit } = await (await repositories.open('drive')).resolve('main');
    expect(commit).toMatchObject({ author: 'Ada', message: 'Create the repository' });
  });

  it('leaves what else lies in the default place alone', async () => {
    const storage = home.defaultStorage('drive');
    await mkdir(storage, { recursive: true });
    await writeFile(join(storage, 'thesis.txt'), 'mine');
    await expect(repositories.create('drive', undefined, 'Ada')).rejects.toMatchObject({
      kind: 'exists',
      message: expect.stringContaining('thesis.txt') as string,
    });
    expect(await readdir(storage)).toEqual(['thesis.txt']);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'deletes the rest of one whose deletion was interrupted (needs root, to mount)',
    async () => {
      const { storage } = await repositories.create('drive', undefined, 'Ada');
      const obstacle = join(storage, 'trees', 'obstacle');
      await mkdir(obstacle);
      execFileSync('mount', ['-t', 'tmpfs', 'tarn-test', obstacle]);
      try {
        await expect(repositories.delete('drive')).rejects.toMatchObject({ kind: 'busy' });
      } finally {
        execFileSync('umount', [obstacle]);
      }
      expect(await readdir(storage)).toContain('trees');
      await expect(repositories.open('drive')).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.stringContaining('was being deleted') as string,
      });
      await repositories.delete('drive');
      await expect(readdir(storage)).rejects.toThrow('ENOENT');
      expect(repositories.list()).toEqual([]);
      await repositories.create('drive', undefined, 'Ada');
    },
  );

  it('adds one that exists, once and under a free name', async () => {
    const storage = join(root, 'elsewhere');
    await (await Repository.create('theirs', storage, 'Ada')).close();
    await symlink(storage, join(root, 'link'));
    await repositories.create('taken', undefined, 'Ada');
    await expect(repositories.add('taken', storage)).rejects.toMatchObject({ kind: 'exists' });
    await expect(repositories.add('drive', root)).rejects.toMatchObject({ kind: 'not-found' });
    expect(await repositories.add('drive', join(root, 'link'))).toEqual({ name: 'drive', storage });
    await expect(repositories.add('again', `file://${storage}`)).rejects.toMatchObject({
      kind: 'exists',
      message: expect.stringContaining("as 'drive'") as string,
    });
    expect(repositories.list().map(({ name }) => name)).toEqual(['drive', 'taken']);
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

  it('opens those in buckets ahead, and asks nothing of them', async () => {
    await repositories.create('drive', undefined, 'Ada');
    // Nothing listens there.
    const storage = 's3://logs/far?endpoint=http%3A%2F%2F127.0.0.1%3A1&region=us-east-1';
    home.addRepository({ name: 'far', storage });
    home.addRepository({ name: 'broken', storage: 's3://logs/broken?ca-file=%2Fnosuch' });
    await repositories.prepare();
    expect(repositories.openCount).toBe(1);
    await expect(repositories.open('broken')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('forgets one whose storage is gone already', async () => {
    const { storage } = await repositories.create('drive', undefined, 'Ada');
    await rm(storage, { recursive: true });
    await repositories.delete('drive');
    expect(repositories.list()).toEqual([]);
  });
});
