import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGlob } from '../../src/util/glob.js';

const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['labels/a.json', ['labels/a.json'], ['labels/a_json', 'labels', 'x/labels/a.json']],
  ['labels/*', ['labels/a', 'labels/.hidden', 'labels/'], ['labels', 'labels/a/b', 'label/a']],
  ['*.json', ['a.json', '.json'], ['a/b.json', 'a.jsonl']],
  ['labels/**', ['labels/a', 'labels/a/b', 'labels/'], ['labels', 'labels-v2/a']],
  ['labels/', ['labels/a', 'labels/a/b', 'labels/'], ['labels', 'labels-v2/a']],
  ['**', ['a', 'a/b', ''], []],
  ['**/*.json', ['a.json', 'a/b/c.json'], ['a.json/b']],
  ['raw/**/a.mcap', ['raw/a.mcap', 'raw/x/y/a.mcap'], ['raw/xa.mcap', 'a.mcap']],
  ['**/b/**/d', ['b/d', 'a/b/c/d', 'b/b/d/d'], ['b', 'd', 'a/b/c']],
  ['a**b', ['ab', 'axb'], ['a/b']],
  ['run-842?', ['run-8421', 'run-842é', 'run-842😀'], ['run-842', 'run-842/', 'run-84211']],
  ['[ab]', ['a', 'b'], ['c', '']],
  ['[!a-c]x', ['dx', 'éx'], ['ax', 'bx', 'x']],
  ['[]x]', [']', 'x'], ['[']],
  ['[a-]', ['a', '-'], ['b']],
  ['[\\]]', [']'], ['\\']],
  ['*.{json,yaml}', ['a.json', 'a.yaml'], ['a.xml', 'a.{json,yaml}']],
  ['{labels,raw/{a,b}}/**', ['labels/x', 'raw/a/x', 'raw/b/x/y'], ['raw/c/x', 'raw/x']],
  ['a{,.bak}', ['a', 'a.bak'], ['a.']],
  ['\\*\\{x', ['*{x'], ['a{x', '\\*{x']],
];

describe('a pattern of paths', () => {
  it.each(CASES)('%s', (pattern, matching, others) => {
    const matches = parseGlob(pattern);
    expect(matching.filter((path) => !matches(path))).toEqual([]);
    expect(others.filter((path) => matches(path))).toEqual([]);
  });

  it.each([
    ['', 'is empty'],
    ['a[b', "has a '[' without ']'"],
    ['[a/b]', "has a '[' without ']'"],
    ['{a,b', "has a '{' without '}'"],
    ['a\\', "ends with '\\'"],
    ['{a,b}'.repeat(9), 'more than 256 patterns'],
    ['a'.repeat(5000), 'is too long'],
  ])('%s is refused with words', (pattern, words) => {
    expect(() => parseGlob(pattern)).toThrow(words);
  });

  it('agrees with a naive reading of its rules', () => {
    const part = fc.constantFrom('a', 'b', 'ab', '*', '?', 'a*', '*b*', '**', '[ab]', '*a*b');
    const patterns = fc.array(part, { minLength: 1, maxLength: 4 }).map((each) => each.join('/'));
    const names = fc.constantFrom('a', 'b', 'ab', 'ba', 'abab', '', 'c');
    const paths = fc.array(names, { minLength: 1, maxLength: 5 }).map((each) => each.join('/'));
    fc.assert(
      fc.property(patterns, paths, (pattern, path) => {
        expect(parseGlob(pattern)(path)).toBe(naive(pattern.split('/'), path.split('/')));
      }),
      { seed: 8421, numRuns: 3000 },
    );
  });

  it('takes no longer for patterns that make others try every way', () => {
    const matches = parseGlob(`${'**/*a*a*a*a*'.repeat(12)}/b`);
    expect(matches(`${'a'.repeat(40)}/`.repeat(25))).toBe(false);
  });
});

function naive(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  if (first === '**') {
    const from = rest.length === 0 ? 1 : 0;
    return path.some((_, n) => n >= from && naive(rest, path.slice(n))) || naiveEnd(path, rest);
  }
  const source = first.replaceAll('*', '.*').replaceAll('?', '.');
  return (
    path.length > 0 && new RegExp(`^${source}$`).test(path[0] ?? '') && naive(rest, path.slice(1))
  );
}

/** All of the path under `**`. */
function naiveEnd(path: readonly string[], rest: readonly string[]): boolean {
  return rest.length === 0 ? path.length > 0 : naive(rest, []);
}
