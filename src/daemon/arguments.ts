import { TarnError } from '../util/errors.js';

/**
 * Readers of what comes over the socket: each turns unknown JSON into a typed value or throws
 * `invalid` naming the argument.
 */
export type Reader<T> = (value: unknown, name: string) => T;

const TEXT_CHARS_MAX = 1_048_576;
const LIST_LENGTH_MAX = 100_000;

export const text: Reader<string> = (value, name) => {
  if (typeof value === 'string' && value.length <= TEXT_CHARS_MAX) return value;
  throw mistyped(name, 'text');
};

export const flag: Reader<boolean> = (value, name) => {
  if (typeof value === 'boolean') return value;
  throw mistyped(name, 'true or false');
};

export const count: Reader<number> = (value, name) => {
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw mistyped(name, 'a whole number, at least 0');
};

export const integer: Reader<number> = (value, name) => {
  if (Number.isSafeInteger(value)) return Number(value);
  throw mistyped(name, 'a whole number');
};

export function oneOf<T extends string>(...values: readonly T[]): Reader<T> {
  return (value, name) => {
    const found = values.find((each) => each === value);
    if (found !== undefined) return found;
    throw mistyped(name, `one of ${values.join(', ')}`);
  };
}

export function listOf<T>(reader: Reader<T>): Reader<T[]> {
  return (value, name) => {
    if (!Array.isArray(value) || value.length > LIST_LENGTH_MAX) throw mistyped(name, 'a list');
    return value.map((each, index) => reader(each, `${name}[${index}]`));
  };
}

export const textMap: Reader<Record<string, string>> = (value, name) => {
  if (!isRecord(value)) throw mistyped(name, 'an object of text');
  const entries = Object.entries(value).map(([key, each]) => [key, text(each, `${name}.${key}`)]);
  return Object.fromEntries(entries) as Record<string, string>;
};

type Readers = Readonly<Record<string, Reader<unknown>>>;
type Read<R extends Readers> = { [K in keyof R]: ReturnType<R[K]> };

/** An object with exactly `required` and, where present, `optional` fields. */
export function fields<R extends Readers, O extends Readers = Record<never, never>>(
  required: R,
  optional?: O,
): (value: unknown) => Read<R> & Partial<Read<O>> {
  return (value) => {
    if (!isRecord(value)) throw mistyped('the request', 'an object');
    const out: Record<string, unknown> = {};
    for (const [name, reader] of Object.entries(required)) out[name] = reader(value[name], name);
    for (const [name, reader] of Object.entries(optional ?? {})) {
      if (value[name] !== undefined) out[name] = reader(value[name], name);
    }
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(required, name) && !Object.hasOwn(optional ?? {}, name)) {
        throw new TarnError('invalid', `the request has an argument '${name}' that is not known`);
      }
    }
    return out as Read<R> & Partial<Read<O>>;
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mistyped(name: string, what: string): TarnError {
  return new TarnError('invalid', `the request's argument '${name}' must be ${what}`);
}
