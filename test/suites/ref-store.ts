import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitId, SettingsId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import type { RecordedChange, Ref, RefChange, RefStore } from '../../src/store/ref-store.js';
import { RefModel } from './ref-model.js';

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

/**
 * What every RefStore promises.
 * @param options.isFar each call asks a server, so that fewer are made
 */
export function runRefStoreSuite(
  name: string,
  open: () => Promise<RefStoreFixture>,
  { isFar = false }: { readonly isFar?: boolean } = {},
): void {
  const many = isFar ? 40 : 600;
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

    it('finds what a name is, of whichever kind', async () => {
      await store.compareAndSwap(change({ next: id(1) }));
      await store.compareAndSwap(change({ kind: 'tag', name: 'golden', next: id(2) }));
      expect(await store.find('main')).toEqual({ kind: 'branch', name: 'main', commit: id(1) });
      expect(await store.find('golden')).toEqual({ kind: 'tag', name: 'golden', commit: id(2) });
      expect(await store.find('none')).toBeUndefined();
      await store.compareAndSwap(change({ expected: id(1) }));
      expect(await store.find('main')).toBeUndefined();
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
      expect(await all(store.history('branch', 'main'))).toMatchObject(changes.reverse());
    });

    it('gives the history from any change back, more than a page of it', async () => {
      let expected: CommitId | undefined;
      for (let i = 0; i < many; i += 1) {
        await store.compareAndSwap(change({ expected, next: id(i), atMs: Math.floor(i / 7) }));
        await store.compareAndSwap(change({ name: `other-${i}`, next: id(i), atMs: i }));
        expected = id(i);
      }
      const whole = await all(store.history('branch', 'main'));
      expect(whole.map(({ next }) => next)).toEqual(
        Array.from({ length: many }, (_, i) => id(many - 1 - i)),
      );
      const numbers = whole.map(({ number }) => number);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => b - a));
      const before = numbers[many / 2] ?? 0;
      expect(await all(store.history('branch', 'main', { before }))).toEqual(
        whole.slice(many / 2 + 1),
      );
    });

    it('renames in one step, which both histories keep', async () => {
      await store.compareAndSwap(change({ name: 'labels', next: id(1), atMs: 10 }));
      const renaming = { from: 'labels', to: 'labels-v2', commit: id(1), by: 'rosa', atMs: 20 };
      expect(await store.rename({ ...renaming, commit: id(2) })).toBe('moved');
      expect(await store.rename({ ...renaming, from: 'nosuch' })).toBe('moved');
      expect(await store.rename(renaming)).toBe('done');
      expect(await store.get('branch', 'labels')).toBeUndefined();
      expect(await store.get('branch', 'labels-v2')).toBe(id(1));
      const [away, ...older] = await all(store.history('branch', 'labels'));
      expect(away).toMatchObject({ expected: id(1), next: undefined, renamed: 'labels-v2' });
      expect(older).toHaveLength(1);
      const [come, ...none] = await all(store.history('branch', 'labels-v2'));
      expect(come).toMatchObject({ expected: undefined, next: id(1), renamed: 'labels' });
      expect(come).toMatchObject({ by: 'rosa', atMs: 20, why: 'branch rename' });
      expect(none).toEqual([]);
      expect(await store.at('branch', 'labels-v2', 15)).toEqual({ kind: 'at', target: id(1) });
      expect(await store.at('branch', 'labels', 15)).toEqual({ kind: 'at', target: id(1) });
      expect(await store.at('branch', 'labels', 20)).toEqual({ kind: 'gone', change: away });
      expect(await store.at('branch', 'labels-v2', 9)).toEqual({
        kind: 'unrecorded',
        first: older[0],
      });
    });

    it('renames to no name that is taken', async () => {
      await store.compareAndSwap(change({ next: id(1) }));
      await store.compareAndSwap(change({ name: 'labels', next: id(1) }));
      await store.compareAndSwap(change({ kind: 'tag', name: 'golden', next: id(1) }));
      for (const to of ['labels', 'golden', 'main']) {
        const renaming = { from: 'main', to, commit: id(1), by: 'rosa', atMs: 2 };
        await expect(store.rename(renaming)).rejects.toMatchObject({ kind: 'exists' });
      }
      expect(await store.get('branch', 'main')).toBe(id(1));
      expect(await all(store.history('branch', 'main'))).toHaveLength(1);
    });

    it('records no change as earlier than the one before it', async () => {
      await store.compareAndSwap(change({ next: id(1), atMs: 100 }));
      await store.compareAndSwap(change({ expected: id(1), next: id(2), atMs: 50 }));
      const times = (await all(store.history('branch', 'main'))).map(({ atMs }) => atMs);
      expect(times).toEqual([100, 100]);
      expect(await store.at('branch', 'main', 99)).toMatchObject({ kind: 'unrecorded' });
      expect(await store.at('branch', 'main', 100)).toEqual({ kind: 'at', target: id(2) });
    });

    it('moves the settings like a ref, without being one', async () => {
      const settings = (n: number): SettingsId => sha256(Buffer.from(String(n))) as SettingsId;
      const first = { ...change({}), kind: 'settings' as const, name: '@settings' };
      const made = { ...first, expected: undefined, next: settings(1) };
      expect(await store.compareAndSwap(made)).toBe('done');
      expect(await store.compareAndSwap(made)).toBe('moved');
      expect(await store.get('settings', '@settings')).toBe(settings(1));
      expect(await store.get('branch', '@settings')).toBeUndefined();
      expect(await all(store.list('branch'))).toEqual([]);
      expect(await all(store.list('tag'))).toEqual([]);
      expect(await store.at('settings', '@settings', 1)).toEqual({
        kind: 'at',
        target: settings(1),
      });
      expect(await all(store.history('settings', '@settings'))).toMatchObject([made]);
    });

    it('knows where every ref was at every time, as a plain list of changes does', async () => {
      const name = fc.constantFrom('a', 'b', 'c');
      const step = fc.record({
        how: fc.constantFrom('set', 'set', 'delete', 'rename'),
        kind: fc.constantFrom('branch' as const, 'branch' as const, 'tag' as const),
        name,
        to: name,
        passedMs: fc.integer({ min: -3, max: 3 }),
      });
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          run += 1;
          const named = (plain: string): string => `${plain}-${run}`;
          const model = new RefModel();
          let atMs = 100;
          for (const [i, { how, kind, name: plain, to, passedMs }] of steps.entries()) {
            atMs += passedMs;
            const ref = named(plain);
            const expected = await store.get(kind, ref);
            if (how === 'rename') {
              const renaming = { from: ref, to: named(to), by: 'rosa', atMs };
              const commit = (await store.get('branch', ref)) ?? id(0);
              const outcome = await store.rename({ ...renaming, commit }).catch(() => 'taken');
              if (outcome === 'done') model.rename({ ...renaming, commit });
            } else {
              const next = how === 'delete' ? undefined : id(i);
              if (next === undefined && expected === undefined) continue;
              const made = change({ kind, name: ref, expected, next, atMs });
              const outcome = await store.compareAndSwap(made).catch(() => 'taken');
              if (outcome === 'done') model.append(made);
            }
          }
          for (const kind of ['branch', 'tag'] as const) {
            for (const ref of ['a', 'b', 'c'].map(named)) {
              const recorded = await all<RecordedChange>(store.history(kind, ref));
              expect(recorded).toMatchObject(model.history(kind, ref));
              for (let ms = 0; ms <= 200; ms += isFar ? 25 : 1) {
                expect(await store.at(kind, ref, ms)).toMatchObject(model.at(kind, ref, ms));
              }
            }
          }
        }),
        { seed: 8421, numRuns: isFar ? 2 : 20 },
      );
    });

    it('lists in byte order, one kind, after a name, more than a page of them', async () => {
      const names = Array.from({ length: many }, (_, i) => `b${i}`);
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
