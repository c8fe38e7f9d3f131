import type { Hash } from '../model/ids.js';
import { HASH_BYTES } from '../model/ids.js';
import { TarnError } from '../util/errors.js';
import type { ByteWriter } from './bytes.js';
import { ByteReader, NodeFault } from './bytes.js';

/** An object that holds many nodes. */
export interface TreePack {
  /** Its name; undefined while nodes are still added to it. */
  readonly id: Hash | undefined;
  /** What lies in it can be found by anyone, at any later time. */
  readonly isDurable: boolean;
}

/**
 * Where a node lies. A hint beside the node's id, never a part of what is hashed: equal nodes may
 * lie at different places, and what is read there must hash to the id.
 */
export interface Place {
  readonly pack: TreePack;
  /** Bytes from the start of the pack to the node's record. */
  readonly offset: number;
  /** Bytes of the record. */
  readonly length: number;
}

/** The places of an inner node's children, in their order. */
export class ChildPlaces {
  readonly #own: TreePack;
  /** Ids of the other packs. */
  readonly #ids: Buffer;
  /** Made when they are asked for: most children are never entered. */
  readonly #packs: TreePack[] = [];
  readonly #rows: readonly number[];
  readonly #offsets: readonly number[];
  readonly #lengths: readonly number[];

  /** @param rows for each child its pack: 0 for `own`, then those of `ids`, 32 bytes each */
  constructor(
    own: TreePack,
    ids: Buffer,
    rows: readonly number[],
    offsets: readonly number[],
    lengths: readonly number[],
  ) {
    this.#own = own;
    this.#ids = ids;
    this.#rows = rows;
    this.#offsets = offsets;
    this.#lengths = lengths;
  }

  get count(): number {
    return this.#rows.length;
  }

  /** Bytes of memory. */
  get footprint(): number {
    return this.count * 24 + (this.#ids.length / HASH_BYTES) * 160;
  }

  /** @param index less than `count` */
  at(index: number): Place {
    return {
      pack: this.#pack(this.#rows[index] ?? 0),
      offset: this.#offsets[index] ?? 0,
      length: this.#lengths[index] ?? 0,
    };
  }

  #pack(row: number): TreePack {
    if (row === 0) return this.#own;
    const end = row * HASH_BYTES;
    return (this.#packs[row] ??= {
      id: this.#ids.toString('hex', end - HASH_BYTES, end) as Hash,
      isDurable: true,
    });
  }
}

const PLACE_BYTES_MAX = 24;
/** A record is never longer, whatever a place says. */
export const RECORD_BYTES_MAX = 4_194_304;

/** Bytes that the places of a node take at most. */
export function placesBytesMax(count: number): number {
  return count === 0 ? 0 : PLACE_BYTES_MAX + count * (HASH_BYTES + PLACE_BYTES_MAX);
}

/**
 * The places of a node's children as its record in the pack `own` holds them (repo/FORMAT.md, Tree
 * packs); none for a leaf. The children in the same pack lie before the record.
 * @param start where the record begins
 */
export function encodePlaces(
  out: ByteWriter,
  children: readonly Place[],
  own: TreePack,
  start: number,
): void {
  if (children.length === 0) return;
  const rows = new Map<Hash, number>();
  for (const { pack } of children) {
    if (pack === own) continue;
    if (pack.id === undefined) {
      throw new TarnError('internal', 'a tree node points into a pack that is not written');
    }
    if (!rows.has(pack.id)) rows.set(pack.id, rows.size + 1);
  }
  out.reserve(placesBytesMax(children.length));
  out.uvarint(rows.size);
  for (const id of rows.keys()) out.hash(id);
  for (const { pack, offset, length } of children) {
    const row = pack === own ? 0 : (rows.get(pack.id as Hash) ?? 0);
    out.uvarint(row);
    out.uvarint(row === 0 ? start - offset : offset);
    out.uvarint(length);
  }
}

/**
 * The reverse of encodePlaces, for a node that has children.
 * @throws NodeFault
 */
export function decodePlaces(bytes: Buffer, own: TreePack, start: number): ChildPlaces {
  const reader = new ByteReader(bytes);
  const count = reader.uvarint();
  const idsAt = reader.skip(count * HASH_BYTES);
  const ids = bytes.subarray(idsAt, reader.position);
  const rows: number[] = [];
  const offsets: number[] = [];
  const lengths: number[] = [];
  let used = 0;
  while (reader.position < bytes.length) {
    const row = reader.uvarint();
    const at = reader.uvarint();
    const length = reader.uvarint();
    if (row > used + 1 || row > count) throw new NodeFault('its table of packs is out of order');
    used = Math.max(used, row);
    if (length > RECORD_BYTES_MAX || (row === 0 && (at < length || at > start))) {
      throw new NodeFault('a place is out of range');
    }
    rows.push(row);
    offsets.push(row === 0 ? start - at : at);
    lengths.push(length);
  }
  if (used !== count) throw new NodeFault('its table names packs that it never uses');
  return new ChildPlaces(own, ids, rows, offsets, lengths);
}
