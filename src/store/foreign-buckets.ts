import { TarnError } from '../util/errors.js';
import { ForeignBucket } from './foreign.js';
import type { OpenBucketOptions } from './open-bucket.js';
import type { BucketUrl } from './storage-url.js';
import { formatStorageUrl, parseStorageUrl, shortStorageUrl } from './storage-url.js';

/** An object of a bucket and how that is reached. */
export interface ForeignPlace {
  /** Without a prefix. */
  readonly bucket: BucketUrl;
  /** As the bucket has it. */
  readonly key: string;
}

/**
 * One text for both: the bucket's URL with its options, a `/`, and the key as it is, with nothing in it
 * percent-encoded. The options hold no `/`, so the first one ends them.
 */
export function foreignUrl({ bucket, key }: ForeignPlace): string {
  return `${formatStorageUrl({ ...bucket, prefix: '' })}/${key}`;
}

const FOREIGN = /^((?:s3|gs|az):\/\/[^/]+)\/(.+)$/s;

/** Undefined for a URL that is not of a bucket's object. @throws TarnError invalid */
export function parseForeignUrl(url: string): ForeignPlace | undefined {
  const [, place, key] = FOREIGN.exec(url) ?? [];
  if (place === undefined || key === undefined) return undefined;
  const bucket = parseStorageUrl(place);
  return bucket.kind === 'local' ? undefined : { bucket, key };
}

export interface ForeignBucketsOptions extends Pick<OpenBucketOptions, 'metrics'> {
  /** None of them is asked. */
  readonly isOffline?: boolean;
}

/** Buckets of others that a repository points into, each opened once, when it is first needed. */
export class ForeignBuckets {
  readonly #isOffline: boolean;
  readonly #options: OpenBucketOptions;
  readonly #open = new Map<string, Promise<ForeignBucket>>();

  constructor({ isOffline = false, ...options }: ForeignBucketsOptions = {}) {
    this.#isOffline = isOffline;
    this.#options = options;
  }

  /**
   * @param key of the object that is wanted
   * @throws TarnError invalid, not-found, denied (a file that an option names); unavailable offline
   */
  async bucket(url: BucketUrl, key?: string): Promise<ForeignBucket> {
    if (this.#isOffline) {
      const place = shortStorageUrl({ ...url, prefix: '' });
      const what = key === undefined ? '' : `object '${key}' in `;
      throw new TarnError('unavailable', `the imported ${what}'${place}' is not in the cache`, {
        hint: "this works offline: get what is missing with 'tarn prefetch' while there is a network, or mount without --offline",
      });
    }
    const name = formatStorageUrl({ ...url, prefix: '' });
    let opening = this.#open.get(name);
    if (opening === undefined) {
      opening = ForeignBucket.open(url, this.#options);
      this.#open.set(name, opening);
      opening.catch(() => this.#open.delete(name));
    }
    return opening;
  }

  async close(): Promise<void> {
    const opened = [...this.#open.values()];
    this.#open.clear();
    for (const opening of opened) (await opening.catch(() => undefined))?.close();
  }
}
