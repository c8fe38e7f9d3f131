import { asTarnError, TarnError } from '../../util/errors.js';

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** What went wrong with the object `key` of the store in the directory `url`. */
export function objectFault(error: unknown, key: string, url: string, doing: string): TarnError {
  if (isMissing(error) || (error as NodeJS.ErrnoException | undefined)?.code === 'EISDIR') {
    return new TarnError('not-found', `object '${key}' is missing in '${url}'`, { cause: error });
  }
  return asTarnError(error, `${doing} object '${key}' in '${url}'`);
}

export function conflictFault(key: string, url: string): TarnError {
  return new TarnError('conflict', `object '${key}' in '${url}' is not as expected`);
}
