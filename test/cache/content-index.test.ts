import fc from 'fast-check';
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SqliteContentIndex } from '../../src/cache/content-index.js';
import { sha256 } from '../../src/model/ids.js';
import type { Hash, PackId } from '../../src/model/ids.js';
import type { ContentIndex } from '../../src/repo/content-index.js';
import { TarnError } from '../../src/util/errors.js';

const hash = (name: string | number): Hash => sha256(Buffer.from(String(name)));
const pack = (name: string | number): PackId => hash(`pack ${name}`) as PackId;
const contents = (from: number, to: number): { hash: Hash; offset: number; length: number }[] =>
  Array.from({ length: to - from }, (_, i) => ({ hash: hash(from + i), offset: i, length: 1 }));

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-index-'));
  path = join(directory, 'deep', 'contents.db');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function withIndex<T>(work: (index: ContentIndex & { close(): void }) => T): T {
  const index = new SqliteContentIndex(path);
  try {
    return work(index);
  } finally {
    index.close();
  }
}

describe('content index', () => {
  test('finds what was added, before it is flushed, after, and after reopening', () => {
    const wanted = [hash(5), hash(150), hash(500), hash(7)];
    const expected = new Map([
      [hash(5), { pack: pack('a'), packBytes: 1000, offset: 5 }],
      [hash(7), { pack: pack('a'), packBytes: 1000, offset: 7 }],
      [hash(150), { pack: pack('b'), packBytes: 2000, offset: 50 }],
    ]);
    withIndex((index) => {
      expect(index.find(wanted).size).toBe(0);
      index.add(pack('a'), 1000, contents(0, 100));
      index.flush();
      index.add(pack('b'), 2000, contents(100, 200));
      expect(index.find(wanted)).toEqual(expected);
      expect([index.has(pack('a')), index.has(pack('b')), index.has(pack('c'))]).toEqual([
        true,
        true,
        false,
      ]);
    });
    withIndex((index) => {
      expect(index.find(wanted)).toEqual(expected);
      expect(index.has(pack('b'))).toBe(true);
    });
  });

  test('agrees with a map, whatever is added and dropped in whatever order', () => {
    const change = fc.record({
      pack: fc.nat({ max: 5 }),
      drop: fc.boolean(),
      flush: fc.boolean(),
    });
    const hashes = Array.from({ length: 300 }, (_, i) => hash(i));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        rmSync(path, { force: true });
        withIndex((index) => {
          const model = new Set<number>();
          for (const each of changes) {
            if (each.drop) index.drop(pack(each.pack));
            else index.add(pack(each.pack), 1, contents(each.pack * 50, each.pack * 50 + 50));
            if (each.drop) model.delete(each.pack);
            else model.add(each.pack);
            if (each.flush) index.flush();
          }
          const found = index.find(hashes);
          expect(found.size).toBe(model.size * 50);
          for (const [key, place] of found) {
            const number = hashes.indexOf(key);
            expect(model).toContain(Math.floor(number / 50));
            expect(place).toMatchObject({
              pack: pack(Math.floor(number / 50)),
              offset: number % 50,
            });
          }
        });
      }),
      { seed: 5, numRuns: 40 },
    );
  });

  test('a content that two packs hold is found while either is known', () => {
    withIndex((index) => {
      index.add(pack('a'), 1, contents(0, 10));
      index.flush();
      index.add(pack('b'), 1, contents(0, 10));
      index.flush();
      index.drop(pack('b'));
      expect(index.find([hash(3)]).get(hash(3))?.pack).toBe(pack('a'));
    });
  });

  test('several connections write and read at one time', () => {
    withIndex((one) => {
      withIndex((two) => {
        one.add(pack('a'), 1, contents(0, 10));
        two.add(pack('a'), 1, contents(0, 10));
        two.add(pack('b'), 1, contents(5, 20));
        one.flush();
        two.flush();
        expect(one.find(contents(0, 20).map((each) => each.hash)).size).toBe(20);
        expect(two.has(pack('a'))).toBe(true);
      });
    });
  });

  test.each(['garbage', 'truncated', 'empty', 'another version', 'a foreign database'])(
    'a file that is %s is made anew, empty',
    (how) => {
      withIndex((index) => index.add(pack('a'), 1, contents(0, 1000)));
      if (how === 'garbage') writeFileSync(path, 'no database at all'.repeat(1000));
      else if (how === 'truncated') truncateSync(path, Math.floor(statSync(path).size / 2));
      else if (how === 'empty') truncateSync(path, 0);
      else {
        const database = new Database(path);
        if (how === 'another version') database.pragma('user_version = 99');
        else database.exec('DROP TABLE contents; PRAGMA user_version = 0; CREATE TABLE x (y)');
        database.close();
      }
      withIndex((index) => {
        expect(index.find([hash(3)]).size).toBe(0);
        index.add(pack('b'), 1, contents(0, 10));
        index.flush();
        expect(index.find([hash(3)]).size).toBe(1);
      });
    },
  );

  test('damage that shows only later names the file, and what to do', () => {
    withIndex((index) => index.add(pack('a'), 1, contents(0, 5000)));
    const size = statSync(path).size;
    const bytes = Buffer.alloc(size - 8192, 0x5a);
    const fault = (() => {
      const index = new SqliteContentIndex(path);
      try {
        const file = new Database(path);
        file.close();
        writeFileSync(path, bytes, { flag: 'r+' });
        index.find(contents(0, 5000).map((each) => each.hash));
      } catch (error) {
        return error;
      } finally {
        index.close();
      }
      return undefined;
    })();
    expect(fault).toBeInstanceOf(TarnError);
    expect((fault as TarnError).kind).toBe('corrupt');
    expect((fault as TarnError).message).toContain(path);
    expect((fault as TarnError).hint).toContain('delete it');
  });
});
