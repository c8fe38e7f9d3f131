import { TarnError } from '../util/errors.js';
import type { ObjectStore } from './object-store.js';
import type { BucketUrl } from './storage-url.js';
import { shortStorageUrl } from './storage-url.js';

export interface OpenBucketOptions {
  /** How long each call of the store may take, retries included. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The objects below the URL's prefix. Asks nothing of the bucket yet; loads the cloud's SDK, which
 * takes a while, only now.
 * @throws TarnError invalid (the prefix or an option), unsupported
 */
export async function openBucket(
  url: BucketUrl,
  _options: OpenBucketOptions = {},
): Promise<ObjectStore> {
  throw new TarnError('unsupported', `this tarn cannot open '${shortStorageUrl(url)}'`);
}
