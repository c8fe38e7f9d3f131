import { beforeEach, describe, expect, it } from 'vitest';
import { Repository } from '../../src/repo/repository.js';
import { canonicalStorage, deleteStorage } from '../../src/repo/storage.js';
import { BucketStore } from '../../src/store/bucket/bucket-store.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { TarnError } from '../../src/util/errors.js';
import { MemoryBucket } from '../store/bucket/memory-bucket.js';
import type { StoreCall } from '../store/watched-store.js';
import { WatchedStore } from '../store/watched-store.js';

const STORAGE = 's3://fleet-logs/tarn?region=eu-central-1';

/** A bucket's prefixes, each a store of its own. */
let stores: Map<string, MemoryStore>;
/** Told of each call. */
let before: (call: StoreCall, key: string) => void;

async function openBucket({ prefix }: BucketUrl): Promise<ObjectStore> {
  return new WatchedStore(storeAt(prefix), (call, key) => before(call, key));
}

function storeAt(prefix: string): MemoryStore {
  const store = stores.get(prefix) ?? new MemoryStore();
  stores.set(prefix, store);
  return store;
}

beforeEach(() => {
  stores = new Map();
  before = () => undefined;
});

const create = (storage = STORAGE): Promise<Repository> =>
  Repository.create('drive', storage, 'rosa', { openBucket });
const open = (storage = STORAGE): Promise<Repository> =>
  Repository.open('drive', storage, { openBucket });
const remove = (storage = STORAGE): Promise<void> => deleteStorage(storage, { openBucket });

const failure = (kind: string, words: string) => ({
  kind,
  message: expect.stringContaining(words) as string,
});

async function keys(store: ObjectStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list('')) found.push(key);
  return found;
}

/** Lets so many puts and deletes through, and no more. */
function dieAfter(changes: number): void {
  let left = changes;
  before = (call) => {
    if (call !== 'put' && call !== 'delete') return;
    left -= 1;
    if (left < 0) throw new TarnError('aborted', 'killed');
  };
}

describe('a repository in a bucket', () => {
  it('is not made in a store that ignores the conditions of puts', async () => {
    const deaf = new BucketStore(new MemoryBucket({ isDeaf: true }));
    const made = Repository.create('drive', STORAGE, 'rosa', { openBucket: async () => deaf });
    await expect(made).rejects.toMatchObject(
      failure('unsupported', "'memory://bucket' does not honour conditional writes"),
    );
    expect(await keys(deaf)).toEqual([]);
  });

  it('is made, and opened by others, at once', async () => {
    const made = await create();
    const { commitId } = await made.resolve('main');
    const opened = await open();
    expect((await opened.resolve('main')).commitId).toBe(commitId);
    expect(await keys(storeAt('tarn'))).toEqual([
      expect.stringMatching(/^commits\//),
      'refs/main',
      'tarn.json',
      expect.stringMatching(/^trees\//),
    ]);
  });

  it('has one way to write its place', () => {
    expect(canonicalStorage('S3://fleet-logs/tarn/?region=eu-central-1')).toBe(STORAGE);
    expect(canonicalStorage('file:///data/a%20b')).toBe('/data/a b');
    expect(() => canonicalStorage('tarn')).toThrow(/absolute/);
  });

  it('is not made where there is one, where other objects are, or inside of another one', async () => {
    await create();
    await storeAt('tarn').put('files/ab/x', Buffer.from('a file of it'));
    await expect(create()).rejects.toMatchObject(failure('exists', 'holds a repository already'));
    const inside = create('s3://fleet-logs/tarn/more/inner');
    await expect(inside).rejects.toMatchObject(
      failure('exists', "'s3://fleet-logs/tarn' is a rep"),
    );
    await storeAt('other').put('raw/run-8421.mcap', Buffer.from('x'));
    const taken = create('s3://fleet-logs/other');
    await expect(taken).rejects.toMatchObject(failure('exists', 'raw/run-8421.mcap'));
    expect(await keys(storeAt('other'))).toEqual(['raw/run-8421.mcap']);
  });

  it('is not made inside of a whole bucket that is one', async () => {
    await create('s3://fleet-logs');
    await expect(create()).rejects.toMatchObject(failure('exists', "'s3://fleet-logs' is a rep"));
  });

  it('is made by one of many at once', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => create()));
    const failed = outcomes.flatMap((each) =>
      each.status === 'rejected' ? [(each.reason as TarnError).kind] : [],
    );
    expect(failed).toEqual(Array.from({ length: 5 }, () => 'exists'));
    expect((await (await open()).resolve('main')).commit.parents).toEqual([]);
  });

  it('is completed after its making was cut short anywhere', async () => {
    for (let changes = 0; changes < 4; changes += 1) {
      stores.clear();
      dieAfter(changes);
      await expect(create()).rejects.toMatchObject({ kind: 'aborted' });
      before = () => undefined;
      await expect(open()).rejects.toBeInstanceOf(TarnError);
      await create();
      expect((await (await open()).resolve('main')).branch).toBe('main');
    }
  });

  it('is told apart from none, a damaged one and one of another version', async () => {
    await expect(open()).rejects.toMatchObject(
      failure('not-found', "there is no repository in 's3://fleet-logs/tarn'"),
    );
    await create();
    await storeAt('tarn').put('tarn.json', Buffer.from('{"format":"tarn repository","version":9}'));
    await expect(open()).rejects.toMatchObject(failure('unsupported', 'format version 9'));
    await storeAt('tarn').delete('tarn.json');
    await expect(open()).rejects.toMatchObject(failure('corrupt', "'tarn.json' is missing"));
  });

  it('is deleted, and nothing else, also after that was cut short anywhere', async () => {
    for (let changes = 0; changes < 6; changes += 1) {
      stores.clear();
      await create();
      await storeAt('tarn').put('notes.txt', Buffer.from('not of tarn'));
      dieAfter(changes);
      await expect(remove()).rejects.toMatchObject({ kind: 'aborted' });
      before = () => undefined;
      if (changes > 1) {
        await expect(open()).rejects.toMatchObject(failure('not-found', 'was being deleted'));
      }
      await remove();
      expect(await keys(storeAt('tarn'))).toEqual(['notes.txt']);
      await expect(remove()).rejects.toMatchObject({ kind: 'not-found' });
    }
  });

  it('closes what it opened when it cannot be opened', async () => {
    let closed = 0;
    const opener = async (url: BucketUrl): Promise<ObjectStore> => {
      const store = await openBucket(url);
      store.close = async () => void (closed += 1);
      return store;
    };
    await expect(Repository.open('drive', STORAGE, { openBucket: opener })).rejects.toMatchObject({
      kind: 'not-found',
    });
    expect(closed).toBe(1);
  });
});
