import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import type { Ref, RefChange, RefStore } from '../../src/store/ref-store.js';

export interface RefStoreFixture {
  readonly store: RefStore;
  /** Another store over the same refs, as another process would have it. */
  readonly another: () => RefStore;
  readonly teardown: () => Promise<void>;
}

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

/** What every RefStore promises. */
export function runRefStoreSuite(name: string, open: () => Promise<RefStoreFixture>): void {
  describe(`${name} as a ref store`, () => {
    let fixture: RefStoreFixture;
    let store: RefStore;

    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.teardown());

    it('has no ref that was not set', async () => {
      expect(await store.get('branch', 'main')).toBeUndefined();
      expect(await all(store.list('branch'))).toEqual([]);
      expect(await all(store.history('branch', 'main'))).toEqual([]);
    });

    it('creates, moves and deletes when the ref is as expected', async () => {
      expect(await store.compareAndSwap(change({ next: id(1) }))).toBe('done');
      expect(await store.get('branch', 'main')).toBe(id(1));
      expect(await store.compareAndSwap(change({ expected: id(1), next: id(2) }))).toBe('done');
      expect(await store.get('branch', 'main')).toBe(id(2));
      expect(await store.compareAndSwap(change({ expected: id(2) }))).toBe('done');
      expect(await store.get('branch', 'main')).toBeUndefined();
    });

    it.each<[string, Partial<RefChange>]>([
      ['creating one that is there', { next: id(3) }],
      ['moving from elsewhere', { expected: id(2), next: id(3) }],
      ['deleting from elsewhere', { expected: id(2) }],
      ['moving one that is not there', { name: 'other', expected: id(1), next: id(3) }],
      ['moving one of the other kind', { kind: 'tag', expected: id(1), next: id(3) }],
    ])('answers moved and changes nothing when %s', async (_what, values) => {
      await store.compareAndSwap(change({ next: id(1) }));
      expect(await store.compareAndSwap(change(values))).toBe('moved');
      expect(await all(store.list('branch'))).toEqual([
        { kind: 'branch', name: 'main', commit: id(1) },
      ]);
      expect(await all(store.list('tag'))).toEqual([]);
      expect(await all(store.history('branch', 'main'))).toHaveLength(1);
    });

    it('keeps the history of each ref, newest first, also of a deleted one', async () => {
      const changes = [
        change({ next: id(1), atMs: 10, why: 'branch create', by: 'a' }),
        change({ expected: id(1), next: id(2), atMs: 20, by: 'b' }),
        change({ expected: id(2), atMs: 30, why: 'branch delete', by: 'c' }),
      ];
      for (const each of changes) await store.compareAndSwap(each);
      await store.compareAndSwap(change({ name: 'other', next: id(1) }));
      expect(await all(store.history('branch', 'main'))).toEqual(changes.reverse());
    });

    it('lists in byte order, one kind, after a name, more than a page of them', async () => {
      const names = Array.from({ length: 600 }, (_, i) => `b${i}`);
      for (const each of [...names, 'B', '_', 'Z']) {
        await store.compareAndSwap(change({ name: each, next: id(1) }));
      }
      await store.compareAndSwap(change({ kind: 'tag', name: 'b0.1', next: id(2) }));
      const sorted = [...names, 'B', '_', 'Z'].sort();
      const listed = await all(store.list('branch'));
      expect(listed.map((ref: Ref) => ref.name)).toEqual(sorted);
      const after = await all(store.list('branch', { after: 'b5' }));
      expect(after.map((ref) => ref.name)).toEqual(sorted.filter((each) => each > 'b5'));
      expect(await all(store.list('tag'))).toEqual([{ kind: 'tag', name: 'b0.1', commit: id(2) }]);
    });

    it('gives a name to one ref only, whatever its kind', async () => {
      await store.compareAndSwap(change({ name: 'golden', next: id(1) }));
      const tag = change({ kind: 'tag', name: 'golden', next: id(1) });
      await expect(store.compareAndSwap(tag)).rejects.toMatchObject({
        kind: 'exists',
        message: expect.stringContaining('taken by a branch') as string,
      });
      expect(await store.get('tag', 'golden')).toBeUndefined();
      await store.compareAndSwap(change({ name: 'golden', expected: id(1) }));
      expect(await store.compareAndSwap(tag)).toBe('done');
    });

    it('lets exactly one of many that expect the same commit win', async () => {
      await store.compareAndSwap(change({ next: id(0) }));
      const others = [fixture.another(), fixture.another()];
      const racers = [store, ...others, store, ...others];
      const outcomes = await Promise.all(
        racers.map((racer, i) =>
          racer.compareAndSwap(change({ expected: id(0), next: id(i + 1) })),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
      const winner = id(outcomes.indexOf('done') + 1);
      for (const racer of racers) expect(await racer.get('branch', 'main')).toBe(winner);
      for (const other of others) await other.close();
    });

    it('does nothing when the signal has fired', async () => {
      const signal = AbortSignal.abort();
      await expect(store.compareAndSwap(change({ next: id(1) }), signal)).rejects.toMatchObject({
        kind: 'aborted',
      });
      await expect(store.get('branch', 'main', signal)).rejects.toMatchObject({ kind: 'aborted' });
      expect(await store.get('branch', 'main')).toBeUndefined();
    });
  });
}
