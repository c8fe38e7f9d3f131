import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteVerifiedStamps } from '../../src/cache/verified-stamps.js';
import { fileIdentity } from '../../src/repo/content-stamps.js';
import { untilFileClockMoves } from '../repo/content-fixture.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-stamps-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('a stamp is what was set last, for this connection and the next', () => {
  const path = join(directory, 'stamps.db');
  const stamps = new SqliteVerifiedStamps(path);
  stamps.set('/a', 'one');
  stamps.set('/a', 'two');
  stamps.set('/b', 'three');
  expect([stamps.get('/a'), stamps.get('/b'), stamps.get('/c')]).toEqual([
    'two',
    'three',
    undefined,
  ]);
  const other = new SqliteVerifiedStamps(path);
  expect(other.get('/a')).toBe('two');
  stamps.close();
  other.close();
});

test('a damaged file is no error, only no stamps', () => {
  const path = join(directory, 'stamps.db');
  const stamps = new SqliteVerifiedStamps(path);
  stamps.set('/a', 'one');
  for (const file of [path, `${path}-wal`]) {
    writeFileSync(file, Buffer.alloc(statSync(file).size, 0x5a), { flag: 'r+' });
  }
  const other = new SqliteVerifiedStamps(path);
  expect(other.get('/a')).toBeUndefined();
  other.set('/a', 'two');
  expect(other.get('/a')).toBe('two');
  stamps.get('/a');
  stamps.set('/a', 'three');
  stamps.close();
  other.close();
});

test('a file’s identity changes with its bytes, also where its times are set back', () => {
  const path = join(directory, 'file');
  writeFileSync(path, 'one');
  const identity = (): string => fileIdentity(statSync(path, { bigint: true }));
  const before = statSync(path);
  const first = identity();
  expect(identity()).toBe(first);
  untilFileClockMoves(path);
  writeFileSync(path, 'two', { flag: 'r+' });
  utimesSync(path, before.atime, before.mtime);
  expect(identity()).not.toBe(first);
});
