import type { TarnError } from '../util/errors.js';

/** Bytes that the repository only points at: what lies there now is looked at on each read. */
export interface ImportedBytes {
  readonly url: string;
  /** Whether each read is a request to another machine. */
  readonly isFar: boolean;
  /**
   * Bytes [start, end), which lie in the file.
   * @param mustBePinned that it looks as it did when it was imported; without it the caller judges the
   *   bytes, and where looking costs something it may be left out
   * @throws TarnError corrupt (it has changed), not-found, denied, io; of objects also unavailable, aborted
   */
  read(
    start: number,
    end: number,
    mustBePinned: boolean,
    signal?: AbortSignal,
  ): Promise<Uint8Array>;
  /** Whether it looks as it did, with none of its bytes read. @throws as read */
  check(signal?: AbortSignal): Promise<void>;
  /** Why bytes that were read are not those that were recorded. */
  difference(start: number, end: number): Promise<TarnError>;
}
