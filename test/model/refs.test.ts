import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  parseAddress,
  parseBranchAddress,
  parseRefAddress,
  parseRepositoryName,
  parseTagAddress,
} from '../../src/model/address.js';
import {
  formatRefExpression,
  parseBranchName,
  parseRefExpression,
  parseTagName,
} from '../../src/model/refs.js';
import { parsePrefix } from '../../src/model/path.js';
import { parseTime } from '../../src/model/time.js';
import { TarnError } from '../../src/util/errors.js';

fc.configureGlobal({ seed: 8421 });

const HEX64 = 'ab'.repeat(32);

function failure(work: () => unknown): TarnError {
  try {
    work();
  } catch (error) {
    if (error instanceof TarnError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('names of refs', () => {
  it.each(['main', '_x', '0', 'incident-2025-06-14-8421-glare', 'x'.repeat(255)])(
    'a branch may be %s',
    (name) => expect(parseBranchName(name)).toBe(name),
  );

  it.each(['', '-x', 'a/b', 'a.b', 'a b', 'ä', 'a@', 'a~1', 'x'.repeat(256), HEX64, 'a\n'])(
    'a branch may not be %j',
    (name) => expect(failure(() => parseBranchName(name)).kind).toBe('invalid'),
  );

  it.each(['prod-2025-08-15', 'v1.0.2', 'golden'])('a tag may be %s', (name) =>
    expect(parseTagName(name)).toBe(name),
  );

  it.each(['.x', '-x', 'a/b', '', HEX64])('a tag may not be %j', (name) =>
    expect(failure(() => parseTagName(name)).kind).toBe('invalid'),
  );
});

describe('ref expressions', () => {
  it('have a base, perhaps @, and steps back', () => {
    expect(parseRefExpression('main')).toEqual({
      text: 'main',
      base: 'main',
      committed: false,
      steps: [],
    });
    expect(parseRefExpression('main@').committed).toBe(true);
    expect(parseRefExpression('v1.0~2^^0~').steps).toEqual([
      { kind: 'ancestor', count: 2 },
      { kind: 'parent', number: 1 },
      { kind: 'parent', number: 0 },
      { kind: 'ancestor', count: 1 },
    ]);
    expect(parseRefExpression('main@~3')).toMatchObject({ committed: true, base: 'main' });
  });

  it.each(['', '@', '~1', 'main~-1', 'main@@', 'main~1@', 'a/b', 'main^x', 'a b', 'main\0'])(
    'are not %j',
    (text) => {
      const error = failure(() => parseRefExpression(text));
      expect(error.kind).toBe('invalid');
      expect(error.hint).toContain('a ref is');
    },
  );

  it('are what their text says', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('ancestor' as const), count: fc.nat(1_000_000) }),
      fc.record({ kind: fc.constant('parent' as const), number: fc.nat(64) }),
    );
    const time = fc
      .constantFrom(
        'now',
        'yesterday',
        '2025-06-14',
        '2025-06-14 17:30 Europe/Berlin',
        '2 hours ago',
      )
      .map(parseTime);
    const head = fc.oneof(
      fc.record({ committed: fc.boolean() }),
      fc.record({ committed: fc.constant(true), at: time }),
    );
    const base = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,40}$/);
    fc.assert(
      fc.property(base, head, fc.array(step, { maxLength: 8 }), (name, how, steps) => {
        const text = formatRefExpression({ base: name, ...how, steps });
        expect(parseRefExpression(text)).toEqual({ text, base: name, ...how, steps });
        const address = parseAddress(`drive/${text}/raw/a{b}/c`);
        expect(address).toMatchObject({ ref: { text }, path: 'raw/a{b}/c' });
      }),
    );
  });

  it('never fail otherwise than by being invalid', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'m@{}/~^2 -:Z') }), (text) => {
        for (const parse of [parseRefExpression, parseAddress, parseRefAddress]) {
          try {
            parse(text);
          } catch (error) {
            expect(error).toMatchObject({ kind: 'invalid' });
          }
        }
      }),
    );
  });

  it('may say when', () => {
    expect(parseRefExpression('main@{yesterday}~2')).toMatchObject({
      base: 'main',
      committed: true,
      at: parseTime('yesterday'),
      steps: [{ kind: 'ancestor', count: 2 }],
    });
  });

  it.each([
    ['main{yesterday}', 'not a ref'],
    ['main@{yesterday', 'not a ref'],
    ['main@yesterday}', 'not a ref'],
    ['main@{{yesterday}}', 'not a ref'],
    ['main@{yesterday}@', 'not a ref'],
    ['main~1@{yesterday}', 'not a ref'],
    ['@{yesterday}', 'not a ref'],
    ['main@{}', 'not a time'],
    ['main@{1}', 'not a time'],
    ['main@{2025-02-30}', 'no day'],
    ['main@{2025-06-14 17:30 Europe/Brelin}', 'no time zone'],
  ])('are not %j: %s', (text, words) => {
    const error = failure(() => parseRefExpression(text));
    expect(error.kind).toBe('invalid');
    expect(error.message).toContain(words);
  });

  it('go back only so far', () => {
    expect(failure(() => parseRefExpression('main~99999999999')).message).toContain('too far');
    expect(failure(() => parseRefExpression(`main${'~'.repeat(100)}`)).kind).toBe('invalid');
  });
});

