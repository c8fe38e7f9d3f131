import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  matchesName,
  parseBranchPattern,
  parseTagPattern,
  sampleName,
} from '../../src/model/name-pattern.js';

describe('patterns of names', () => {
  it('match as the same regular expression does', () => {
    const pattern = fc.string({ unit: fc.constantFrom(...'ab*'), minLength: 1, maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom(...'ab'), maxLength: 10 });
    fc.assert(
      fc.property(pattern, name, (rule, text) => {
        const expected = new RegExp(`^${rule.replaceAll('*', '.*')}$`).test(text);
        expect(matchesName(rule, text)).toBe(expected);
        expect(matchesName(rule, sampleName(rule))).toBe(true);
      }),
      { seed: 8421, numRuns: 2_000 },
    );
  });

  it.each(['main', 'release-*', '*', '*-labels', 'a*b*c'])('of branches may be %s', (text) =>
    expect(parseBranchPattern(text)).toBe(text),
  );

  it.each(['', '-x', 'a/b', 'v1.*', 'prod?', '[ab]', 'x'.repeat(256)])(
    'of branches may not be %j',
    (text) => expect(() => parseBranchPattern(text)).toThrow('no name or pattern of a branch'),
  );

  it('of tags may have a point', () => {
    expect(parseTagPattern('v1.*')).toBe('v1.*');
    expect(() => parseTagPattern('.x')).toThrow('no name or pattern of a tag');
  });
});
