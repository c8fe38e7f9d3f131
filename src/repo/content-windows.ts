import { LRUCache } from 'lru-cache';
import type { ObjectStore } from '../store/object-store.js';
import type { ReadTally } from '../store/traffic.js';
import type { Piece } from './content-pieces.js';
import { shortObject } from './content-verify.js';

/** Read at once where pieces are asked for one after the other. */
const WINDOW_BYTES = 262_144;
/** Fetched ahead of such a reader, at most, from a store that lies elsewhere. */
const AHEAD_BYTES_MAX = 8_388_608;
const AHEAD_REQUEST_BYTES = 2_097_152;
const WINDOWS_MAX = 8;
/** A longer piece is read by itself. */
const PIECE_BYTES_MAX = 65_536;

interface Window {
  /** From the start of the object. */
  readonly offset: number;
  /** Bytes that were asked for; the object may end before. */
  readonly length: number;
  readonly bytes: Promise<Uint8Array>;
  /** The same once they are there. */
  loaded: Uint8Array | undefined;
  /** Where the last piece ended. */
  nextOffset: number;
  /** Where the pieces began that were asked for one after the other, and how far it is fetched. */
  readonly runStart: number;
  readonly aheadEnd: number;
}

/**
 * Reads pieces of objects. Small files that are read in the order of their paths lie side by side in
 * a pack: the second of them fetches those that follow as well. Nothing here is verified.
 */
export class ObjectWindows {
  readonly #objects: ObjectStore;
  readonly #windows = new LRUCache<string, Window>({ max: WINDOWS_MAX });

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /**
   * The bytes of a piece, all of them; not to be changed.
   * @throws TarnError not-found, corrupt (the object is too short), io
   */
  async read(piece: Piece, tally?: ReadTally): Promise<Uint8Array> {
    const window = this.#windowFor(piece, tally);
    window.nextOffset = piece.offset + piece.length;
    try {
      return cut(await window.bytes, piece, window.offset);
    } catch (error) {
      this.forget(piece.object);
      throw error;
    }
  }

  /** The bytes of a piece if they were read already and nothing has to be waited for. */
  atHand({ object, offset, length }: Piece): Uint8Array | undefined {
    const window = this.#windows.get(object);
    if (window?.loaded === undefined || offset < window.offset) return undefined;
    const start = offset - window.offset;
    if (start + length > window.loaded.length) return undefined;
    window.nextOffset = offset + length;
    return window.loaded.subarray(start, start + length);
  }

  /** What was read of this object turned out wrong: it is read again by the next who asks. */
  forget(object: string): void {
    this.#windows.delete(object);
  }

  #windowFor({ object, offset, length }: Piece, tally: ReadTally | undefined): Window {
    const last = this.#windows.get(object);
    if (last !== undefined && offset >= last.offset) {
      if (offset + length <= last.offset + last.length) return last;
    }
    const follows = offset === last?.nextOffset && length <= PIECE_BYTES_MAX;
    const size = follows ? WINDOW_BYTES : length;
    const bytes = this.#objects.get(object, { range: { offset, length: size }, tally });
    const runStart = follows ? last.runStart : offset;
    const end = offset + size;
    const ahead = { from: last?.aheadEnd ?? end, tally };
    const aheadEnd = follows ? this.#fetchAhead(object, runStart, end, ahead) : end;
    const place = { offset, length: size, nextOffset: offset, runStart, aheadEnd };
    const window: Window = { ...place, bytes, loaded: undefined };
    bytes.then(
      (loaded) => (window.loaded = loaded),
      // Whoever reads from the window hears of it.
      () => undefined,
    );
    this.#windows.set(object, window);
    return window;
  }

  /**
   * Has a store that keeps what it fetched fetch what follows, as much as was read one after the other
   * so far; returns up to where it does.
   */
  #fetchAhead(
    object: string,
    runStart: number,
    end: number,
    { from, tally }: { readonly from: number; readonly tally: ReadTally | undefined },
  ): number {
    const run = end - runStart;
    if (this.#objects.fetch === undefined || run < WINDOW_BYTES) return end;
    const target = end + Math.min(AHEAD_BYTES_MAX, run);
    let at = Math.max(end, from);
    // Little by little would be many requests.
    if (target - at < Math.min(AHEAD_REQUEST_BYTES, run) / 2) return at;
    for (; at < target; at += AHEAD_REQUEST_BYTES) {
      const length = Math.min(AHEAD_REQUEST_BYTES, target - at);
      // Whoever comes to read it hears of a fault.
      this.#objects.fetch(object, at, length, { tally }).catch(() => undefined);
    }
    return target;
  }
}

function cut(window: Uint8Array, { object, offset, length }: Piece, start: number): Uint8Array {
  const bytes = window.subarray(offset - start, offset - start + length);
  if (bytes.length === length) return bytes;
  throw shortObject(object, offset + length, start + window.length);
}
