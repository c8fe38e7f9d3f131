import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import type { LeafContext } from './entry-read.js';

/** Bytes of an entry that depend neither on its key nor on its leaf: from `start` up to `end`. */
export interface Bytes {
  start: number;
  end: number;
}

/** An item of a leaf, taken apart where its bytes depend on the leaf, for one that copies it. */
export interface LeafItem {
  readonly leaf: { readonly bytes: Buffer } & Pick<LeafContext, 'packId' | 'source'>;
  readonly key: Key;
  readonly flags: number;
  readonly form: number;
  /** Bytes of the file, or of the symlink's target. */
  readonly size: number;
  readonly mtimeSec: number;
  /** Mode, nanoseconds, and content hash or target. */
  readonly fixed: Readonly<Bytes>;
  /** Row of the pack or source table, of a form that has one. */
  readonly row: number;
  /** Of a packed file in its pack. */
  readonly offset: number;
  readonly pin: Readonly<Bytes>;
  readonly extras: Readonly<Bytes>;
  entry(): Entry;
}
