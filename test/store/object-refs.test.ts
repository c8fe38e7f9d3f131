import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreServer } from '../../scripts/lib/store-servers.js';
import { startStoreServer } from '../../scripts/lib/store-servers.js';
import type { CommitId, Hash } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { ObjectRefStore } from '../../src/store/object-refs/object-ref-store.js';
import type { Past, PastLink, RefObject } from '../../src/store/object-refs/ref-object.js';
import {
  ATTACHED_BYTES_MAX,
  decodePast,
  decodeRef,
  encodePast,
  encodeRef,
  spanOf,
} from '../../src/store/object-refs/ref-object.js';
import type { ObjectInfo, ObjectStore, PutOptions } from '../../src/store/object-store.js';
import { openBucket } from '../../src/store/open-bucket.js';
import type { RecordKind, RefChange, RefStore } from '../../src/store/ref-store.js';
import type { BucketUrl } from '../../src/store/storage-url.js';
import { parseStorageUrl } from '../../src/store/storage-url.js';
import { TarnError } from '../../src/util/errors.js';
import { runRefStoreSuite } from '../suites/ref-store.js';
import { WatchedStore } from './watched-store.js';

runRefStoreSuite('objects', async () => {
  const objects = new MemoryStore();
  return {
    store: new ObjectRefStore(objects),
    another: () => new ObjectRefStore(objects),
    teardown: async () => objects.close(),
  };
});

let server: StoreServer;
beforeAll(async () => {
  server = await startStoreServer('moto');
  Object.assign(process.env, server.environment);
}, 60_000);
afterAll(() => server.stop());

runRefStoreSuite(
  'objects in a bucket of moto',
  async () => {
    const url = parseStorageUrl(await server.makeBucket()) as BucketUrl;
    const objects = await openBucket({ ...url, prefix: 'fleet/tarn' });
    return {
      store: new ObjectRefStore(objects),
      another: () => new ObjectRefStore(objects),
      teardown: async () => objects.close(),
    };
  },
  { isFar: true },
);

const id = (n: number): CommitId => sha256(Buffer.from(String(n))) as CommitId;

