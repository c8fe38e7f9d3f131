import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Settings } from '../../src/repo/settings.js';
import {
  checkSettings,
  decodeSettings,
  encodeSettings,
  NO_SETTINGS,
  parseSettings,
  settingsIdOf,
} from '../../src/repo/settings.js';

const INCIDENTS = {
  version: 1,
  protectedBranches: ['main', 'release-*'],
  protectedTags: ['prod-*'],
  metadata: { main: { required: ['map', 'calibration', 'firmware'] } },
};

const failure = (kind: string, words: string) => ({
  kind,
  message: expect.stringContaining(words) as string,
});

function rule(schema: unknown, required: string[] = []): Settings {
  return parseSettings(JSON.stringify({ metadata: { main: { required, schema } } }));
}

describe('the bytes of settings', () => {
  const name = fc.stringMatching(/^[a-z*][a-z*-]{0,8}$/);
  const names = fc.array(name, { maxLength: 4 });
  const rules = fc.dictionary(
    name,
    fc.record(
      {
        required: fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 3 }),
        schema: fc.oneof(fc.boolean(), fc.dictionary(fc.string(), fc.jsonValue())),
      },
      { requiredKeys: [] },
    ),
    { maxKeys: 3 },
  );
  const written = fc.record(
    { version: fc.constant(1), protectedBranches: names, protectedTags: names, metadata: rules },
    { requiredKeys: [] },
  );

  it('are read back as what was written, in one canonical form', () => {
    fc.assert(
      fc.property(written, (value) => {
        const settings = parseSettings(JSON.stringify(value));
        const bytes = encodeSettings(settings);
        const id = settingsIdOf(bytes);
        expect(decodeSettings(id, bytes)).toEqual(settings);
        expect(encodeSettings(parseSettings(bytes.toString()))).toEqual(bytes);
      }),
      { seed: 8421, numRuns: 300 },
    );
  });

  it('do not depend on order, blanks and what is left out', () => {
    const bytes = encodeSettings(parseSettings(JSON.stringify(INCIDENTS, undefined, 2)));
    const other = { ...INCIDENTS, protectedBranches: ['release-*', 'main', 'main'] };
    expect(encodeSettings(parseSettings(JSON.stringify(other)))).toEqual(bytes);
    expect(bytes.toString()).toBe(
      '{"metadata":{"main":{"required":["calibration","firmware","map"]}},"protectedBranches":["main","release-*"],"protectedTags":["prod-*"],"version":1}',
    );
    expect(parseSettings('{}')).toEqual(NO_SETTINGS);
  });

  it('that are damaged anywhere are corrupt, and named', () => {
    const bytes = encodeSettings(parseSettings(JSON.stringify(INCIDENTS)));
    const id = settingsIdOf(bytes);
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => decodeSettings(id, damaged)).toThrow(id);
      const named = settingsIdOf(damaged);
      try {
        expect(encodeSettings(decodeSettings(named, damaged))).toEqual(damaged);
      } catch (error) {
        expect(['corrupt', 'unsupported']).toContain((error as { kind?: string }).kind);
      }
    }
  });

  it.each([
    ['{', 'are not JSON'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['{"protectedBranch":["main"]}', "a member 'protectedBranch' that is not known"],
    ['{"protectedBranches":"main"}', 'not a list of names'],
    ['{"protectedBranches":["a/b"]}', 'no name or pattern of a branch'],
    ['{"protectedTags":["?"]}', 'no name or pattern of a tag'],
    ['{"metadata":[]}', 'not an object of rules'],
    ['{"metadata":{"main":["map"]}}', "the rule of 'main' that is not an object"],
    ['{"metadata":{"main":{"require":["map"]}}}', "a member 'require' that is not known"],
    ['{"metadata":{"main":{"required":"map"}}}', 'not a list of keys'],
    ['{"metadata":{"main":{"required":[""]}}}', 'a required key is empty'],
    ['{"metadata":{"main":{"schema":7}}}', 'not a JSON Schema'],
    ['{"version":0}', "version '0'"],
    [`{"metadata":{"main":{"schema":${'{"not":'.repeat(80)}{}${'}'.repeat(80)}}}}`, 'deeper than'],
    [JSON.stringify({ metadata: { main: { schema: { title: 'x'.repeat(300_000) } } } }), 'bytes'],
    [
      JSON.stringify({ metadata: { '*': { required: [...Array(257).keys()].map(String) } } }),
      '256',
    ],
  ])('are refused: %.60s', (text, words) => {
    expect(() => encodeSettings(parseSettings(text))).toThrow(words);
  });

  it('of a newer tarn are unsupported', () => {
    expect(() => parseSettings('{"version":2,"x":1}')).toThrow('version 2');
  });
});

