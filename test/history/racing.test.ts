import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import { merge } from '../../src/history/merge.js';
import type { CommitId } from '../../src/model/ids.js';
import { walkHistory } from '../../src/repo/log.js';
import { ensureBuilt } from '../workspace/built.js';
import { all, key } from '../workspace/sandbox.js';
import { HistorySandbox } from './sandbox.js';

/**
 * Processes, each with a home of its own, that commit, make branches and merge on one repository at
 * once. Whatever their order: what was reported as done is in the history exactly once, and no
 * change is lost.
 */
const CHILD = fileURLToPath(new URL('racing-child.mjs', import.meta.url));
const PROCESSES = Number(process.env['TARN_RACING_PROCESSES'] ?? 4);
const ROUNDS = Number(process.env['TARN_RACING_ROUNDS'] ?? 5);

interface Said {
  readonly kind: 'commit' | 'branch' | 'increment';
  readonly id?: CommitId;
  readonly path?: string;
  readonly branch?: string;
}

const servers: StoreServer[] = [];
const sandboxes: HistorySandbox[] = [];

beforeAll(ensureBuilt);
afterEach(async () => {
  for (const sandbox of sandboxes.splice(0)) await sandbox.remove();
  for (const server of servers.splice(0)) await server.stop();
});

async function make(storage?: string): Promise<HistorySandbox> {
  const sandbox = await HistorySandbox.make(storage);
  sandboxes.push(sandbox);
  return sandbox;
}

async function race(sandbox: HistorySandbox, name: string, rounds: number): Promise<Said[]> {
  const home = join(sandbox.directory, `home-${name}`);
  const input = { home, storage: sandbox.storage, name, rounds };
  const child = spawn(process.execPath, [CHILD, JSON.stringify(input)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const said = (await text(child.stdout)).trimEnd().split('\n');
  expect(await ended).toEqual([0, null]);
  return said.map((line) => JSON.parse(line) as Said);
}

it('keeps all that processes commit and merge at once, each exactly once', async () => {
  await raceIn(await make(), ROUNDS);
});

it('keeps it in a bucket as well, with nothing between the processes but that', async () => {
  const server = await startStoreServer('moto');
  servers.push(server);
  Object.assign(process.env, server.environment);
  await raceIn(await make(await server.makeBucket()), Math.min(ROUNDS, 2));
}, 180_000);

async function raceIn(sandbox: HistorySandbox, rounds: number): Promise<void> {
  const names = Array.from({ length: PROCESSES }, (_, n) => `av-${n}`);
  const said = (await Promise.all(names.map((name) => race(sandbox, name, rounds)))).flat();
  const { repository } = sandbox;
  const { commitId: head, commit } = await repository.resolve('main@');

  const reported = said.flatMap(({ id }) => (id === undefined ? [] : [id]));
  expect(new Set(reported).size).toBe(PROCESSES * rounds * 4);
  const history = (await all(walkHistory(head, (id) => repository.readCommit(id)))).map(
    ({ id }) => id,
  );
  expect(new Set(history).size).toBe(history.length);
  const first = history.at(-1) as CommitId;
  expect([...history].sort()).toEqual([first, ...reported].sort());

  const tree = await repository.openTree(commit.tree);
  for (const { path } of said) {
    if (path !== undefined) expect((await tree.get(key(path)))?.metadata).toBeDefined();
  }
  const increments = said.filter(({ kind }) => kind === 'increment').length;
  expect((await tree.get(key('counter')))?.metadata).toMatchObject({ n: String(increments) });

  const branches = said.flatMap(({ branch }) => (branch === undefined ? [] : [branch]));
  const found = (await all(repository.listRefs('branch'))).map(({ name }) => name);
  expect(found).toEqual(['main', ...branches].sort());
  const moves = await all(repository.refs.history('branch', 'main'));
  expect(moves).toHaveLength(1 + PROCESSES * rounds * 3);
}

it('gives up after so many lost races, says so, and has changed nothing', async () => {
  const sandbox = await make();
  const { repository } = sandbox;
  await sandbox.branch('labels-v2');
  await sandbox.commit('labels-v2', { a: '2' });
  const head = await sandbox.commit('main', { b: '1' });
  let races = 0;
  repository.refs.compareAndSwap = () => {
    races += 1;
    return Promise.resolve('moved');
  };
  const merging = merge(repository, { branch: 'main', source: 'labels-v2', author: 'rosa' });
  await expect(merging).rejects.toMatchObject({
    kind: 'conflict',
    message: "branch 'main' moved 50 times during a merge",
    hint: expect.stringContaining('nothing is lost') as string,
  });
  expect(races).toBe(50);
  expect(await sandbox.head('main')).toBe(head);
});
