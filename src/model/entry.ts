import type { ContentId, PackId } from './ids.js';
import type { Key } from './path.js';

/** What a path maps to. */
export type Entry = FileEntry | SymlinkEntry;

interface EntryBase {
  /** Modification time: whole seconds since 1970 UTC, may be negative. */
  readonly mtimeSec: number;
  /** Nanoseconds within the second, 0 to 999,999,999. */
  readonly mtimeNsec: number;
  /** POSIX permission bits, 0 to 0o7777. */
  readonly mode: number;
  /** User metadata, keys and values of UTF-8 text; absent when empty. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A file; an empty one whose key ends with `/` marks a directory that may be empty. */
export interface FileEntry extends EntryBase {
  readonly kind: 'file';
  /** Bytes in the file. */
  readonly size: number;
  readonly content: ContentId;
  readonly address: Address;
  readonly contentType?: string;
  /** As an HTTP door gave it, without quotes. */
  readonly etag?: string;
}

export interface SymlinkEntry extends EntryBase {
  readonly kind: 'symlink';
  /** Where the link points, 1 to 4,095 bytes of UTF-8; its byte length is the link's size. */
  readonly target: string;
}

/** Where a file's bytes lie, kept apart from what they are (the content id). */
export type Address =
  /** No bytes. */
  | { readonly kind: 'none' }
  /** One object of its own, whose key follows from the content id. */
  | { readonly kind: 'whole' }
  /** A run of `size` bytes at `offset` of a pack. */
  | { readonly kind: 'packed'; readonly pack: PackId; readonly offset: number }
  /** Pieces in order; their lengths add up to the file's size. */
  | { readonly kind: 'extents'; readonly extents: readonly Extent[] }
  /** A file or object outside of the repository (model/imported.ts), which must still look as `pin` says. */
  | { readonly kind: 'imported'; readonly url: string; readonly pin: Pin };

/** How an imported file looked, beside its size, so that a later change of it is noticed. */
export type Pin = FilePin | ObjectPin;

/** Of a file on a disk. */
export interface FilePin {
  readonly kind: 'mtime';
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** Of an object in a bucket. */
export interface ObjectPin {
  readonly kind: 'object';
  /** Without quotes; the generation, in Google Cloud. */
  readonly etag: string;
  /** Where the bucket keeps versions. */
  readonly version?: string;
}

export interface Extent {
  readonly source: ExtentSource;
  /** Bytes from the start of the object. */
  readonly offset: number;
  readonly length: number;
}

export type ExtentSource =
  | { readonly kind: 'pack'; readonly pack: PackId }
  | { readonly kind: 'whole'; readonly content: ContentId };

/** Longest list of extents inside an entry; a longer one would let a single entry fill a node. */
export const EXTENTS_MAX = 256;
/** Metadata bytes (keys and values) in an entry. */
export const METADATA_BYTES_MAX = 16_384;

export interface KeyedEntry {
  readonly key: Key;
  readonly entry: Entry;
}

/** How many entries lie in a range of the tree, and the sum of their sizes in bytes. */
export interface Totals {
  readonly entries: number;
  readonly bytes: number;
}

/** Size in bytes as a file system shows it. */
export function entrySize(entry: Entry): number {
  return entry.kind === 'symlink' ? Buffer.byteLength(entry.target) : entry.size;
}