const CALIBRATION = { type: 'object', properties: { calibration: { pattern: '^v[0-9]+$' } } };

describe('rules that some commit satisfies', () => {
  it.each<[string, unknown, string[]]>([
    ['everything', true, ['map']],
    ['an object', {}, []],
    ['a pattern', CALIBRATION, ['calibration', 'map']],
    [
      'a list',
      { properties: { map: { enum: ['sf-12', 7] } }, additionalProperties: false },
      ['map'],
    ],
    ['the newer dialect', { $schema: 'https://json-schema.org/draft/2020-12/schema' }, ['map']],
    ['draft 7', { $schema: 'http://json-schema.org/draft-07/schema#' }, ['map']],
    ['a key by pattern', { patternProperties: { '^m': {} }, additionalProperties: false }, ['map']],
    ['a choice', { anyOf: [false, { properties: { map: { minLength: 2 } } }] }, ['map']],
    ['an impossible key that may be absent', { properties: { map: false } }, ['firmware']],
    ['a reference', { $ref: '#/definitions/x', definitions: { x: { type: 'object' } } }, ['map']],
    ['a key like one of all objects', { properties: { map: {} } }, ['constructor', '__proto__']],
  ])('are taken: %s', async (_what, schema, required) => {
    await checkSettings(rule(schema, required));
  });
});

