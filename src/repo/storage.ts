import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CachedStore } from '../cache/cached-store.js';
import type { ObjectCache } from '../cache/object-cache.js';
import { OfflineStore } from '../cache/offline-store.js';
import type { ObjectStore } from '../store/object-store.js';
import { openBucket } from '../store/open-bucket.js';
import type { StorageUrl } from '../store/storage-url.js';
import type { Traffic } from '../store/traffic.js';
import { formatStorageUrl, parseStorageUrl, shortStorageUrl } from '../store/storage-url.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { REPOSITORY_KEY } from './layout.js';
import { createBucket, deleteBucket, openBucketStorage } from './storage-bucket.js';
import type { OpenBucket, Storage } from './storage-format.js';
import { encodeFormat } from './storage-format.js';
import { createLocal, deleteLocal, openLocal } from './storage-local.js';

export interface StorageOptions {
  /**
   * Reads and small writes of a local directory hold up the thread until they are done, which makes
   * them several times faster: for threads that have nothing else to do.
   */
  readonly blocking?: boolean;
  /** In place of the clouds' own. */
  readonly openBucket?: OpenBucket;
  /** Keeps on this machine what is read of a bucket. */
  readonly objectCache?: ObjectCache;
  /** As OpenBucketOptions. */
  readonly uploads?: string;
  /** Counts what is asked of a bucket, and what was not as it is kept. */
  readonly traffic?: Traffic;
  /**
   * That a bucket has the repository was checked before: it is asked for that only where a branch or
   * tag is missing.
   */
  readonly isKnown?: boolean;
  /** Asks nothing of a bucket: what is in the cache is all there is. */
  readonly offline?: boolean;
}

/**
 * What `storage` means: an absolute path, a file:// URL or that of a bucket.
 * @throws TarnError invalid
 */
export function storagePlace(storage: string): StorageUrl {
  if (/^file:\/\//i.test(storage)) {
    try {
      return { kind: 'local', directory: fileURLToPath(storage) };
    } catch (error) {
      throw asTarnError(error, `reading the storage URL '${printable(storage)}'`);
    }
  }
  if (!storage.includes('://') && !isAbsolute(storage)) {
    throw new TarnError('invalid', `the storage '${printable(storage)}' is not an absolute path`, {
      hint: 'give a directory that begins with /, or a URL such as s3://bucket/prefix',
    });
  }
  const place = parseStorageUrl(storage);
  return place.kind === 'local' ? place : { ...place, prefix: place.prefix.replace(/\/$/, '') };
}

/** The one way to write it down. @throws TarnError invalid */
export function canonicalStorage(storage: string): string {
  return formatStorageUrl(storagePlace(storage));
}

/**
 * Makes room for a new repository; `markComplete` must be called when its first commit is there.
 * @throws TarnError exists when the place holds anything else, or lies inside of another repository;
 *   unsupported when a bucket has no conditional writes; denied, no-space, io
 */
export function createStorage(storage: string, options: StorageOptions = {}): Promise<Storage> {
  const place = storagePlace(storage);
  if (place.kind === 'local') return createLocal(place.directory);
  return createBucket(place, opener(options));
}

/**
 * From now on the storage is a repository; until then create may begin again.
 * @throws TarnError exists when another create was faster
 */
export async function markComplete(objects: ObjectStore): Promise<void> {
  try {
    await objects.put(REPOSITORY_KEY, encodeFormat(), { ifNoneMatch: '*' });
  } catch (error) {
    if (asTarnError(error).kind !== 'conflict') throw error;
    throw new TarnError('exists', `'${objects.url}' holds a repository already`, {
      hint: "it was made meanwhile; make it known with 'tarn repo add'",
    });
  }
}

/**
 * @throws TarnError not-found, corrupt (names the file), unsupported when another version of tarn
 *   made it, denied, io
 */
export async function openStorage(storage: string, options: StorageOptions = {}): Promise<Storage> {
  const place = storagePlace(storage);
  if (place.kind === 'local') return openLocal(place.directory, options.blocking === true);
  return openBucketStorage(place, withCache(options), options.isKnown === true);
}

/** Opens buckets with a cache over them, if there is one. */
function withCache(options: StorageOptions): OpenBucket {
  const { objectCache, offline: isOffline = false, traffic } = options;
  const open = opener(options);
  if (objectCache === undefined) return open;
  return async (url) => {
    const store = isOffline ? new OfflineStore(shortStorageUrl(url)) : await open(url);
    return new CachedStore(objectCache, store, {
      place: formatStorageUrl(url),
      isOffline,
      ...(traffic === undefined ? {} : { tally: traffic.reads }),
    });
  };
}

function opener({ openBucket: given, traffic, uploads }: StorageOptions): OpenBucket {
  const options = {
    ...(traffic === undefined ? {} : { metrics: traffic.bucket }),
    ...(uploads === undefined ? {} : { uploads }),
  };
  return given ?? ((url) => openBucket(url, options));
}

/**
 * Deletes a repository with all it holds; goes on where an earlier deletion was interrupted.
 * @throws TarnError not-found when there is no repository, denied, io
 */
export async function deleteStorage(storage: string, options: StorageOptions = {}): Promise<void> {
  const place = storagePlace(storage);
  if (place.kind === 'local') return deleteLocal(place.directory);
  return deleteBucket(place, opener(options));
}
