import { TarnError } from '../util/errors.js';

const COMPONENT = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}';
const KEY = new RegExp(`^${COMPONENT}(/${COMPONENT})*$`);
const PREFIX = new RegExp(`^(${COMPONENT}/)*(${COMPONENT})?$`);
const KEY_BYTES_MAX = 512;

/** First component of the names that a local store keeps for itself. */
export const RESERVED = 'tmp';

export function isKey(text: string): boolean {
  return text.length <= KEY_BYTES_MAX && KEY.test(text) && !text.startsWith(`${RESERVED}/`);
}

/**
 * Refuses what could name anything outside of the store's namespace.
 * @throws TarnError invalid
 */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  throw new TarnError(
    'invalid',
    `'${key}' is not an object key: letters, digits, '.', '_' and '-' between single '/', no component starting with '.', none in '${RESERVED}/', at most ${KEY_BYTES_MAX} bytes`,
  );
}

/** @throws TarnError invalid */
export function checkPrefix(prefix: string): void {
  if (prefix.length <= KEY_BYTES_MAX && PREFIX.test(prefix)) return;
  throw new TarnError('invalid', `'${prefix}' is not the beginning of any object key`);
}
