import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DiffOptions } from '../../src/history/diff.js';
import { differences } from '../../src/history/diff.js';
import type { Difference } from '../../src/history/difference.js';
import { FolderSums, TotalsSum } from '../../src/history/stat.js';
import { classifyChange } from '../../src/model/change.js';
import type { Entry } from '../../src/model/entry.js';
import type { Key } from '../../src/model/path.js';
import { spansOfPaths } from '../../src/model/span.js';
import { buildTree } from '../../src/tree/write.js';
import { file, key, MemoryNodes, nodesOver, SMALL, sorted } from '../tree/fixtures.js';
import { all, PATHS } from './histories.js';

type Files = ReadonlyMap<Key, Entry>;

const nodes = nodesOver(new MemoryNodes(), SMALL);
const treeOf = async (files: Files) => (await buildTree(nodes, [sorted(files)])).id;

async function diff(before: Files, after: Files, options: DiffOptions = {}): Promise<Difference[]> {
  const [a, b] = [await treeOf(before), await treeOf(after)];
  return (await all(differences(nodes, a, b, options))).flat();
}

/** `paths` to seeds of contents. */
const filesOf = (pairs: Readonly<Record<string, number>>): Files =>
  new Map(Object.entries(pairs).map(([path, seed]) => [key(path), file(seed)]));

function naive(before: Files, after: Files): Difference[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((path) => {
    const [old, now] = [before.get(path), after.get(path)];
    const kind = classifyChange(old, now);
    if (kind === undefined) return [];
    return [
      {
        kind,
        key: path,
        ...(old === undefined ? {} : { before: old }),
        ...(now === undefined ? {} : { after: now }),
      },
    ];
  });
}

/** Few contents, so that many files are equal; some are empty, some differ in their times alone. */
const anyEntry = fc
  .tuple(fc.integer({ min: 0, max: 4 }), fc.nat(1))
  .map(([seed, later]): Entry => ({ ...file(seed, seed * 10), mtimeSec: 1_749_890_400 + later }));
const anyFiles: fc.Arbitrary<Files> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...PATHS), anyEntry), { selector: ([path]) => path })
  .map((pairs) => new Map(pairs));

const renames = { heldMax: 1_000, onGivenUp: () => undefined };

