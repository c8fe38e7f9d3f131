import { TarnError } from './errors.js';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

/** Deepest nesting of arrays and objects. */
const DEPTH_MAX = 64;

/**
 * The one way to write a JSON value: no blanks, members in order of the UTF-16 units of their names
 * (as RFC 8785 has it).
 * @throws TarnError invalid when it nests too deeply or is not JSON
 */
export function canonicalJson(value: Json, depth = 0): string {
  if (depth > DEPTH_MAX) {
    throw new TarnError('invalid', `the JSON nests deeper than ${DEPTH_MAX} levels`);
  }
  if (Array.isArray(value)) {
    return `[${(value as readonly Json[]).map((each) => canonicalJson(each, depth + 1)).join(',')}]`;
  }
  if (isJsonObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as Json, depth + 1)}`);
    return `{${members.join(',')}}`;
  }
  const text = JSON.stringify(value) as string | undefined;
  if (text !== undefined) return text;
  throw new TarnError('invalid', 'the value is not JSON');
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
