import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { isoTime } from '../util/iso-time.js';
import type { Bucket, BucketObject } from './bucket/bucket.js';
import { ArchivedFault } from './bucket/faults.js';
import type { BucketCounts } from './bucket/metrics.js';
import { BucketMetrics } from './bucket/metrics.js';
import { listInParallel } from './foreign-listing.js';
import type { OpenBucketOptions } from './open-bucket.js';
import { connect } from './open-bucket.js';
import type { BucketKind, BucketUrl } from './storage-url.js';

/** An object that others stored and a repository may point at. */
export interface ForeignObject extends ForeignPin {
  /** When it was stored: milliseconds since 1970 UTC. */
  readonly mtimeMs: number;
  /** As its cloud calls it, where it tells; `GLACIER` and its like must be restored before reading. */
  readonly storageClass?: string;
}

/** Names an object as it was found: the same key with other bytes has another pin. */
export interface ForeignPin {
  /** Any UTF-8, up to 1,024 bytes. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Without quotes; a generation, in Google Cloud. */
  readonly etag: string;
  /** Where the bucket keeps versions. */
  readonly version?: string;
}

/** Classes whose bytes cannot be had before somebody restores them. */
const ARCHIVES: Readonly<Record<BucketKind, readonly string[]>> = {
  s3: ['GLACIER', 'DEEP_ARCHIVE'],
  az: ['Archive'],
  gs: [],
};

export function mustBeRestored(kind: BucketKind, storageClass: string | undefined): boolean {
  return storageClass !== undefined && ARCHIVES[kind].includes(storageClass);
}

const CHANGED_HINT = "import it again with 'tarn import', or put it back as it was";

/** A bucket of others: listed and read, never written. */
export class ForeignBucket {
  /** For messages: `s3://fleet-logs`. */
  readonly url: string;
  readonly #bucket: Bucket;
  readonly #metrics: BucketMetrics;
  #keepsVersions: Promise<boolean | undefined> | undefined;

  private constructor(bucket: Bucket, metrics: BucketMetrics) {
    this.url = bucket.url;
    this.#bucket = bucket;
    this.#metrics = metrics;
  }

  /**
   * Asks nothing of the bucket yet. The URL's prefix does not count.
   * @throws TarnError not-found, denied, invalid: a file that an option names
   */
  static async open(url: BucketUrl, options: OpenBucketOptions = {}): Promise<ForeignBucket> {
    const { metrics = new BucketMetrics() } = options;
    return new ForeignBucket(await connect({ ...url, prefix: '' }, metrics, options), metrics);
  }

