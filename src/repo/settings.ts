import { METADATA_KEYS_MAX } from '../model/commit-format.js';
import type { SettingsId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import {
  matchesName,
  parseBranchPattern,
  parseTagPattern,
  sampleName,
} from '../model/name-pattern.js';
import type { Json, JsonObject } from '../util/canonical-json.js';
import { canonicalJson, isJsonObject } from '../util/canonical-json.js';
import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import type { MetadataRule } from './metadata-rule.js';
import { checkPossible, compileSchema } from './metadata-rule.js';

/** The settings of a repository: what may be done to its refs. Canonical bytes: repo/FORMAT.md. */
export interface Settings {
  /** Names or patterns, in order, none twice. */
  readonly protectedBranches: readonly string[];
  readonly protectedTags: readonly string[];
  /** By name or pattern of branches; a commit satisfies all that its branch has. */
  readonly metadata: Readonly<Record<string, MetadataRule>>;
}

export const NO_SETTINGS: Settings = { protectedBranches: [], protectedTags: [], metadata: {} };

const VERSION = 1;
export const SETTINGS_BYTES_MAX = 262_144;
const PATTERNS_MAX = 1_000;
const MEMBERS = ['version', 'protectedBranches', 'protectedTags', 'metadata'];

/** The metadata rules that a branch has. */
export function rulesOf(settings: Settings, branch: string): MetadataRule[] {
  return Object.entries(settings.metadata)
    .filter(([pattern]) => matchesName(pattern, branch))
    .map(([, rule]) => rule);
}

export function settingsIdOf(bytes: Uint8Array): SettingsId {
  return sha256(bytes) as SettingsId;
}

/** @throws TarnError invalid when they are too large */
export function encodeSettings(settings: Settings): Buffer {
  const bytes = Buffer.from(canonicalJson(toJson(settings)));
  if (bytes.length <= SETTINGS_BYTES_MAX) return bytes;
  throw new TarnError(
    'invalid',
    `the settings have ${bytes.length} bytes, at most ${SETTINGS_BYTES_MAX} are allowed`,
  );
}

/** @throws TarnError corrupt when the bytes are not those that `id` names, unsupported */
export function decodeSettings(id: SettingsId, bytes: Uint8Array): Settings {
  const actual = settingsIdOf(bytes);
  if (actual !== id) throw damaged(id, `its bytes have the hash ${actual}`);
  try {
    const settings = parseSettings(Buffer.from(bytes).toString('utf8'));
    if (encodeSettings(settings).equals(bytes)) return settings;
  } catch (error) {
    if (error instanceof TarnError && error.kind === 'unsupported') throw error;
    throw damaged(id, error instanceof Error ? error.message : String(error));
  }
  throw damaged(id, 'its bytes are not canonical');
}

/**
 * Settings from JSON, in whichever order and spacing; what is left out is empty.
 * @throws TarnError invalid, unsupported when a newer tarn wrote them
 */
export function parseSettings(text: string): Settings {
  const value = parseJson(text);
  if (!isJsonObject(value)) throw wrong('are not a JSON object');
  const version = value['version'] ?? VERSION;
  if (version !== VERSION && typeof version === 'number' && version > VERSION) {
    throw new TarnError('unsupported', `the settings have the version ${version}`, {
      hint: 'update tarn on this machine',
    });
  }
  if (version !== VERSION) throw wrong(`have the version '${printable(canonicalJson(version))}'`);
  checkMembers('the settings', value, MEMBERS);
  return {
    protectedBranches: patterns('protectedBranches', value, parseBranchPattern),
    protectedTags: patterns('protectedTags', value, parseTagPattern),
    metadata: parseRules(value['metadata'] ?? {}),
  };
}

export function toJson({ protectedBranches, protectedTags, metadata }: Settings): JsonObject {
  const rules = Object.entries(metadata).map(([pattern, { required, schema }]) => [
    pattern,
    schema === undefined ? { required } : { required, schema },
  ]);
  return {
    version: VERSION,
    protectedBranches,
    protectedTags,
    metadata: Object.fromEntries(rules) as JsonObject,
  };
}

/**
 * Whether some commit could satisfy them on every branch that they name.
 * @throws TarnError invalid, naming the rule, when a schema cannot be used or rules contradict
 */
export async function checkSettings(settings: Settings): Promise<void> {
  for (const [pattern, { schema }] of Object.entries(settings.metadata)) {
    if (schema !== undefined) await compileSchema(schema);
    const all = rulesOf(settings, sampleName(pattern));
    checkPossible(pattern, all);
  }
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw wrong(`are not JSON: ${printable((error as Error).message)}`);
  }
}

function patterns(name: string, value: JsonObject, parse: (text: string) => string): string[] {
  const list = value[name] ?? [];
  if (!isTexts(list)) throw wrong(`have '${name}' that is not a list of names or patterns`);
  if (list.length > PATTERNS_MAX) throw wrong(`have more than ${PATTERNS_MAX} '${name}'`);
  return sorted(list.map(parse));
}

function parseRules(value: Json): Record<string, MetadataRule> {
  if (!isJsonObject(value)) throw wrong("have 'metadata' that is not an object of rules by branch");
  const rules = Object.entries(value);
  if (rules.length > PATTERNS_MAX) throw wrong(`have more than ${PATTERNS_MAX} rules of metadata`);
  const parsed = rules.map(([pattern, rule]) => [
    parseBranchPattern(pattern),
    parseRule(pattern, rule),
  ]);
  return Object.fromEntries(parsed) as Record<string, MetadataRule>;
}

function parseRule(pattern: string, value: Json): MetadataRule {
  const name = `the rule of '${pattern}'`;
  if (!isJsonObject(value)) throw wrong(`have ${name} that is not an object`);
  checkMembers(name, value, ['required', 'schema']);
  const { required = [], schema } = value;
  if (!isTexts(required)) throw wrong(`have ${name} whose 'required' is not a list of keys`);
  if (schema !== undefined && typeof schema !== 'boolean' && !isJsonObject(schema)) {
    throw wrong(`have ${name} whose 'schema' is not a JSON Schema`);
  }
  return { required: parseRequired(required), ...(schema === undefined ? {} : { schema }) };
}

/**
 * Keys that are to be required, in order.
 * @throws TarnError invalid when no commit could have them all
 */
export function parseRequired(keys: readonly string[]): string[] {
  const required = sorted(keys);
  if (required.some((key) => key === '' || !key.isWellFormed())) {
    throw new TarnError('invalid', 'a required key is empty or not valid Unicode');
  }
  if (required.length <= METADATA_KEYS_MAX) return required;
  throw new TarnError(
    'invalid',
    `${required.length} keys are required, and a commit has at most ${METADATA_KEYS_MAX}`,
  );
}

function checkMembers(what: string, value: JsonObject, known: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new TarnError(
    'invalid',
    `${what} have a member '${printable(unknown)}' that is not known`,
    {
      hint: `known are: ${known.join(', ')}`,
    },
  );
}

function sorted(list: readonly string[]): string[] {
  return [...new Set(list)].sort();
}

function isTexts(value: Json): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function wrong(why: string): TarnError {
  return new TarnError('invalid', `the settings ${why}`, {
    hint: "see 'tarn repo settings REPO' for how they are written",
  });
}

function damaged(id: SettingsId, why: string): TarnError {
  return new TarnError('corrupt', `the settings ${id} are damaged: ${why}`, {
    hint: 'restore this object from a copy of the repository',
  });
}
