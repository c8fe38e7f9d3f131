import { hash as hashOnce } from 'node:crypto';
import { contentIdOf, EMPTY_CONTENT } from '../model/ids.js';
import type { Address } from '../model/entry.js';
import type { ContentId, Hash, PackId } from '../model/ids.js';
import type { IndexedContent } from './content-index.js';
import {
  PACK_CONTENT_BYTES_MAX,
  PACK_ENTRIES_MAX,
  PACK_HEADER_BYTES,
  packBytes,
  sealPack,
} from './pack.js';
import type { PackedContent } from './pack.js';

/** A content that is stored: what an entry needs to know of it. */
export interface StoredContent<T> {
  readonly tag: T;
  /** Bytes. */
  readonly size: number;
  readonly content: ContentId;
  readonly address: Address;
}

export interface SealedPack {
  readonly id: PackId;
  readonly bytes: Uint8Array;
  readonly contents: readonly PackedContent[];
}

/** Slot of the content that has no bytes. */
const EMPTY = -1;

/** A buffer begins with this, so that a put of one file touches little memory, and is doubled. */
const BUFFER_BYTES_MIN = 65_536;
const BUFFER_BYTES_MAX = packBytes(PACK_ENTRIES_MAX, PACK_CONTENT_BYTES_MAX);

/** A pack that is being filled: each distinct content once, and who asked for it. */
export class PackBuilder<T> {
  #buffer: Buffer;
  #end = PACK_HEADER_BYTES;
  readonly #hashes: Hash[] = [];
  readonly #lengths: number[] = [];
  readonly #slots = new Map<Hash, number>();
  readonly #asked: { tag: T; size: number; slot: number }[] = [];

  /** @param buffer of an earlier pack: this one's alone until it is stored */
  constructor(buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES_MIN)) {
    this.#buffer = buffer;
  }

  get buffer(): Buffer {
    return this.#buffer;
  }

  get isEmpty(): boolean {
    return this.#asked.length === 0;
  }

  get hashes(): readonly Hash[] {
    return this.#hashes;
  }

  fits(length: number): boolean {
    return (
      this.#asked.length < PACK_ENTRIES_MAX &&
      this.#end + length <= PACK_HEADER_BYTES + PACK_CONTENT_BYTES_MAX
    );
  }

  /** Copies the bytes; they must fit. */
  add(bytes: Uint8Array, tag: T): void {
    const size = bytes.length;
    this.#asked.push({ tag, size, slot: size === 0 ? EMPTY : this.#slotOf(bytes) });
  }

  /**
   * Completes the pack, leaving out what is `known` to lie elsewhere; undefined when that is all.
   * To be called once.
   */
  seal(known: ReadonlyMap<Hash, IndexedContent>): SealedPack | undefined {
    const contents: PackedContent[] = [];
    let from = PACK_HEADER_BYTES;
    let to = PACK_HEADER_BYTES;
    for (const [slot, hash] of this.#hashes.entries()) {
      const length = this.#lengths[slot] ?? 0;
      if (!known.has(hash)) {
        if (from !== to) this.#buffer.copyWithin(to, from, from + length);
        contents.push({ hash, offset: to, length });
        to += length;
      }
      from += length;
    }
    if (contents.length === 0) return undefined;
    return { ...sealPack(this.#buffer, contents), contents };
  }

  /** What was asked for, in order, each with its place. */
  stored(
    known: ReadonlyMap<Hash, IndexedContent>,
    sealed: SealedPack | undefined,
  ): StoredContent<T>[] {
    const offsets = new Map(sealed?.contents.map(({ hash, offset }) => [hash, offset]));
    return this.#asked.map(({ tag, size, slot }) => {
      const hash = this.#hashes[slot];
      if (hash === undefined) {
        return { tag, size, content: EMPTY_CONTENT, address: { kind: 'none' } };
      }
      const place = known.get(hash) ?? { pack: sealed?.id, offset: offsets.get(hash) };
      const { pack, offset } = place as { pack: PackId; offset: number };
      const content = contentIdOf(size, hash);
      return { tag, size, content, address: { kind: 'packed', pack, offset } };
    });
  }

  #slotOf(bytes: Uint8Array): number {
    const hash = hashOnce('sha256', bytes, 'hex') as Hash;
    const known = this.#slots.get(hash);
    if (known !== undefined) return known;
    const slot = this.#hashes.length;
    this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
    this.#hashes.push(hash);
    this.#lengths.push(bytes.length);
    this.#slots.set(hash, slot);
    return slot;
  }

  /** For `length` more bytes of content, and all that sealing adds. */
  #makeRoom(length: number): void {
    const contentBytes = this.#end - PACK_HEADER_BYTES + length;
    const needed = packBytes(this.#hashes.length + 1, contentBytes);
    if (needed <= this.#buffer.length) return;
    const bytes = Math.min(BUFFER_BYTES_MAX, Math.max(needed, this.#buffer.length * 2));
    const larger = Buffer.allocUnsafeSlow(bytes);
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}