function change(values: Partial<RefChange>): RefChange {
  const defaults = { kind: 'branch', name: 'main', by: 'rosa', atMs: 1, why: 'commit' } as const;
  return { ...defaults, expected: undefined, next: undefined, ...values };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Puts that are done, and answered with an error, as when the answer is lost. */
class LostAnswers extends WatchedStore {
  readonly #isLost: (key: string, put: number) => boolean;
  #puts = 0;

  constructor(inner: ObjectStore, isLost: (key: string, put: number) => boolean) {
    super(inner, () => undefined);
    this.#isLost = isLost;
  }

  override async put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    const info = await super.put(key, bytes, options);
    this.#puts += 1;
    if (this.#isLost(key, this.#puts)) throw new TarnError('unavailable', 'the answer was lost');
    return info;
  }
}

/** What is attached to a target, and what was found to be. */
function attachments(of: (target: string) => string | undefined) {
  const found: string[] = [];
  return {
    found,
    of: (_kind: RecordKind, target: Hash) => of(target),
    note: (kind: RecordKind, target: Hash, attached: string) =>
      void found.push(`${kind} ${target === id(1) ? 'one' : target} ${attached}`),
  };
}

describe('what is attached to refs in objects', () => {
  function opened(objects: ObjectStore, of: (target: string) => string | undefined) {
    const store = new ObjectRefStore(objects);
    const { found, note, ...rest } = attachments(of);
    store.attach({ ...rest, found: note });
    return { store, found };
  }

  it('comes with the ref, by all of its names', async () => {
    const memory = new MemoryStore();
    const { store } = opened(memory, (target) => (target === id(1) ? 'a "commit"\n' : undefined));
    await store.compareAndSwap(change({ next: id(0) }));
    const before = opened(memory, () => undefined);
    expect(await before.store.get('branch', 'main')).toBe(id(0));
    expect(before.found).toEqual([]);
    await store.compareAndSwap(change({ expected: id(0), next: id(1) }));
    expect(await before.store.get('branch', 'main')).toBe(id(1));
    expect(before.found).toEqual(['branch one a "commit"\n']);

    await store.rename({ from: 'main', to: 'prod', commit: id(1), by: 'rosa', atMs: 2 });
    const after = opened(memory, () => undefined);
    expect(await after.store.find('prod')).toMatchObject({ commit: id(1) });
    expect(await after.store.find('main')).toBeUndefined();
    expect(after.found).toEqual(['branch one a "commit"\n']);
    // Who has nothing to attach, as one that reads older objects, leaves nothing of what was there.
    await after.store.compareAndSwap(change({ name: 'prod', expected: id(1), next: id(2) }));
    const last = opened(memory, () => undefined);
    expect(await last.store.get('branch', 'prod')).toBe(id(2));
    expect(last.found).toEqual([]);
  });

  it('is left out where it is too long', async () => {
    const memory = new MemoryStore();
    for (const [name, letters] of [
      ['fits', ATTACHED_BYTES_MAX / 2],
      ['not', ATTACHED_BYTES_MAX / 2 + 1],
    ] as const) {
      const { store } = opened(memory, () => 'ü'.repeat(letters));
      await store.compareAndSwap(change({ name, next: id(1) }));
    }
    const { store, found } = opened(memory, () => undefined);
    await store.get('branch', 'fits');
    await store.get('branch', 'not');
    expect(found).toEqual([`branch one ${'ü'.repeat(ATTACHED_BYTES_MAX / 2)}`]);
  });
});

describe('refs in objects', () => {
  it('change by one put and one get before it, at any length of history', async () => {
    const calls: string[] = [];
    const objects = new WatchedStore(new MemoryStore(), (call, key) => {
      calls.push(`${call} ${key.slice(0, key.lastIndexOf('/') + 1) || key}`);
    });
    const store = new ObjectRefStore(objects);
    await store.compareAndSwap(change({ next: id(0) }));
    let pasts = 0;
    const length = 1_200;
    for (let i = 0; i < length; i += 1) {
      calls.length = 0;
      const expected = await store.get('branch', 'main');
      await store.compareAndSwap(change({ expected, next: id(i + 1), atMs: i }));
      const spilled = calls.filter((call) => call.startsWith('put past/')).length;
      expect(calls).toHaveLength(2 + spilled);
      pasts += spilled;
    }
    expect(pasts).toBeLessThan(length / 25);
    calls.length = 0;
    expect(await new ObjectRefStore(objects).at('branch', 'main', 3)).toEqual({
      kind: 'at',
      target: id(4),
    });
    expect(calls.length).toBeLessThanOrEqual(4);
    expect(await all(store.history('branch', 'main'))).toHaveLength(length + 1);
  });

  it('list with one get of each that is not at hand', async () => {
    let gets = 0;
    const objects = new WatchedStore(new MemoryStore(), (call) => {
      if (call === 'get') gets += 1;
    });
    const store = new ObjectRefStore(objects);
    for (let i = 0; i < 10; i += 1) {
      await store.compareAndSwap(change({ name: `b${i}`, next: id(i) }));
    }
    const other = new ObjectRefStore(objects);
    gets = 0;
    expect(await all(other.list('branch'))).toHaveLength(10);
    expect(gets).toBe(10);
    await store.compareAndSwap(change({ name: 'b3', expected: id(3), next: id(33) }));
    gets = 0;
    expect((await all(other.list('branch')))[3]).toMatchObject({ commit: id(33) });
    expect(gets).toBe(1);
  });

  it('take a put for done whose answer was lost, also when others built upon it', async () => {
    const memory = new MemoryStore();
    const lossy = new ObjectRefStore(new LostAnswers(memory, () => true));
    expect(await lossy.compareAndSwap(change({ next: id(0) }))).toBe('done');
    expect(await lossy.compareAndSwap(change({ expected: id(0), next: id(1) }))).toBe('done');
    const renaming = { from: 'main', to: 'prod', commit: id(1), by: 'rosa', atMs: 2 };
    expect(await lossy.rename(renaming)).toBe('done');
    expect(await lossy.get('branch', 'main')).toBeUndefined();
    expect(await lossy.get('branch', 'prod')).toBe(id(1));

    const other = new ObjectRefStore(memory);
    const raced = new LostAnswers(memory, () => true);
    const put = raced.put.bind(raced);
    raced.put = async (...given) => {
      try {
        return await put(...given);
      } catch (error) {
        await other.compareAndSwap(change({ name: 'prod', expected: id(2), next: id(3) }));
        throw error;
      }
    };
    const moved = change({ name: 'prod', expected: id(1), next: id(2) });
    expect(await new ObjectRefStore(raced).compareAndSwap(moved)).toBe('done');
    expect(await other.get('branch', 'prod')).toBe(id(3));
  });

  it('tell of a put that failed', async () => {
    const memory = new MemoryStore();
    const failing = new WatchedStore(memory, (call) => {
      if (call === 'put') throw new TarnError('unavailable', 'slow down');
    });
    await expect(
      new ObjectRefStore(failing).compareAndSwap(change({ next: id(0) })),
    ).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await new ObjectRefStore(memory).get('branch', 'main')).toBeUndefined();
  });
});

