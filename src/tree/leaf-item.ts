import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import type { LeafContext } from './entry-read.js';
import type { SourceRow } from './sources.js';

/** Bytes of an entry that depend neither on its key nor on its leaf: from `start` up to `end`. */
export interface Bytes {
  start: number;
  end: number;
}

/** A leaf that others copy from. */
export interface LeafSource extends LeafContext {
  readonly bytes: Buffer;
  readonly packs: number;
  readonly sources: readonly SourceRow[];
}

/** An item of a leaf, taken apart where its bytes depend on the leaf, for one that copies it. */
export interface LeafItem {
  readonly leaf: LeafSource;
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
  /** What the pin adds to the weight of the item. */
  readonly pinWeight: number;
  readonly extras: Readonly<Bytes>;
  /** For each pack where its last file since the restart point ends, this item included. */
  readonly packEnds: readonly number[];
  entry(): Entry;
}

/** What the first items of a leaf come to, for one that copies runs of them as bytes. */
export interface LeafSums {
  /** Of the first i items, as the boundary rule counts it. */
  readonly weights: Uint32Array;
  /** Bytes in the files of the first i items. */
  readonly bytes: Float64Array;
  /** Rows of the pack table and of the source table that the first i items use. */
  readonly packs: Uint16Array;
  readonly sources: Uint16Array;
}
