import { TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';

/**
 * A path as the tree holds it: each char code is one byte of the path's UTF-8 form. JavaScript then
 * compares keys with `<` in byte order, as S3 lists them, where UTF-16 strings would not.
 */
export type Key = string & { readonly __key: 'utf8-bytes' };

/** Longest path in bytes of UTF-8, the limit of S3 keys. */
export const PATH_BYTES_MAX = 1024;
/** Longest component that Linux file systems can name, in bytes. */
export const NAME_BYTES_MAX = 255;

export const ROOT_KEY = '' as Key;

const BEYOND_ASCII = /[\x80-\xff]/;

export function keyFromBytes(bytes: Buffer): Key {
  return bytes.toString('latin1') as Key;
}

export function keyToBytes(key: Key): Buffer {
  return Buffer.from(key, 'latin1');
}

/** Text to key without any rule but UTF-8; for input whose path was parsed already. */
export function keyFromText(text: string): Key {
  return Buffer.from(text, 'utf8').toString('latin1') as Key;
}

export function keyToText(key: Key): string {
  if (!BEYOND_ASCII.test(key)) return key;
  return Buffer.from(key, 'latin1').toString('utf8');
}

/**
 * A path that a user gives for writing. Refuses what no file system could name again, with words
 * that say which rule broke; the tree itself takes any key that S3 takes.
 * @throws TarnError invalid
 */
export function parsePath(text: string): Key {
  const key = parsePrefix(text);
  if (key === '') throw new TarnError('invalid', 'a path is missing: name a file below the ref');
  if (key.endsWith('/')) {
    throw new TarnError('invalid', `path '${text}' ends with '/', which names a directory`);
  }
  return key;
}

/** Like parsePath for a place that may be a directory: empty is the root, a final `/` is allowed. */
export function parsePrefix(text: string): Key {
  const key = parseKey(text);
  if (key === '') return key;
  const components = (text.endsWith('/') ? text.slice(0, -1) : text).split('/');
  for (const component of components) {
    if (component === '')
      throw refused(text, "has an empty component (two '/' in a row, or one in front)");
    if (component === '.' || component === '..')
      throw refused(text, `has the component '${component}'`);
  }
  return key;
}

/**
 * A path that a user gives for what is there already: any key that an object of a bucket can have and
 * a user can type, as imports bring them.
 * @throws TarnError invalid
 */
export function parseKey(text: string): Key {
  if (!text.isWellFormed()) {
    throw refused(text, 'is not valid Unicode (it holds half of a surrogate pair)');
  }
  if (text.includes('\uFFFD')) {
    throw refused(text, 'holds U+FFFD, the mark of bytes that are not valid UTF-8');
  }
  if (text.includes('\0')) throw refused(text, 'holds a NUL byte');
  const bytes = Buffer.byteLength(text);
  if (bytes > PATH_BYTES_MAX) {
    throw refused(text, `is ${bytes} bytes long, at most ${PATH_BYTES_MAX} are allowed`);
  }
  return keyFromText(text);
}

function refused(text: string, rule: string): TarnError {
  return new TarnError('invalid', `path '${printable(text)}' ${rule}`);
}

/** The least key behind all that start with `prefix`; undefined when none can be. */
export function prefixEnd(prefix: Key): Key | undefined {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length--;
  if (length === 0) return undefined;
  const last = String.fromCharCode(prefix.charCodeAt(length - 1) + 1);
  return (prefix.slice(0, length - 1) + last) as Key;
}