describe('addresses', () => {
  it.each(['tarn://drive/main/raw/run-8421', 'drive/main/raw/run-8421'])('reads %s', (text) => {
    const address = parseAddress(text);
    expect(address).toMatchObject({ repository: 'drive', path: 'raw/run-8421' });
    expect(address.ref.base).toBe('main');
  });

  it('reads a time with blanks, colons and a zone in its braces', () => {
    const ref = 'main@{2025-06-14 17:30 Europe/Berlin}';
    expect(parseAddress(`drive/${ref}/raw/run-8421`)).toMatchObject({
      repository: 'drive',
      ref: { text: ref },
      path: 'raw/run-8421',
    });
    expect(parseAddress(`tarn://drive/${ref}`).path).toBe('');
    expect(parseRefAddress(ref, 'drive')).toMatchObject({
      repository: 'drive',
      ref: { text: ref },
    });
    expect(parseRefAddress(`drive/${ref}/`, 'other').repository).toBe('drive');
    expect(failure(() => parseRefAddress(`drive/${ref}/raw`)).message).toContain('goes on after');
    expect(failure(() => parseAddress('drive/main@{yesterday/raw')).message).toContain('not a ref');
  });

  it('keeps a final slash, and takes a root with or without one', () => {
    expect(parseAddress('drive/main/raw/').path).toBe('raw/');
    expect(parseAddress('drive/main').path).toBe('');
    expect(parseAddress('drive/main/').path).toBe('');
  });

  it('holds paths as bytes of UTF-8', () => {
    expect(parseAddress('drive/main/ä').path).toBe('\u00c3\u00a4');
  });

  it.each([
    ['drive', 'names no branch'],
    ['drive/', 'names no branch'],
    ['s3://drive/main', 'not an address of tarn'],
    ['Drive/main', 'not a repository name'],
    ['-drive/main', 'not a repository name'],
    ['drive/ma in/x', 'not a ref'],
    [`drive/main/${'x'.repeat(1025)}`, '1024'],
    ['drive/main/a\0b', 'NUL'],
  ])('refuses %j', (text, words) => {
    const error = failure(() => parseAddress(text));
    expect(error.kind).toBe('invalid');
    expect(error.message).toContain(words);
  });

  it.each(['/x', 'a//b', './x', 'a/../b', 'a/.', '..', 'x'.repeat(1024)])(
    'takes the path %j, which a bucket may have as a key',
    (path) => {
      expect(parseAddress(`drive/main/${path}`).path).toBe(path);
      if (path.length < 1024) expect(failure(() => parsePrefix(path)).kind).toBe('invalid');
    },
  );

  it('says what an address looks like', () => {
    expect(failure(() => parseAddress('drive')).hint).toContain('tarn://drive/main/raw/run-8421');
  });

  it('lets a ref stand bare where the repository is known', () => {
    expect(parseRefAddress('main~1', 'drive')).toMatchObject({ repository: 'drive' });
    expect(parseRefAddress('drive/main', 'other').repository).toBe('drive');
    expect(failure(() => parseRefAddress('main')).kind).toBe('invalid');
    expect(failure(() => parseRefAddress('drive/main/x')).message).toContain('goes on after');
  });

  it('reads branches and tags to be changed', () => {
    expect(parseBranchAddress('tarn://drive/main')).toEqual({
      repository: 'drive',
      branch: 'main',
    });
    expect(parseTagAddress('drive/v1.0')).toEqual({ repository: 'drive', tag: 'v1.0' });
    expect(failure(() => parseBranchAddress('drive/main~1')).message).toContain('branch name');
  });

  it('names repositories with 1 to 63 characters', () => {
    expect(parseRepositoryName('a'.repeat(63))).toHaveLength(63);
    for (const name of ['', 'a'.repeat(64), 'a_b', 'ä']) {
      expect(failure(() => parseRepositoryName(name)).kind).toBe('invalid');
    }
  });

  it('prints what it reads', () => {
    expect(formatAddress('drive', 'main', 'raw/x')).toBe('tarn://drive/main/raw/x');
    expect(formatAddress('drive', 'main', '')).toBe('tarn://drive/main');
  });
});