  /**
   * All objects whose key starts with `prefix` and lies behind `after`, in byte order of keys, a page
   * at a time; several pages are asked for at once where keys have a `/` behind the prefix. With
   * versions where the bucket keeps them.
   * @throws TarnError denied, unavailable, aborted
   */
  async *list(
    prefix: string,
    { after = '', signal }: { readonly after?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly ForeignObject[]> {
    throwIfAborted(signal);
    const versions = (await this.#hasVersions(signal)) === true;
    yield* listInParallel(this.#bucket, prefix, { versions, after, signal });
  }

  /** One object by its key; undefined when there is none. */
  async head(key: string, signal?: AbortSignal): Promise<ForeignObject | undefined> {
    return this.#bucket.head(key, { signal });
  }

  /**
   * Bytes [start, end) of the object as it was pinned, which lie in it. Every request names the pin, so
   * bytes of another object never come.
   * @throws TarnError corrupt (it has changed, or was deleted), with what is there now, since when, and
   *   which version still has the bytes; denied (also archived), unavailable, aborted
   */
  async read(
    pin: ForeignPin,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    if (end <= start) return new Uint8Array(0);
    const found = await this.#get(pin, start, end, signal);
    if (found === 'behind-end' || found.etag !== pin.etag || found.size !== pin.size) {
      throw await this.#changed(pin, signal);
    }
    // Nothing else would find out: of such bytes no hash is known.
    if (found.bytes.length !== end - start) {
      throw new TarnError(
        'io',
        `the store gave ${found.bytes.length} bytes of '${pin.key}' in '${this.url}' for ${end - start}`,
        { hint: 'it, or what lies between, does not honour ranges: use another endpoint' },
      );
    }
    return found.bytes;
  }

  /** Throws as read does when the object is not as it was pinned. */
  async check(pin: ForeignPin, signal?: AbortSignal): Promise<void> {
    const { key, version } = pin;
    const found = await this.#bucket.head(key, {
      signal,
      ...(version === undefined ? {} : { version }),
    });
    if (found === undefined || found.etag !== pin.etag || found.size !== pin.size) {
      throw await this.#changed(pin, signal);
    }
  }

  /** Requests that were made, and their bytes, by method. */
  counts(): BucketCounts {
    return this.#metrics.counts();
  }

  close(): void {
    this.#bucket.close();
  }

  async #get(
    pin: ForeignPin,
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): ReturnType<Bucket['get']> {
    const { key, etag, version } = pin;
    const range = { offset: start, length: end - start };
    const which = version === undefined ? { ifMatch: etag } : { version };
    try {
      return await this.#bucket.get(key, { range, ...which, signal });
    } catch (error) {
      if (error instanceof ArchivedFault) throw await this.#archived(pin, error, signal);
      const isOther =
        error instanceof TarnError && (error.kind === 'conflict' || error.kind === 'not-found');
      throw isOther ? await this.#changed(pin, signal) : error;
    }
  }

  /** As the cloud says it, with the name of the class. */
  async #archived(
    { key, version }: ForeignPin,
    cause: ArchivedFault,
    signal: AbortSignal | undefined,
  ): Promise<TarnError> {
    const which = version === undefined ? {} : { version };
    const found = await this.#bucket.head(key, { ...which, signal });
    const named = found?.storageClass === undefined ? '' : ` (${found.storageClass})`;
    return new ArchivedFault(
      `the imported object '${key}' in '${this.url}' is archived${named} and must be restored before it can be read`,
      { cause },
    );
  }

  async #changed(pin: ForeignPin, signal: AbortSignal | undefined): Promise<TarnError> {
    const { key } = pin;
    const now = await this.#bucket.head(key, { signal });
    const at = `object '${key}' in '${this.url}'`;
    const kept = await this.#stillKept(pin, signal);
    const still = kept === undefined ? '' : `; version '${kept}' of it still has the bytes`;
    const hint =
      kept === undefined ? CHANGED_HINT : `copy that version over it, or ${CHANGED_HINT}`;
    return new TarnError('corrupt', `${whatBecame(at, pin, now)}${still}`, { hint });
  }

  async #stillKept(pin: ForeignPin, signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      // Not as it was when it was listed: it may keep them since, or tell by now.
      if ((await this.#bucket.keepsVersions(signal)) !== true) return undefined;
      const versions = await this.#bucket.versionsOf(pin.key, signal);
      return versions.find((found) => sameBytes(found, pin))?.version;
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'denied') return undefined;
      throw error;
    }
  }

  #hasVersions(signal: AbortSignal | undefined): Promise<boolean | undefined> {
    this.#keepsVersions ??= this.#bucket.keepsVersions(signal).catch((error: unknown) => {
      this.#keepsVersions = undefined;
      throw error;
    });
    return this.#keepsVersions;
  }
}

function whatBecame(at: string, pin: ForeignPin, now: BucketObject | undefined): string {
  const { version } = pin;
  if (now === undefined) return `the imported ${at} was deleted`;
  if (version !== undefined && sameBytes(now, pin)) {
    return `version '${version}' of the imported ${at} was deleted`;
  }
  return `the imported ${at} has changed: it had ${lookOf(pin)} when it was imported, and has ${lookOf(now)} since ${timeOf(now)}`;
}

function sameBytes(found: BucketObject, pin: ForeignPin): boolean {
  return found.etag === pin.etag && found.size === pin.size;
}

function lookOf({ size, etag }: Pick<ForeignPin, 'size' | 'etag'>): string {
  return `${size} bytes with the ETag ${etag}`;
}

function timeOf({ mtimeMs }: BucketObject): string {
  const seconds = Math.floor(mtimeMs / 1000);
  return isoTime(seconds, (mtimeMs - seconds * 1000) * 1_000_000);
}
