/**
 * One bucket of one cloud, request by request, tried once: what the clouds' APIs have in common, and no
 * more. Keys are the bucket's own, any UTF-8. Ranges, uploads and prefixes are made of it in
 * bucket-store.ts, reading what others stored in ../foreign.ts; retries, deadlines, limits and counts
 * are put around it (around.ts).
 *
 * Faults are TarnErrors: not-found, conflict (a condition does not hold), denied, no-space, invalid,
 * unsupported, io, aborted; a TransientFault where the same request may succeed later.
 */
export interface Bucket {
  /** For messages: `s3://fleet-logs/tarn`, with the prefix that its user has. */
  readonly url: string;

  /** One object's bytes, or those of a range; 'behind-end' where that begins behind the last byte. */
  get(key: string, options: BucketGet): Promise<BucketBytes | 'behind-end'>;

  put(key: string, bytes: Uint8Array, options: BucketPut): Promise<BucketTag>;

  head(key: string, options: BucketHead): Promise<BucketObject | undefined>;

  /** Up to a thousand or so objects, in byte order of their keys. */
  list(query: BucketQuery): Promise<BucketPage>;

  /** An absent object is no error. */
  delete(key: string, signal?: AbortSignal): Promise<void>;

  /**
   * Begins an object of `size` bytes that is sent in parts; it is there once that is completed. Parts that
   * an earlier upload of the same bytes to the same key has left there are not sent again, where the
   * store tells of them.
   */
  startParts(key: string, size: number, options: BucketPut): Promise<BucketParts>;

  /** Whether overwritten and deleted objects are kept as versions; undefined when it does not tell. */
  keepsVersions(signal?: AbortSignal): Promise<boolean | undefined>;

  /** All versions of one object that are there, the present one too, newest first. */
  versionsOf(key: string, signal?: AbortSignal): Promise<readonly BucketObject[]>;

  close(): void;
}

export type BucketRange =
  /** The length is at least 1. */
  | { readonly offset: number; readonly length: number }
  /** At least 1. */
  | { readonly last: number };

export interface BucketGet {
  readonly range?: BucketRange;
  /** As GetOptions. */
  readonly into?: Uint8Array | undefined;
  /** Only while the object has this tag. */
  readonly ifMatch?: string;
  readonly version?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface BucketPut {
  readonly ifNoneMatch?: '*';
  readonly ifMatch?: string;
  /** Kept with the object: by it a writer knows its own again. */
  readonly writer?: string;
  /** Of an object in parts: goes on with no upload of it that was left. */
  readonly isAnew?: true;
  readonly signal?: AbortSignal | undefined;
}

export interface BucketHead {
  readonly version?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface BucketTag {
  /** Names these bytes under this key, in conditions; without quotes. A generation, in Google Cloud. */
  readonly etag: string;
}

export interface BucketBytes extends BucketTag {
  readonly bytes: Uint8Array;
  /** Of the whole object. */
  readonly size: number;
}

export interface BucketObject extends BucketTag {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was stored: milliseconds since 1970 UTC. */
  readonly mtimeMs: number;
  /** Where the bucket keeps versions. */
  readonly version?: string;
  /** `GLACIER`, `Archive`, … where the cloud tells. */
  readonly storageClass?: string;
  /** As given when it was put; head tells it, list does not. */
  readonly writer?: string;
}

export interface BucketQuery {
  readonly prefix: string;
  /** Only keys behind this one; ignored with `next`. */
  readonly after?: string;
  /** Where the page before this one ended. */
  readonly next?: string;
  /** Groups of keys with a `/` behind the prefix are told once, as the prefix they share. */
  readonly grouped?: boolean;
  /** Tells the version of each object, where the bucket keeps versions. */
  readonly versions?: boolean;
  readonly limit?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface BucketPage {
  readonly objects: readonly BucketObject[];
  readonly prefixes: readonly string[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

/** An object on its way in parts; exactly one of complete and abort is called, or none to go on later. */
export interface BucketParts {
  /** Bytes in each part but the last. */
  readonly partBytes: number;
  /** How many parts may be on their way at a time. */
  readonly atOnce: number;
  /** Parts that arrive are found by a later startParts, unless this is aborted. */
  readonly isResumable: boolean;
  /** @param index from 0 */
  put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** @throws TarnError conflict when the condition does not hold */
  complete(signal?: AbortSignal): Promise<BucketTag>;
  abort(): Promise<void>;
}

/** Name of the user metadata that holds a put's `writer`. */
export const WRITER_METADATA = 'tarnwriter';
