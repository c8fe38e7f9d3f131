import { cacheLimits } from '../cache/cache-limits.js';
import { ObjectCache } from '../cache/object-cache.js';
import type { Home } from './home.js';

/**
 * The cache of a home, which its processes and threads each open by themselves.
 * @throws TarnError invalid (the environment's limits), denied, no-space, io
 */
export function openObjectCache(home: Home): ObjectCache {
  return ObjectCache.open(home.objectCacheFolder(), cacheLimits(home.path));
}
