import type { MaybePromise } from '../util/async.js';
import type { ContentId } from '../model/ids.js';

/** The bytes of one file, open for reading. Every byte it gives out was checked (content-reader.ts). */
export interface Content {
  readonly id: ContentId;
  /** Bytes. */
  readonly size: number;
  /**
   * The bytes from `offset`; fewer than `length` only at the end of the file. The result is the
   * caller's to keep.
   * @throws TarnError corrupt (names the object), not-found, io, aborted
   */
  read(offset: number, length: number, signal?: AbortSignal): MaybePromise<Uint8Array>;
  /**
   * The local file that holds these bytes, if one does, so that a driver can read it without us.
   * Valid until close.
   */
  backing(): MaybePromise<Backing | undefined>;
  /**
   * Gets bytes that lie on another machine ready for read() and the backing; absent where they lie
   * on this one. @throws as read
   */
  fetch?(offset: number, length: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

export interface Backing {
  /** Open for reading; owned by the Content. */
  readonly fd: number;
  /** Where the content starts in the file; 0 and a file of exactly `size` bytes may pass through. */
  readonly offset: number;
  /** The file is exactly this content. */
  readonly exact: boolean;
  /**
   * Every byte was verified and the file has not changed since. Otherwise only the blocks that a
   * read() has returned may be given out from the fd.
   */
  readonly verified: boolean;
  /**
   * Whether the fd has all of [start, end), verified. Without it, it has what a read() has returned.
   */
  readonly has?: (start: number, end: number) => boolean;
}
