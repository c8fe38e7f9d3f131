import type { Key } from '../../model/path.js';
import { keyFromText, keyToText, PATH_BYTES_MAX } from '../../model/path.js';
import { storagePlace } from '../../repo/storage.js';
import type { View } from '../../repo/view.js';
import type { ForeignBucket, ForeignObject } from '../../store/foreign.js';
import type { BucketUrl } from '../../store/storage-url.js';
import { shortStorageUrl } from '../../store/storage-url.js';
import { TarnError } from '../../util/errors.js';
import type { Home } from '../home.js';

/** What of a bucket is imported, and where it goes. */
export interface ObjectTarget {
  /** What the keys of all objects begin with; empty for all of the bucket. */
  readonly from: string;
  /** Takes its place: empty, or ending with `/`; of a single object its path. */
  readonly to: Key;
  /** The only one, where the URL names one. */
  readonly object?: ForeignObject;
}

/**
 * A URL that ends with `/`, or names just the bucket, is of a folder. Any other one is of an object if
 * there is one of this key, otherwise of the folder.
 * @throws TarnError not-found (the branch), unavailable, denied, invalid (the path), aborted
 */
export async function objectTarget(
  bucket: ForeignBucket,
  { prefix }: BucketUrl,
  view: View,
  path: Key,
  signal: AbortSignal,
): Promise<ObjectTarget> {
  const to = path === '' || path.endsWith('/') ? path : (`${path}/` as Key);
  if (prefix === '' || prefix.endsWith('/')) return { from: prefix, to };
  const object = await objectAt(bucket, prefix, signal);
  if (object === undefined) return { from: `${prefix}/`, to };
  const goesInto = path === to || (await view.totals(to, signal)).entries > 0;
  const name = keyFromText(prefix.slice(prefix.lastIndexOf('/') + 1));
  const key = goesInto ? (`${to}${name}` as Key) : path;
  if (key.length <= PATH_BYTES_MAX) return { from: prefix, to: key, object };
  throw new TarnError('invalid', `the path '${keyToText(key)}' is too long`, {
    hint: `at most ${PATH_BYTES_MAX} bytes are allowed: name a shorter one`,
  });
}

/** Who may not list a bucket is refused where there is nothing; the listing says so then. */
async function objectAt(
  bucket: ForeignBucket,
  key: string,
  signal: AbortSignal,
): Promise<ForeignObject | undefined> {
  try {
    return await bucket.head(key, signal);
  } catch (error) {
    if (error instanceof TarnError && error.kind === 'denied') return undefined;
    throw error;
  }
}

/**
 * Prefixes, in the bucket, below which repositories that the home knows keep their own objects.
 * @throws TarnError invalid when all of the import would lie there
 */
export function ownPrefixes(home: Home, place: BucketUrl): string[] {
  const own = home.repositories().flatMap(({ storage }) => {
    const other = storagePlace(storage);
    const isSame =
      other.kind === place.kind &&
      other.bucket === place.bucket &&
      other.options.endpoint === place.options.endpoint;
    return isSame ? [other.prefix === '' ? '' : `${other.prefix}/`] : [];
  });
  const around = own.find((prefix) => place.prefix.startsWith(prefix));
  if (around === undefined) return own;
  throw new TarnError(
    'invalid',
    `'${shortStorageUrl(place)}' cannot be taken in: a repository keeps its own objects there`,
    { hint: 'name a prefix outside of it' },
  );
}
