import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Commit } from '../../src/model/commit.js';
import {
  COMMIT_METADATA_BYTES_MAX,
  commitIdOf,
  decodeCommit,
  encodeCommit,
  MESSAGE_BYTES_MAX,
  METADATA_KEYS_MAX,
  PARENTS_MAX,
} from '../../src/model/commit-format.js';
import type { CommitId, NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';
import { TarnError } from '../../src/util/errors.js';

const hash = (text: string) => sha256(Buffer.from(text));
const SAMPLE: Commit = {
  tree: hash('tree') as NodeId,
  parents: [hash('first') as CommitId, hash('second') as CommitId],
  author: 'Rosa Díaz <rosa@example.com>',
  dateMs: 1_749_890_400_123,
  message: 'Freeze run-8421 at ingest\n\nLow sun, lens hood B.\n',
  metadata: { 'vehicle.id': 'unit-7', __proto__x: '1', 'firmware "lidar"': '4.2\n', ä: 'ö' },
};

const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((s) => s.isWellFormed());
const commits: fc.Arbitrary<Commit> = fc.record({
  tree: fc.string().map((s) => hash(s) as NodeId),
  parents: fc.uniqueArray(
    fc.nat().map((n) => hash(String(n)) as CommitId),
    { maxLength: 5 },
  ),
  author: text.filter((s) => s.trim() !== '' && !/\p{Cc}/u.test(s)),
  dateMs: fc.integer({ min: -8.64e15, max: 8.64e15 }).map((n) => n + 0),
  message: text,
  metadata: fc
    .array(
      fc.tuple(
        fc.oneof(
          text.filter((s) => s !== ''),
          fc.constant('__proto__'),
        ),
        text,
      ),
    )
    .map((pairs) => Object.fromEntries(pairs) as Record<string, string>),
});

function kindOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof TarnError) return error.kind;
    throw error;
  }
  return 'nothing thrown';
}

function decodeAnyway(bytes: Uint8Array): Commit {
  return decodeCommit(commitIdOf(bytes), bytes);
}

describe('commit bytes', () => {
  it('are those of the golden file', () => {
    const golden = readFileSync(new URL('golden/commit-1', import.meta.url));
    expect(encodeCommit(SAMPLE).toString()).toBe(golden.toString());
    expect(decodeCommit(commitIdOf(golden), golden)).toEqual(SAMPLE);
    expect(commitIdOf(golden)).toBe(
      readFileSync(new URL('golden/commit-1.id', import.meta.url), 'utf8').trim(),
    );
  });

  it('decode to the commit that they encode', () => {
    fc.assert(
      fc.property(commits, (commit) => {
        const bytes = encodeCommit(commit);
        expect(decodeAnyway(bytes)).toEqual(commit);
      }),
      { seed: 8421, numRuns: 500 },
    );
  });

  it('do not depend on the order in which metadata was given', () => {
    const { metadata } = SAMPLE;
    const reversed = Object.fromEntries(Object.entries(metadata).reverse());
    expect(encodeCommit({ ...SAMPLE, metadata: reversed })).toEqual(encodeCommit(SAMPLE));
  });

  it('are refused under any other name, naming the commit', () => {
    const id = hash('another') as CommitId;
    expect(() => decodeCommit(id, encodeCommit(SAMPLE))).toThrow(id);
    expect(kindOf(() => decodeCommit(id, encodeCommit(SAMPLE)))).toBe('corrupt');
  });

  it('decode to nothing else when a byte of them is changed, also under their new hash', () => {
    const bytes = encodeCommit(SAMPLE);
    for (let at = 0; at < bytes.length; at += 1) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        let decoded: Commit | undefined;
        const kind = kindOf(() => (decoded = decodeAnyway(changed)));
        if (decoded !== undefined) expect(encodeCommit(decoded).equals(changed)).toBe(true);
        else expect(['corrupt', 'unsupported']).toContain(kind);
      }
    }
  });

  it.each([
    ['nothing', ''],
    ['only a first line', 'tarn-commit 1'],
    ['no tree', 'tarn-commit 1\nauthor a\ndate 0\nmessage 0\n'],
    ['a date that is no integer', line('date 0', 'date 1e3')],
    ['a date of minus zero', line('date 0', 'date -0')],
    ['a date with a leading zero', line('date 0', 'date 00')],
    ['a date that no date can hold', line('date 0', 'date 9000000000000000')],
    ['a wrong length', line('message 2', 'message 3')],
    ['metadata out of order', line('meta ["a","1"]', 'meta ["b","1"]\nmeta ["a","1"]')],
    ['metadata twice', line('meta ["a","1"]', 'meta ["a","1"]\nmeta ["a","1"]')],
    ['metadata with spaces', line('meta ["a","1"]', 'meta ["a", "1"]')],
    ['metadata of numbers', line('meta ["a","1"]', 'meta ["a",1]')],
    ['metadata that is no JSON', line('meta ["a","1"]', 'meta {')],
    ['no author', line('author x', 'author  ')],
    ['a line too many', line('date 0', 'date 0\nsigned yes')],
    ['a parent twice', line('author x', `parent ${hash('p')}\nparent ${hash('p')}\nauthor x`)],
  ])('with %s are corrupt', (_what, bytes) => {
    expect(kindOf(() => decodeAnyway(Buffer.from(bytes)))).toBe('corrupt');
  });

  it('of a newer version say so', () => {
    const bytes = Buffer.from(line('tarn-commit 1', 'tarn-commit 2'));
    expect(kindOf(() => decodeAnyway(bytes))).toBe('unsupported');
    expect(() => decodeAnyway(bytes)).toThrow('newer tarn');
  });

  it.each<[string, Partial<Commit>, string]>([
    ['a message too long', { message: 'é'.repeat(MESSAGE_BYTES_MAX / 2 + 1) }, 'message'],
    ['an author of two lines', { author: 'a\nb' }, 'one line'],
    ['an empty author', { author: ' ' }, 'no author'],
    ['half a surrogate pair', { message: '\ud800' }, 'Unicode'],
    ['too many keys', { metadata: numbered(METADATA_KEYS_MAX + 1) }, 'metadata keys'],
    ['metadata too long', { metadata: { a: 'x'.repeat(COMMIT_METADATA_BYTES_MAX) } }, 'metadata'],
    ['an empty key', { metadata: { '': 'x' } }, 'without a key'],
    ['too many parents', { parents: hashes(PARENTS_MAX + 1) }, 'parents'],
    ['a date of a fraction', { dateMs: 0.5 }, 'milliseconds'],
  ])('are not made of %s', (_what, change, words) => {
    const commit = { ...SAMPLE, ...change };
    expect(kindOf(() => encodeCommit(commit))).toBe('invalid');
    expect(() => encodeCommit(commit)).toThrow(words);
  });
});

/** The bytes of a small commit with one line replaced. */
function line(from: string, to: string): string {
  const lines = `tarn-commit 1\ntree ${hash('t')}\nauthor x\ndate 0\nmeta ["a","1"]\nmessage 2\nhi`;
  expect(kindOf(() => decodeAnyway(Buffer.from(lines)))).toBe('nothing thrown');
  expect(lines).toContain(from);
  return lines.replace(from, to);
}

function numbered(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`key-${i}`, 'x']));
}

function hashes(count: number): CommitId[] {
  return Array.from({ length: count }, (_, i) => hash(String(i)) as CommitId);
}