describe('a diff', () => {
  it('has what differs in the paths asked for, in order, and goes on after any of them', async () => {
    const paths = fc.uniqueArray(fc.constantFrom(...PATHS, key('')), { maxLength: 3 });
    const after = fc.option(fc.constantFrom(...PATHS), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(anyFiles, anyFiles, paths, after, async (old, now, asked, passed) => {
        const spans = asked.length === 0 ? undefined : spansOfPaths(asked);
        const wanted = naive(old, now).filter(({ key: path }) => {
          const isAsked = spans?.some((s) => path >= s.from && (s.to === undefined || path < s.to));
          return isAsked !== false && (passed === undefined || path > passed);
        });
        const options = {
          ...(spans === undefined ? {} : { spans }),
          ...(passed === undefined ? {} : { after: passed }),
        };
        expect(await diff(old, now, options)).toEqual(wanted);
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('is the same with renames once each is taken apart again', async () => {
    await fc.assert(
      fc.asyncProperty(anyFiles, anyFiles, async (old, now) => {
        const found = await diff(old, now, { renames });
        const apart = found.flatMap(({ kind, key: path, from, before, after }): Difference[] => {
          if (kind !== 'renamed' || from === undefined)
            return naive(old, now).filter((d) => d.key === path);
          if (before?.kind !== 'file' || after?.kind !== 'file') throw new Error('not files');
          expect(after.content).toBe(before.content);
          expect(after.size).toBeGreaterThan(0);
          return [
            { kind: 'removed', key: from, before },
            { kind: 'added', key: path, after },
          ];
        });
        apart.sort((a, b) => (a.key < b.key ? -1 : 1));
        expect(apart).toEqual(naive(old, now));
        expect(found.map(({ key: path }) => path)).toEqual(found.map((d) => d.key).sort());
        const ends = (kind: string) =>
          found.flatMap((d) => (d.kind === kind ? [(d.before ?? d.after) as Entry] : []));
        const contents = (entries: Entry[]) =>
          entries.flatMap((e) => (e.kind === 'file' && e.size > 0 ? [e.content] : []));
        const left = new Set(contents(ends('removed')));
        expect(contents(ends('added')).filter((content) => left.has(content))).toEqual([]);
      }),
      { seed: 8421, numRuns: 300 },
    );
  });
});

describe('a diff of very many', () => {
  const many = (from: number, seed: number): Files =>
    filesOf(Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${from + n}`, seed])));

  it('begins before all is read where renames are not looked for', async () => {
    const store = new MemoryNodes();
    const own = nodesOver(store, SMALL, 1);
    const ids = await Promise.all(
      [many(10_000, 1), many(10_000, 2)].map((files) => buildTree(own, [sorted(files)])),
    );
    const [before, after] = ids.map(({ id }) => id);
    if (before === undefined || after === undefined) throw new Error('no trees');
    const reading = async (most: number): Promise<number> => {
      store.forgetCounts();
      for await (const batch of differences(own, before, after)) {
        most -= batch.length;
        if (most <= 0) break;
      }
      return store.loaded.length;
    };
    expect(2 * (await reading(1))).toBeLessThan(await reading(Infinity));
  });
});

describe('renamed files', () => {
  const renamed = async (before: Files, after: Files): Promise<string[]> =>
    (await diff(before, after, { renames })).map(({ kind, key: path, from }) =>
      from === undefined ? `${kind} ${path}` : `${from} -> ${path}`,
    );

  it('keep their name rather than their folder, and their folder rather than none', async () => {
    const before = filesOf({ 'raw/x/a.pcd': 1, 'raw/x/b.pcd': 1, 'raw/y/c.pcd': 1 });
    const after = filesOf({ 'old/b.pcd': 1, 'raw/y/d.pcd': 1, 'raw/x/e.pcd': 1 });
    expect(await renamed(before, after)).toEqual([
      'raw/x/b.pcd -> old/b.pcd',
      'raw/x/a.pcd -> raw/x/e.pcd',
      'raw/y/c.pcd -> raw/y/d.pcd',
    ]);
  });

  it('are paired file by file where a folder of equal files moved', async () => {
    const names = Array.from({ length: 500 }, (_, n) => `frame-${String(n).padStart(6, '0')}`);
    const at = (folder: string): Files =>
      filesOf(Object.fromEntries(names.map((n) => [folder + n, 7])));
    const found = await renamed(at('a/'), at('b/'));
    expect(found).toEqual(names.map((name) => `a/${name} -> b/${name}`));
  });

  it('are removed and added files once more differ than may be held', async () => {
    const before = filesOf({ 'a/1': 1, 'a/2': 2, 'a/3': 3 });
    const after = filesOf({ 'b/1': 1, 'b/2': 2, 'b/3': 3 });
    let isGivenUp = false;
    const limited = { heldMax: 5, onGivenUp: () => (isGivenUp = true) };
    const found = await diff(before, after, { renames: limited });
    expect(found).toEqual(naive(before, after));
    expect(isGivenUp).toBe(true);
  });
});

describe('totals of a diff', () => {
  it('are by folder, as deep as asked for', async () => {
    const before = filesOf({ 'raw/a/1': 10, 'raw/a/2': 20, 'raw/b/1': 30, top: 40 });
    const after = filesOf({ 'raw/a/1': 11, 'raw/b/1': 30, 'labels/x/y': 50, top: 41 });
    const found = await diff(before, after);
    const rows = (depth: number): [string, number, number][] => {
      const sums = new FolderSums(depth);
      found.forEach((each) => sums.add(each));
      return sums
        .rows()
        .map(({ folder, bytesBefore, bytesAfter }) => [folder, bytesBefore, bytesAfter]);
    };
    expect(rows(0)).toEqual([['', 73, 105]]);
    expect(rows(1)).toEqual([
      ['', 41, 42],
      ['labels', 0, 51],
      ['raw', 32, 12],
    ]);
    expect(rows(9)).toEqual([
      ['', 41, 42],
      ['labels/x', 0, 51],
      ['raw/a', 32, 12],
    ]);
    const all = new TotalsSum();
    found.forEach((each) => all.add(each));
    expect(all.totals.counts).toMatchObject({ added: 1, removed: 1, changed: 2, renamed: 0 });
  });
});
