import { mkdirSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { cacheLimits } from '../cache/cache-limits.js';
import { ObjectCache } from '../cache/object-cache.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { checkPrivateDirectory } from '../util/private-directory.js';
import type { Home } from './home.js';

/**
 * The cache of a home, or the one that TARN_CACHE_DIR names for several homes of a user; its processes
 * and threads each open it by themselves.
 * @param onFull as ObjectCache.open
 * @throws TarnError invalid (the environment), denied, no-space, io
 */
export function openObjectCache(home: Home, onFull?: (why: string) => void): ObjectCache {
  const directory = cacheDirectory(home, process.env['TARN_CACHE_DIR']);
  return ObjectCache.open(directory, cacheLimits(directory), onFull);
}

function cacheDirectory(home: Home, given: string | undefined): string {
  if (given !== undefined && given !== '' && !isAbsolute(given)) {
    throw new TarnError('invalid', `the environment's TARN_CACHE_DIR is '${given}'`, {
      hint: 'give it as an absolute path',
    });
  }
  const path = given === undefined || given === '' ? home.objectCacheFolder() : given;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const directory = realpathSync(path);
    checkPrivateDirectory(directory, 'TARN_CACHE_DIR');
    return directory;
  } catch (error) {
    throw asTarnError(error, `opening the cache in '${path}'`);
  }
}
