import type { MaybePromise } from '../util/async.js';
import type { Entry } from './entry.js';
import type { Key } from './path.js';

/**
 * Walks entries in key order. Not valid until a seek returned true. A promise is returned only
 * where a node must be loaded: callers on a hot path test with isPromise before they await.
 */
export interface ViewCursor {
  /** To the first entry whose key is at least `key`; false when there is none. */
  seek(key: Key): MaybePromise<boolean>;
  next(): MaybePromise<boolean>;
  readonly key: Key;
  /** Decoded on each call. */
  entry(): Entry;
  /** Fills `out` with what a listing shows, without decoding the rest; the object is reused. */
  attributes(out: EntryAttributes): void;
}

/** The fixed-size part of an entry, in a reusable object so that listings allocate nothing. */
export interface EntryAttributes {
  kind: 'file' | 'symlink';
  /** Bytes. */
  size: number;
  mtimeSec: number;
  mtimeNsec: number;
  /** Permission bits. */
  mode: number;
}

/** A cursor over what never changes: positions are ordinals in key order, 0-based. */
export interface FrozenCursor extends ViewCursor {
  readonly ordinal: number;
  seekOrdinal(ordinal: number): MaybePromise<boolean>;
}
