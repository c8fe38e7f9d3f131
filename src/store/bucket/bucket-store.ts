import { tmpdir } from 'node:os';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import { checkKey, checkPrefix, isKey } from '../keys.js';
import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ObjectEnd,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TaggedObject,
  Upload,
} from '../object-store.js';
import type { Bucket, BucketBytes, BucketObject } from './bucket.js';
import { missingFault } from './faults.js';
import type { BucketCounts, BucketMetrics } from './metrics.js';
import { BucketUpload } from './upload.js';

/** Longer ranges are read in pieces, at once. */
const PIECE_BYTES = 8_388_608;
/** Of a longer range the first piece tells how much there is. */
const BLIND_BYTES_MAX = 67_108_864;

export interface BucketStoreOptions {
  /** Below which the objects lie: no `/` at its ends, empty for the whole bucket. */
  readonly prefix?: string;
  /** Holds what is uploaded until its key is known; the system's temporary directory otherwise. */
  readonly directory?: string;
  readonly metrics?: BucketMetrics;
}

/** The objects below a prefix of a bucket. */
export class BucketStore implements ObjectStore {
  readonly url: string;
  /** Request by request, with retries and limits. */
  readonly bucket: Bucket;
  /** What the keys of the store begin with in the bucket: empty, or with a final `/`. */
  readonly base: string;
  readonly #directory: string;
  readonly #metrics: BucketMetrics | undefined;

  constructor(bucket: Bucket, options: BucketStoreOptions = {}) {
    const { prefix = '', directory = tmpdir(), metrics } = options;
    this.bucket = bucket;
    this.base = prefix === '' ? '' : `${prefix}/`;
    this.url = bucket.url;
    this.#directory = directory;
    this.#metrics = metrics;
  }

  /** Requests that were made, and their bytes, by method. */
  counts(): BucketCounts {
    return this.#metrics?.counts() ?? {};
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const place = this.#place(key);
    const { range = { offset: 0, length: Number.MAX_SAFE_INTEGER }, signal } = options;
    throwIfAborted(signal);
    const wanted = 'last' in range ? range.last : range.length;
    if (wanted === 0) {
      if ((await this.head(key, signal)) === undefined) throw this.#missing(key);
      return new Uint8Array(0);
    }
    if (!('last' in range) && wanted > PIECE_BYTES) {
      const pieces = await this.#pieces(key, range, signal);
      return pieces.length === 1 ? (pieces[0]?.bytes ?? new Uint8Array(0)) : joined(pieces);
    }
    const found = await this.bucket.get(place, { range, into: options.into, signal });
    return found === 'behind-end' ? new Uint8Array(0) : found.bytes;
  }

  async getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    const place = this.#place(key);
    throwIfAborted(signal);
    try {
      const found = await this.bucket.get(place, { signal });
      if (found === 'behind-end') throw new TarnError('io', `object '${key}' has no range`);
      return { bytes: found.bytes, etag: found.etag };
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }

  async getEnd(key: string, last: number, signal?: AbortSignal): Promise<ObjectEnd> {
    const place = this.#place(key);
    throwIfAborted(signal);
    const found = await this.bucket.get(place, { range: { last }, signal });
    return found === 'behind-end' ? { bytes: new Uint8Array(0), size: 0 } : found;
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const place = this.#place(key);
    throwIfAborted(options.signal);
    const { etag } = await this.bucket.put(place, bytes, options);
    return { key, size: bytes.length, etag };
  }

  async upload(signal?: AbortSignal): Promise<Upload> {
    throwIfAborted(signal);
    const to = {
      bucket: this.bucket,
      place: (key: string) => this.#place(key),
      head: (key: string, given?: AbortSignal) => this.head(key, given),
      directory: this.#directory,
    };
    return new BucketUpload(to, signal);
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const place = this.#place(key);
    throwIfAborted(signal);
    const found = await this.bucket.head(place, { signal });
    return found && infoOf(key, found);
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const { after = '', signal } = options;
    const query = {
      prefix: `${this.base}${prefix}`,
      ...(after === '' ? {} : { after: `${this.base}${after}` }),
      signal,
    };
    let next: string | undefined;
    do {
      throwIfAborted(signal);
      const page = await this.bucket.list(next === undefined ? query : { ...query, next });
      for (const found of page.objects) {
        const key = found.key.slice(this.base.length);
        if (key > after && isKey(key)) yield infoOf(key, found);
      }
      next = page.next;
    } while (next !== undefined);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const place = this.#place(key);
    throwIfAborted(signal);
    await this.bucket.delete(place, signal);
  }

  async close(): Promise<void> {
    this.bucket.close();
  }

  async #pieces(
    key: string,
    range: Exclude<ByteRange, { last: number }>,
    signal: AbortSignal | undefined,
  ): Promise<BucketBytes[]> {
    const { offset, length } = range;
    const isBlind = length <= BLIND_BYTES_MAX;
    const first = isBlind ? undefined : await this.#piece(key, offset, PIECE_BYTES, signal);
    if (first === 'behind-end') return [];
    const start = offset + (first?.bytes.length ?? 0);
    const end = Math.min(offset + length, first?.size ?? Number.MAX_SAFE_INTEGER);
    const starts = Array.from(
      { length: Math.max(0, Math.ceil((end - start) / PIECE_BYTES)) },
      (_, index) => start + index * PIECE_BYTES,
    );
    const rest = await Promise.all(
      starts.map((at) => this.#piece(key, at, Math.min(PIECE_BYTES, end - at), signal)),
    );
    const pieces = [...(first === undefined ? [] : [first]), ...rest];
    const found = pieces.filter((piece) => piece !== 'behind-end');
    if (new Set(found.map(({ etag }) => etag)).size > 1) {
      throw new TarnError('io', `object '${key}' in '${this.url}' was replaced while it was read`);
    }
    return found;
  }

  #piece(
    key: string,
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<BucketBytes | 'behind-end'> {
    return this.bucket.get(this.#place(key), { range: { offset, length }, signal });
  }

  #place(key: string): string {
    checkKey(key);
    return `${this.base}${key}`;
  }

  #missing(key: string): TarnError {
    return missingFault({ doing: 'reading', key, url: this.url });
  }
}

function joined(pieces: readonly BucketBytes[]): Uint8Array {
  return Buffer.concat(pieces.map(({ bytes }) => bytes));
}

function infoOf(key: string, { size, etag }: BucketObject): ObjectInfo {
  return { key, size, etag };
}