describe('a renaming of refs in objects', () => {
  const renaming = { from: 'old', to: 'new', commit: id(1), by: 'rosa', atMs: 5 };

  /** A renaming that ends without a word before its put of that number. */
  async function cutShort(memory: MemoryStore, put: number): Promise<void> {
    let puts = 0;
    const dying = new WatchedStore(memory, (call) => {
      if (call === 'put') puts += 1;
      if (puts >= put) throw new TarnError('aborted', 'killed');
    });
    await new ObjectRefStore(dying).rename(renaming).catch(() => undefined);
  }

  async function names(store: RefStore): Promise<string[]> {
    return (await all(store.list('branch'))).map(({ name, commit }) => {
      expect(commit).toBe(id(1));
      return name;
    });
  }

  for (const put of [1, 2, 3]) {
    const name = put <= 2 ? 'old' : 'new';
    const gone = put <= 2 ? 'new' : 'old';

    it(`that is cut short before put ${put} leaves the branch as '${name}'`, async () => {
      const memory = new MemoryStore();
      const store = new ObjectRefStore(memory);
      await store.compareAndSwap(change({ name: 'old', next: id(1) }));
      await cutShort(memory, put);
      expect(await names(store)).toEqual([name]);
      expect(await store.get('branch', name)).toBe(id(1));
      expect(await store.get('branch', gone)).toBeUndefined();
      expect(await all(store.history('branch', 'old'))).toHaveLength(put <= 2 ? 1 : 2);
      expect(await all(store.history('branch', 'new'))).toHaveLength(put <= 2 ? 0 : 1);
    });

    it(`that is cut short before put ${put} is in nobody's way`, async () => {
      for (const first of ['old', 'new']) {
        const memory = new MemoryStore();
        const store = new ObjectRefStore(memory);
        await store.compareAndSwap(change({ name: 'old', next: id(1) }));
        await cutShort(memory, put);
        for (const each of [first, first === 'old' ? 'new' : 'old']) {
          const expected = each === name ? id(1) : undefined;
          const made = change({ name: each, expected, next: id(2), atMs: 6 });
          expect(await store.compareAndSwap(made)).toBe('done');
        }
        for (const each of ['old', 'new']) {
          expect(await store.get('branch', each)).toBe(id(2));
          const history = await all(store.history('branch', each));
          expect(history.map(({ number }) => number)).toEqual(
            history.map((_, i, { length }) => length - i),
          );
        }
        expect(await store.rename({ ...renaming, commit: id(2), to: 'newer' })).toBe('done');
      }
    });
  }

  it('whose new name was taken over meanwhile is not done any more', async () => {
    const memory = new MemoryStore();
    const other = new ObjectRefStore(memory);
    await other.compareAndSwap(change({ name: 'old', next: id(1) }));
    let puts = 0;
    const slow = new WatchedStore(memory, async (call) => {
      if (call === 'put') puts += 1;
      if (call === 'put' && puts === 2) {
        await other.compareAndSwap(change({ name: 'new', next: id(7) }));
      }
    });
    await expect(new ObjectRefStore(slow).rename(renaming)).rejects.toMatchObject({
      kind: 'exists',
    });
    expect(await other.get('branch', 'old')).toBe(id(1));
    expect(await other.get('branch', 'new')).toBe(id(7));
  });

  it('of one branch by many at once is done by one, and loses nothing', async () => {
    const memory = new MemoryStore();
    const store = new ObjectRefStore(memory);
    await store.compareAndSwap(change({ name: 'old', next: id(1) }));
    const outcomes = await Promise.all(
      ['a', 'b', 'c', 'd'].map((to) =>
        new ObjectRefStore(memory).rename({ ...renaming, to }).catch(() => 'failed'),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    expect(await names(store)).toHaveLength(1);
  });
});

describe('the objects of refs', () => {
  const golden = (name: string): Buffer =>
    readFileSync(new URL(`./golden/${name}`, import.meta.url));
  const past: Past = {
    name: 'main',
    changes: [
      {
        number: 1,
        id: '0123456789abcdef0123456789abcdef',
        kind: 'branch',
        next: id(0),
        by: 'Rosa Díaz <rosa@example.com>',
        atMs: 1_749_890_400_123,
        why: 'repository create',
      },
    ],
  };
  const link: PastLink = { hash: sha256(encodePast(past)), level: 0, ...spanOf(past) };
  const ref: RefObject = {
    name: 'main',
    changes: [
      {
        number: 2,
        id: 'fedcba9876543210fedcba9876543210',
        kind: 'branch',
        expected: id(0),
        renamed: { name: 'labels', number: 7 },
        by: 'rosa',
        atMs: 1_749_890_400_124,
        why: 'branch rename',
      },
    ],
    older: [link],
    pending: {
      come: {
        number: 3,
        id: '00000000000000000000000000000001',
        kind: 'branch',
        next: id(1),
        renamed: { name: 'other', number: 12 },
        by: 'rosa',
        atMs: 1_749_890_400_125,
        why: 'branch rename',
      },
      etag: '"9a0364b9e99bb480dd25e1f0284c8555"',
    },
    fence: 'ffffffffffffffffffffffffffffffff',
  };
  const attached: RefObject = {
    name: 'main',
    changes: ref.changes.map(({ renamed: _, ...newest }) => ({ ...newest, next: id(1) })),
    older: ref.older,
    attached: 'tarn-commit 1\nmessage 9\n“label”',
  };

  it('are encoded to the bytes of the golden files, and decoded from them', () => {
    expect(encodeRef(ref).toString()).toBe(golden('ref-v1').toString());
    expect(encodePast(past).toString()).toBe(golden('past-v1').toString());
    expect(decodeRef(golden('ref-v1'), 'main', 'it')).toEqual(ref);
    expect(encodeRef(attached).toString()).toBe(golden('ref-v2').toString());
    expect(decodeRef(golden('ref-v2'), 'main', 'it')).toEqual(attached);
    expect(decodePast(golden('past-v1'), 'main', link, 'it')).toEqual(past);
  });

  it('are corrupt, and named, whichever byte is changed or wherever they are cut', () => {
    for (const [bytes, decode] of [
      [golden('ref-v1'), (given: Buffer) => decodeRef(given, 'main', 'the ref')],
      [golden('ref-v2'), (given: Buffer) => decodeRef(given, 'main', 'the ref')],
      [golden('past-v1'), (given: Buffer) => decodePast(given, 'main', link, 'the ref')],
    ] as const) {
      for (let at = 0; at < bytes.length; at += 1) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ 0x02;
        for (const damaged of [flipped, bytes.subarray(0, at)]) {
          expect(() => decode(damaged)).toThrow(/^the ref (is damaged: |has the format version)/);
        }
      }
    }
  });

  it('are refused under another name, from a newer tarn, and with what contradicts itself', () => {
    expect(() => decodeRef(golden('ref-v1'), 'prod', 'it')).toThrow(/belongs to another name/);
    const newer = Buffer.from(golden('ref-v1').toString().replace('tarn-ref 1', 'tarn-ref 3'));
    expect(() => decodeRef(newer, 'main', 'it')).toThrow(/format version 3/);
    const [newest] = ref.changes;
    if (newest === undefined) throw new Error('no change');
    const hostile: Partial<RefObject>[] = [
      { changes: [] },
      { changes: [{ ...newest, number: 3 }] },
      { changes: [{ ...newest, id: 'short' }] },
      { changes: [{ ...newest, atMs: 1.5 }] },
      { changes: [{ ...newest, next: 'nothash' as CommitId }] },
      { changes: Array.from({ length: 33 }, (_, i) => ({ ...newest, number: 34 - i })) },
      { older: [{ ...link, first: 2 }] },
      { older: [{ ...link, level: 99 }] },
      { older: [link, link] },
      { changes: [{ ...newest, next: undefined as never }], attached: 'to nothing' },
      { attached: 'x'.repeat(ATTACHED_BYTES_MAX + 1) },
    ];
    for (const values of hostile) {
      const bytes = encodeRef({ ...ref, ...values });
      expect(() => decodeRef(bytes, 'main', 'it'), JSON.stringify(values)).toThrow(/is damaged/);
    }
    const other = { ...link, firstMs: 0 };
    expect(() => decodePast(golden('past-v1'), 'main', other, 'it')).toThrow(/other changes/);
  });

  it('that are damaged or missing are told of by the ref store', async () => {
    const memory = new MemoryStore();
    const store = new ObjectRefStore(memory);
    let expected: CommitId | undefined;
    for (let i = 0; i < 40; i += 1) {
      await store.compareAndSwap(change({ expected, next: id(i), atMs: i }));
      expected = id(i);
    }
    for await (const { key } of memory.list('past/')) await memory.delete(key);
    const fresh = new ObjectRefStore(memory);
    expect(await fresh.get('branch', 'main')).toBe(id(39));
    await expect(all(fresh.history('branch', 'main'))).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('past/') as string,
    });
    await memory.put('refs/main', Buffer.from('x'));
    await expect(fresh.get('branch', 'main')).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining("'refs/main' in 'memory:'") as string,
    });
  });
});
