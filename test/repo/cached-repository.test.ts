import { closeSync, openSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ObjectCache } from '../../src/cache/object-cache.js';
import type { Entry } from '../../src/model/entry.js';
import { BLOCK_BYTES } from '../../src/model/ids.js';
import type { NodeId } from '../../src/model/ids.js';
import { keyFromText } from '../../src/model/path.js';
import { verifyCache } from '../../src/repo/cache-verify.js';
import { Prefetch } from '../../src/repo/prefetch.js';
import { Repository } from '../../src/repo/repository.js';
import type { FrozenView } from '../../src/repo/view.js';
import { buildTree } from '../../src/tree/write.js';
import { CacheFixture } from '../cache/cache-fixture.js';
import { entryOf, faultOf, noise, storeAll } from './content-fixture.js';

const STORAGE = 's3://fleet-logs/tarn';
const LARGE = noise(3 * BLOCK_BYTES + 5, 1);
const SMALL = 2000;
const NEVER = new AbortController().signal;

let fixture: CacheFixture;
const repositories: Repository[] = [];
beforeEach(async () => {
  fixture = new CacheFixture();
  const made = await Repository.create('drive', STORAGE, 'Ada', options());
  const files = [LARGE, ...Array.from({ length: SMALL }, (_, i) => noise(500, i))];
  const stored = await storeAll(files, made.objects);
  const entries = stored.map((each, i): { key: ReturnType<typeof keyFromText>; entry: Entry } => ({
    key: keyFromText(i === 0 ? 'log.mcap' : `labels/${String(i).padStart(6, '0')}.json`),
    entry: entryOf(each),
  }));
  entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  const { id } = await buildTree(made.nodes, [entries]);
  await commit(made, id);
  await made.close();
  fixture.far.taken();
});
afterEach(async () => {
  for (const repository of repositories.splice(0)) await repository.close();
  await fixture.dispose();
});

function options() {
  return { openBucket: async () => Promise.resolve(fixture.far) };
}

async function commit(repository: Repository, tree: NodeId): Promise<void> {
  const head = await repository.refs.get('branch', 'main');
  const parents = head === undefined ? [] : [head];
  const [author, atMs] = ['Ada', Date.now()];
  const made = { tree, parents, author, dateMs: atMs, message: 'files', metadata: {} };
  const next = await repository.commits.save(made);
  const who = { by: author, atMs, why: 'test' };
  await repository.refs.compareAndSwap({
    kind: 'branch',
    name: 'main',
    expected: head,
    next,
    ...who,
  });
}

async function open(cache: ObjectCache, offline = false): Promise<Repository> {
  const shared = { ...options(), objectCache: cache, offline };
  const repository = await Repository.open('drive', STORAGE, shared);
  repositories.push(repository);
  return repository;
}

async function viewOf(repository: Repository): Promise<FrozenView> {
  const { commitId } = await repository.resolve('main');
  return repository.commitView('main', commitId);
}

async function readFile(view: FrozenView, path: string, length: number): Promise<Uint8Array> {
  const key = keyFromText(path);
  const entry = await view.get(key);
  if (entry === undefined) throw new Error(`there is no ${path}`);
  const content = await view.open(key, entry);
  try {
    return await content.read(0, length);
  } finally {
    content.close();
  }
}

async function prefetch(repository: Repository, view: FrozenView): Promise<Prefetch> {
  const work = new Prefetch(repository.objects, (entry) => repository.openContent(entry), NEVER);
  const cursor = view.cursor();
  for (let more = await cursor.seek(keyFromText('')); more; more = await cursor.next()) {
    await work.add(cursor.entry());
  }
  await work.finish();
  return work;
}

