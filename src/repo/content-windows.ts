import { LRUCache } from 'lru-cache';
import type { ObjectStore } from '../store/object-store.js';
import type { Piece } from './content-pieces.js';
import { shortObject } from './content-verify.js';

/** Read at once where pieces are asked for one after the other. */
const WINDOW_BYTES = 262_144;
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
  async read(piece: Piece): Promise<Uint8Array> {
    const window = this.#windowFor(piece);
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

  #windowFor({ object, offset, length }: Piece): Window {
    const last = this.#windows.get(object);
    if (last !== undefined && offset >= last.offset) {
      if (offset + length <= last.offset + last.length) return last;
    }
    const follows = offset === last?.nextOffset && length <= PIECE_BYTES_MAX;
    const size = follows ? WINDOW_BYTES : length;
    const bytes = this.#objects.get(object, { range: { offset, length: size } });
    const window: Window = { offset, length: size, bytes, loaded: undefined, nextOffset: offset };
    bytes.then(
      (loaded) => (window.loaded = loaded),
      // Whoever reads from the window hears of it.
      () => undefined,
    );
    this.#windows.set(object, window);
    return window;
  }
}

function cut(window: Uint8Array, { object, offset, length }: Piece, start: number): Uint8Array {
  const bytes = window.subarray(offset - start, offset - start + length);
  if (bytes.length === length) return bytes;
  throw shortObject(object, offset + length, start + window.length);
}
