import type { CacheVerified } from '../../repo/cache-verify.js';
import type { Prefetched } from '../../repo/prefetch.js';
import type { ReadCounts } from '../../store/traffic.js';
import type { NoArguments, Operation, Place } from './terms.js';

export interface CacheOperations {
  'cache.show': Operation<NoArguments, never, CacheState>;
  'cache.verify': Operation<NoArguments, never, CacheVerified>;
  'cache.prune': Operation<{ bytesMax?: number }, never, CachePruned>;
  /** `pattern` is held against paths below the place. */
  prefetch: Operation<Place & { pattern?: string }, never, Prefetched>;
}

/** With what reads of mounts found since the daemon started. */
export interface CacheState extends ReadCounts {
  readonly directory: string;
  readonly objects: number;
  readonly bytes: number;
  /** Limits. */
  readonly bytesMax: number;
  readonly freeBytesMin: number;
  /** Since then too (cache/object-cache.ts, CacheCounts). */
  readonly evicted: number;
  readonly evictedBytes: number;
  readonly refused: number;
}

export interface CachePruned {
  readonly objects: number;
  readonly bytes: number;
  /** What is left. */
  readonly objectsLeft: number;
  readonly bytesLeft: number;
}