/** Requests that were sent while none was under way: what must be waited for one after the other. */
function countRounds(): () => number {
  let rounds = 0;
  fixture.far.hold = async () => {
    if (fixture.far.underWay === 1) rounds += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return () => rounds;
}

test('the first byte of a cold file is two rounds of requests away, five with the opening', async () => {
  const rounds = countRounds();
  const { cache } = fixture.open();
  const view = await viewOf(await open(cache));
  expect(rounds()).toBeLessThanOrEqual(3);
  const before = rounds();
  const found = await readFile(view, 'log.mcap', 100);
  expect(Buffer.compare(found, LARGE.subarray(0, 100))).toBe(0);
  expect(rounds() - before).toBeLessThanOrEqual(2);
  expect(rounds()).toBeLessThanOrEqual(5);
});

test('opening a repository whose commit is cached is two requests', async () => {
  const first = fixture.open();
  await viewOf(await open(first.cache));
  await first.cache.close();
  fixture.far.taken();
  const again = fixture.open();
  const view = await viewOf(await open(again.cache));
  expect(fixture.far.taken().map(({ key }) => key)).toEqual(['tarn.json', 'refs/main']);
  expect(view.source.commit.message).toBe('files');
});

test('a commit that came with its branch is there offline by its id, also later', async () => {
  const online = fixture.open();
  const { source } = await viewOf(await open(online.cache));
  expect(fixture.far.taken().map(({ key }) => key.split('/')[0])).not.toContain('commits');
  await online.cache.close();
  const offline = await open(fixture.open().cache, true);
  expect(await offline.readCommit(source.commitId)).toEqual(source.commit);
});

test('what was prefetched is read offline, with the ref as it was last seen; the rest is named', async () => {
  const online = fixture.open();
  const repository = await open(online.cache);
  const view = await viewOf(repository);
  await readFile(view, 'labels/000001.json', 500);
  const before = fixture.far.requests.length;
  const partly = await viewOf(await open(online.cache, true));
  const missing = await faultOf(readFile(partly, 'log.mcap', 10));
  expect(missing.kind).toBe('unavailable');
  expect(missing.message).toMatch(/files\/|manifests\//);
  const { done } = await prefetch(repository, view);
  expect(done).toEqual({ files: SMALL + 1, bytes: SMALL * 500 + LARGE.length });
  // The large file in one request beside its manifest, the small ones in one run.
  expect(fixture.far.requests.length - before).toBeLessThanOrEqual(5);
  await online.cache.close();
  fixture.far.taken();

  const offline = fixture.open();
  const later = await viewOf(await open(offline.cache, true));
  expect(Buffer.compare(await readFile(later, 'log.mcap', LARGE.length), LARGE)).toBe(0);
  for (const i of [1, 2, SMALL - 1]) {
    const path = `labels/${String(i).padStart(6, '0')}.json`;
    expect(Buffer.compare(await readFile(later, path, 500), noise(500, i - 1))).toBe(0);
  }
  expect(fixture.far.taken()).toEqual([]);
});

test('a prefetch that was cut short goes on where it was', async () => {
  const { cache } = fixture.open();
  const repository = await open(cache);
  const view = await viewOf(repository);
  await prefetch(repository, view);
  fixture.far.taken();
  await prefetch(repository, view);
  expect(fixture.far.taken()).toEqual([]);
});

test('verifying the cache finds what is damaged, drops it, and the next read fetches it', async () => {
  const before = fixture.open();
  const repository = await open(before.cache);
  await prefetch(repository, await viewOf(repository));
  await before.cache.close();
  const { cache } = fixture.open();
  const whole = await verifyCache(cache, () => undefined, NEVER);
  expect(whole).toMatchObject({ damaged: 0 });
  expect(whole.bytes).toBeGreaterThan(LARGE.length);
  for (const path of fixture.files()) {
    const fd = openSync(path, 'r+');
    writeSync(fd, Buffer.from('damaged'), 0, 7, 200);
    closeSync(fd);
  }
  const damaged = await verifyCache(cache, () => undefined, NEVER);
  expect(damaged.damaged).toBeGreaterThanOrEqual(BLOCK_BYTES);
  const healed = await viewOf(await open(cache));
  expect(Buffer.compare(await readFile(healed, 'log.mcap', LARGE.length), LARGE)).toBe(0);
  const label = await readFile(healed, 'labels/000001.json', 500);
  expect(Buffer.compare(label, noise(500, 0))).toBe(0);
});
