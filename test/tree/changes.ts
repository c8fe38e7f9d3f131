import fc from 'fast-check';
import type { Entry } from '../../src/model/entry.js';
import type { Key } from '../../src/model/path.js';
import { prefixEnd } from '../../src/model/path.js';
import type { Span } from '../../src/model/span.js';
import { spanOfPrefix, WHOLE_SPAN } from '../../src/model/span.js';
import { anyEntries, anyKey } from './arbitraries.js';
import { packOf } from './fixtures.js';

export type Map3 = readonly [
  base: ReadonlyMap<Key, Entry>,
  ours: ReadonlyMap<Key, Entry>,
  theirs: ReadonlyMap<Key, Entry>,
];

/** What becomes of a map on a branch: entries put, moved in storage, touched and removed. */
export function anyVariant(old: ReadonlyMap<Key, Entry>): fc.Arbitrary<Map<Key, Entry>> {
  const keys = [...old.keys()].sort();
  const some = keys.length === 0 ? anyKey : fc.constantFrom(...keys);
  const run = fc.tuple(some, fc.integer({ min: 1, max: 60 }));
  return fc
    .record({
      put: anyEntries(0, 12),
      over: fc.array(fc.tuple(some, anyEntries(1, 1)), { maxLength: 8 }),
      moved: fc.array(some, { maxLength: 4 }),
      touched: fc.array(some, { maxLength: 4 }),
      removed: fc.array(some, { maxLength: 6 }),
      runs: fc.array(run, { maxLength: 1 }),
    })
    .map(({ put, over, moved, touched, removed, runs }) => {
      const now = new Map([...old, ...put]);
      for (const [k, entries] of over) now.set(k, [...entries.values()][0] as Entry);
      for (const k of moved) change(now, k, elsewhere);
      for (const k of touched) change(now, k, (entry) => ({ ...entry, mode: entry.mode ^ 1 }));
      for (const k of removed) now.delete(k);
      for (const [k, length] of runs) {
        const at = keys.indexOf(k);
        for (const gone of keys.slice(at, at + length)) now.delete(gone);
      }
      return now;
    });
}

function change(map: Map<Key, Entry>, key: Key, to: (entry: Entry) => Entry): void {
  const entry = map.get(key);
  if (entry !== undefined) map.set(key, to(entry));
}

/** The same content in another place. */
function elsewhere(entry: Entry): Entry {
  if (entry.kind !== 'file' || entry.size === 0 || entry.size > 2 ** 40) return entry;
  if (entry.content.startsWith('pinned:')) return entry;
  return { ...entry, address: { kind: 'packed', pack: packOf('elsewhere'), offset: 77 } };
}

export function anySpanOf(map: ReadonlyMap<Key, Entry>): fc.Arbitrary<Span> {
  const place = map.size === 0 ? anyKey : fc.oneof(fc.constantFrom(...map.keys()), anyKey);
  return fc.oneof(
    fc.constant(WHOLE_SPAN),
    fc.tuple(place, fc.nat(12)).map(([k, length]) => spanOfPrefix(k.slice(0, length) as Key)),
    fc.tuple(place, place).map(([a, b]) => (a < b ? { from: a, to: b } : { from: b, to: a })),
    place.map((from) => ({ from, to: prefixEnd(from) })),
  );
}

export function isIn({ from, to }: Span, key: Key): boolean {
  return key >= from && (to === undefined || key < to);
}