describe('rules that no commit could satisfy', () => {
  const many = Object.fromEntries([...Array(300).keys()].map((n) => [`k${n}`, {}]));
  it.each<[unknown, string[], string]>([
    [false, [], 'the schema is false'],
    [{ not: {} }, [], 'the schema is false'],
    [{ allOf: [{}, false] }, [], 'the schema is false'],
    [{ type: 'string' }, [], 'metadata is an object'],
    [{ not: { type: 'object' } }, [], 'excludes the type object'],
    [{ enum: ['v7', { calibration: 7 }] }, [], 'no value of its enum or const'],
    [{ additionalProperties: false }, ['map'], "required key 'map' is forbidden"],
    [{ additionalProperties: false, required: ['map'] }, [], "'map' is forbidden"],
    [{ propertyNames: { pattern: '^[a-z]+$' } }, ['Map'], 'not one that propertyNames admits'],
    [{ properties: { map: false } }, ['map'], "'map' can have no value: its schema is false"],
    [{ properties: { map: { type: 'number' } } }, ['map'], 'wants the type number'],
    [{ additionalProperties: { type: ['null', 'array'] } }, ['map'], 'type null or array'],
    [{ properties: { map: { enum: [1, 2] } } }, ['map'], 'no text of its enum or const'],
    [{ properties: { map: { const: 7 } } }, ['map'], 'no text of its enum or const'],
    [{ properties: { map: { enum: ['a'], minLength: 2 } } }, ['map'], 'no text of its enum'],
    [{ properties: { map: { enum: ['a'], pattern: '^b' } } }, ['map'], 'no text of its enum'],
    [{ properties: { map: { minLength: 3, maxLength: 2 } } }, ['map'], 'at least 3 characters'],
    [{ properties: { map: { minLength: 70_000 } } }, ['map'], 'at most 65536'],
    [{ properties: { map: { oneOf: [false, { type: 'null' }] } } }, ['map'], 'no choice of its'],
    [{ anyOf: [{ type: 'array' }, { properties: { map: false } }] }, ['map'], 'no choice of its'],
    [{ minProperties: 3, maxProperties: 2 }, [], 'at least 3 keys'],
    [{ minProperties: 257 }, [], 'at most 256 allowed'],
    [{ maxProperties: 1 }, ['map', 'firmware'], '2 keys are required and at most 1'],
    [{ minProperties: 2, properties: { a: {} }, additionalProperties: false }, [], 'only 1 named'],
    [{ required: Object.keys(many), properties: many }, [], '300 keys are required'],
    [{ pattern: 'x', frobnicate: 1 }, [], 'unknown keyword: "frobnicate"'],
    [{ properties: { map: { format: 'map' } } }, [], 'unknown format "map"'],
    [{ type: 'objekt' }, [], 'schema is invalid'],
    [{ properties: { map: { pattern: '(' } } }, [], 'cannot be used'],
    [{ $ref: '#/nowhere' }, [], "can't resolve reference"],
    [{ $schema: 'http://example.com/schema' }, [], 'cannot be used'],
    [{ $async: true }, [], 'cannot be used'],
  ])('are refused: %j with %j', async (schema, required, words) => {
    await expect(checkSettings(rule(schema, required))).rejects.toMatchObject(
      failure('invalid', words),
    );
  });

  it('are refused when those of two patterns contradict', async () => {
    const settings = parseSettings(
      JSON.stringify({
        metadata: {
          '*': { schema: { properties: { map: {} }, additionalProperties: false } },
          'release-*': { required: ['map', 'firmware'] },
        },
      }),
    );
    await expect(checkSettings(settings)).rejects.toMatchObject(
      failure('invalid', "the rules of 'release-*': the required key 'firmware' is forbidden"),
    );
  });

  it('are never those that a commit does satisfy', async () => {
    const value = fc.constantFrom('v7', 'v8', '', 'sf-12');
    const text = fc.oneof(
      fc.boolean(),
      fc.record({
        enum: fc.uniqueArray(fc.oneof(value, fc.nat(3)), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ const: value }),
      fc.record({ minLength: fc.nat(3) }),
      fc.record({ maxLength: fc.nat(3), pattern: fc.constantFrom('^v', '7$') }),
      fc.record({ type: fc.constantFrom('string', 'number') }),
      fc.record({ not: fc.record({ const: value }) }),
    );
    const key = fc.constantFrom('calibration', 'map');
    const object = fc.record(
      {
        properties: fc.dictionary(key, text),
        additionalProperties: text,
        required: fc.uniqueArray(key),
        minProperties: fc.nat(2),
        maxProperties: fc.nat(2),
      },
      { requiredKeys: [] },
    );
    const list = fc.array(object, { minLength: 1, maxLength: 2 });
    const joined = fc.record({ anyOf: list, oneOf: list, allOf: list }, { requiredKeys: [] });
    const schema = fc.tuple(object, joined).map(([one, more]) => ({ ...one, ...more }));
    const { compileSchema } = await import('../../src/repo/metadata-rule.js');
    const { whyImpossible } = await import('../../src/repo/satisfiable.js');
    let impossible = 0;
    await fc.assert(
      fc.asyncProperty(
        schema,
        fc.uniqueArray(key),
        fc.dictionary(key, value),
        async (each, required, metadata) => {
          const check = await compileSchema(each);
          const why = whyImpossible(required, [each]);
          if (why !== undefined) impossible += 1;
          const isFit = required.every((name) => name in metadata) && check(metadata).length === 0;
          if (isFit) expect(why).toBeUndefined();
        },
      ),
      { seed: 8421, numRuns: 400 },
    );
    expect(impossible).toBeGreaterThan(40);
  });
});
