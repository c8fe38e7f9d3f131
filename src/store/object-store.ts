import type { KeptObject } from './kept-object.js';
import type { ReadTally } from './traffic.js';

/**
 * The lower waist: everything above stores and reads bytes only through this interface.
 *
 * Keys are `/`-separated ASCII names chosen by tarn. Objects are immutable in practice: tarn never
 * puts different bytes under a key it has put, except under the refs of a bucket. A put is durable
 * and visible, whole, when its promise resolves; a put that fails or is killed leaves nothing
 * visible. Each implementation runs test/suites/object-store.ts.
 */
export interface ObjectStore {
  /** Where this is, for messages: a directory or a URL without secrets. */
  readonly url: string;

  /**
   * The object's bytes, or those of `range`, which is cut at the object's end.
   * @throws TarnError not-found (message names the key), io, aborted
   */
  get(key: string, options?: GetOptions): Promise<Uint8Array>;

  /**
   * The whole of a small object and its etag, which belong together; undefined when it is absent.
   * @throws TarnError io, aborted
   */
  getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined>;

  /**
   * The `last` bytes of the object, at least 1 and so many at most, and how many all of it has: only in a store whose
   * answers tell that.
   * @throws as get
   */
  getEnd?(key: string, last: number, signal?: AbortSignal): Promise<ObjectEnd>;

  /** The same as get, at once: only in a store whose thread may wait. @throws as get */
  getNow?(key: string, range: ByteRange): Uint8Array;

  /** @throws TarnError conflict when the condition does not hold, no-space, io, aborted */
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<ObjectInfo>;

  /** Starts an object whose key is known only once its bytes are (content addressing). */
  upload(signal?: AbortSignal): Promise<Upload>;

  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>;

  /** Objects whose key starts with `prefix`, in byte order of their keys, after `after`. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;

  /** Removes the object; an absent one is no error. */
  delete(key: string, signal?: AbortSignal): Promise<void>;

  /** The file that holds the object's bytes, where objects are files of this machine. */
  localPath?(key: string): string;

  /**
   * What is kept on this machine of an immutable object of `size` bytes that lies elsewhere, to be
   * released: only in a store that has a cache.
   */
  keep?(key: string, size: number): KeptObject;

  /**
   * Resolves when bytes [offset, offset + length) of an immutable object that lies elsewhere are kept
   * on this machine, as far as there is room for them. Only in a store that has a cache.
   * @throws TarnError as get
   */
  fetch?(key: string, offset: number, length: number, options?: ReadOptions): Promise<void>;

  /**
   * The bytes of an immutable object that came with another one are kept on this machine as if they had
   * been read. Only in a store that has a cache.
   */
  bring?(key: string, bytes: Uint8Array): void;

  /**
   * The object's bytes turned out wrong: what is kept of it on this machine goes. Returns whether
   * reading it again may give others. Only in a store that has a cache.
   */
  forget?(key: string): boolean;

  close(): Promise<void>;
}

/** Bytes from `offset`, `length` of them, both at least 0; or the `last` bytes, so many at most. */
export type ByteRange =
  { readonly offset: number; readonly length: number } | { readonly last: number };

export interface TaggedObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

export interface ObjectEnd {
  readonly bytes: Uint8Array;
  /** Of the whole object, in bytes. */
  readonly size: number;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** Counts what a cache has of it, in place of the one that counts whatever is read of the store. */
  readonly tally?: ReadTally | undefined;
}

export interface GetOptions extends ReadOptions {
  readonly range?: ByteRange;
  /** Room for the bytes, nobody else's until the call settles: a store may use it. */
  readonly into?: Uint8Array | undefined;
}

export interface PutOptions {
  /** Only if no object has the key. */
  readonly ifNoneMatch?: '*';
  /** Only if the object has this etag. */
  readonly ifMatch?: string;
  readonly signal?: AbortSignal;
}

export interface ListOptions {
  readonly after?: string;
  readonly signal?: AbortSignal;
}

export interface ObjectInfo {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
}

/** Where the range lies in an object of `size` bytes. */
export function cutRange(range: ByteRange, size: number): { offset: number; length: number } {
  if ('last' in range) {
    const length = Math.min(range.last, size);
    return { offset: size - length, length };
  }
  return { offset: range.offset, length: Math.max(0, Math.min(range.length, size - range.offset)) };
}

/** An object on its way; exactly one of finish and abort must be called. */
export interface Upload {
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Makes it durable under `key`. An object that is there already is kept and this one dropped,
   * unless `replace`.
   */
  finish(key: string, options?: { readonly replace?: boolean }): Promise<UploadedObject>;
  abort(): Promise<void>;
}

export interface UploadedObject extends ObjectInfo {
  /** False when an object was there already: its bytes are not the ones just written. */
  readonly created: boolean;
}
