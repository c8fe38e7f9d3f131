import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/model/entry.js';
import type { Key } from '../../src/model/path.js';
import { spanOfKey } from '../../src/model/span.js';
import { isSameBetween, sharesSpan } from '../../src/tree/diff.js';
import { buildTree } from '../../src/tree/write.js';
import { file, key, MemoryNodes, nodesOver, SMALL, sorted } from './fixtures.js';

const name = (n: number): Key => key(`run/frame-${String(n).padStart(4, '0')}`);

describe('a span of two trees', () => {
  it('is the same exactly where its entries are', async () => {
    const nodes = nodesOver(new MemoryNodes(), SMALL);
    const ends = fc.tuple(fc.nat(420), fc.option(fc.nat(420), { nil: undefined }));
    const changes = fc.array(fc.tuple(fc.nat(410), fc.nat(1)), { maxLength: 3 });
    const before = new Map<Key, Entry>();
    for (let n = 0; n < 400; n += 1) before.set(name(n), file(n));
    const { id: a } = await buildTree(nodes, [sorted(before)]);
    await fc.assert(
      fc.asyncProperty(changes, ends, async (drawn, [low, high]) => {
        const after = new Map(before);
        for (const [n, kind] of drawn) {
          if (kind === 0) after.delete(name(n));
          else after.set(name(n), file(n + 1_000));
        }
        const { id: b } = await buildTree(nodes, [sorted(after)]);
        const span = { from: name(low), to: high === undefined ? undefined : name(high) };
        const isInside = (n: number): boolean => n >= low && n < (high ?? Infinity);
        const isSame = drawn.every(
          ([n]) => !isInside(n) || before.get(name(n)) === after.get(name(n)),
        );
        expect(await isSameBetween(nodes, a, b, span)).toBe(isSame);
        if (await sharesSpan(nodes, a, b, span)) expect(isSame).toBe(true);
      }),
      { seed: 8421, numRuns: 400 },
    );
  });

  it('is known to be the same from nodes that both share', async () => {
    const store = new MemoryNodes();
    const nodes = nodesOver(store, SMALL, 1);
    const entries = new Map<Key, Entry>();
    for (let n = 0; n < 2_000; n += 1) entries.set(name(n), file(n));
    const { id: a } = await buildTree(nodes, [sorted(entries)]);
    entries.set(name(1_999), file(5_000));
    const { id: b } = await buildTree(nodes, [sorted(entries)]);
    store.forgetCounts();
    expect(await isSameBetween(nodes, a, b, { from: name(0), to: name(300) })).toBe(true);
    expect(store.loaded.length).toBeLessThanOrEqual(6);
    store.forgetCounts();
    expect(await sharesSpan(nodes, a, b, { from: name(0), to: name(300) })).toBe(true);
    expect(await sharesSpan(nodes, a, b, { from: name(1_990), to: undefined })).toBe(false);
    expect(store.loaded.length).toBeLessThanOrEqual(12);
  });

  it('of one key is known to be the same but for those of the leaves that differ', async () => {
    const nodes = nodesOver(new MemoryNodes(), SMALL);
    const entries = new Map<Key, Entry>();
    for (let n = 0; n < 2_000; n += 1) entries.set(name(n), file(n));
    const { id: a } = await buildTree(nodes, [sorted(entries)]);
    entries.set(name(1_999), file(5_000));
    const { id: b } = await buildTree(nodes, [sorted(entries)]);
    const unknown: number[] = [];
    for (let n = 0; n < 2_000; n += 1) {
      if (!(await sharesSpan(nodes, a, b, spanOfKey(name(n))))) unknown.push(n);
    }
    expect(unknown.length).toBeLessThan(50);
    expect(unknown[0]).toBe(2_000 - unknown.length);
  });
});
