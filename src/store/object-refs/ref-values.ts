import { parseHash } from '../../model/ids.js';
import type { Hash } from '../../model/ids.js';
import type { Json } from '../../util/canonical-json.js';
import { isJsonObject } from '../../util/canonical-json.js';
import type { RecordKind } from '../ref-store.js';

/** Readers of the values in a ref's objects; each throws an Error that says what is wrong. */

const KINDS: ReadonlySet<unknown> = new Set<RecordKind>(['branch', 'tag', 'settings']);
const ID = /^[0-9a-f]{32}$/;
/** Milliseconds since 1970 that a date can have, both ways. */
const TIME_MS_MAX = 8_640_000_000_000_000;

/** The members of an object that has these and no others. */
export function members(
  value: Json,
  needed: readonly string[],
  optional: readonly string[],
): Readonly<Record<string, Json | undefined>> {
  if (!isJsonObject(value)) throw new Error('it holds something else than an object');
  for (const name of needed) {
    if (!Object.hasOwn(value, name)) throw new Error(`'${name}' is missing in it`);
  }
  for (const name of Object.keys(value)) {
    if (!needed.includes(name) && !optional.includes(name)) {
      throw new Error('it has a member that it should not have');
    }
  }
  return value;
}

export function list(value: Json | undefined, min: number, max: number): readonly Json[] {
  if (Array.isArray(value) && value.length >= min && value.length <= max) {
    return value as readonly Json[];
  }
  throw new Error(`it has a list that is none of ${min} to ${max} values`);
}

export function count(
  value: Json | undefined,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  throw new Error(`it has a number that is none of ${min} to ${max}`);
}

export function time(value: Json | undefined): number {
  return count(value, -TIME_MS_MAX, TIME_MS_MAX);
}

/** @param bytesMax of UTF-8 */
export function text(value: Json | undefined, bytesMax = Infinity): string {
  if (typeof value !== 'string') throw new Error('it has something else in place of a text');
  if (Buffer.byteLength(value) <= bytesMax) return value;
  throw new Error(`it has a text of more than ${bytesMax} bytes`);
}

export function same(value: Json | undefined, expected: string): string {
  if (value === expected) return expected;
  throw new Error('it belongs to another name');
}

export function id(value: Json | undefined): string {
  if (typeof value === 'string' && ID.test(value)) return value;
  throw new Error('it has an id that is not 32 hex digits');
}

export function hash(value: Json | undefined): Hash {
  return parseHash(text(value), 'a hash in it');
}

export function recordKind(value: Json | undefined): RecordKind {
  if (KINDS.has(value)) return value as RecordKind;
  throw new Error('it has a kind that there is not');
}
