import type { EntryAttributes } from '../model/cursor.js';
import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { PATH_BYTES_MAX } from '../model/path.js';
import type { NodeId, PackId } from '../model/ids.js';
import { HASH_BYTES } from '../model/ids.js';
import { ByteReader } from './bytes.js';
import type { Pointer } from './encode.js';
import { readAttributes, readEntry, readSize } from './entry-read.js';
import { LEAF_HEADER_BYTES, RESTART_INTERVAL } from './format.js';
import type { ChildPlaces, Place } from './place.js';
import type { Source, SourceRow } from './sources.js';

/** Bytes of memory that a row of a source table takes, with its text. */
const SOURCE_FOOTPRINT = 256;

/**
 * A decoded node. decodeNode made it, so every offset in it lies inside the bytes and its keys
 * ascend: the methods here trust that and cannot fail. An index is valid from 0 to `count` - 1.
 */
export type TreeNode = LeafNode | InnerNode;

/** Where a node and its children lie; unknown to a store that finds every node by its id. */
export interface NodeWhere {
  readonly place?: Place | undefined;
  /** Of the children; undefined for a leaf. */
  readonly places?: ChildPlaces | undefined;
}

export interface NodeParts extends NodeWhere {
  readonly id: NodeId;
  readonly bytes: Buffer;
  readonly level: number;
  readonly entries: number;
  readonly totalBytes: number;
  /** Where each item starts. */
  readonly offsets: Uint32Array;
}

/** Memory of a node in the cache beside its bytes and arrays: objects, keys, id. */
const OBJECT_BYTES = 1_600;

/** What both kinds of node have; T is the type of an item's value. */
export abstract class NodeBase<T> {
  readonly id: NodeId;
  /** Where it was read. */
  readonly place: Place | undefined;
  readonly bytes: Buffer;
  readonly level: number;
  readonly count: number;
  /** In the subtree, as is totalBytes. */
  readonly entries: number;
  readonly totalBytes: number;
  readonly firstKey: Key;
  readonly lastKey: Key;
  protected readonly offsets: Uint32Array;
  /** Every use sets its position first, and ends before anyone else can start one. */
  readonly reader: ByteReader;
  /** Bytes that all keys have in common. */
  readonly #commonLength: number;

  constructor(parts: NodeParts) {
    this.id = parts.id;
    this.place = parts.place;
    this.bytes = parts.bytes;
    this.level = parts.level;
    this.entries = parts.entries;
    this.totalBytes = parts.totalBytes;
    this.offsets = parts.offsets;
    this.count = parts.offsets.length;
    this.reader = new ByteReader(parts.bytes);
    this.firstKey = this.count === 0 ? ('' as Key) : this.keyAt(0);
    this.lastKey = this.count === 0 ? ('' as Key) : this.keyAt(this.count - 1);
    this.#commonLength = commonLength(this.firstKey, this.lastKey);
  }

  /** Bytes of memory, for the cache's bound. */
  abstract readonly footprint: number;
  abstract valueAt(index: number): T;

  keyAt(index: number): Key {
    const walker = SHARED_WALKER;
    walker.moveTo(this, index);
    return walker.key();
  }

  /** Where item `index` starts; `count` gives where the last one ends. */
  offsetOf(index: number): number {
    return this.offsets[index] ?? this.bytes.length;
  }

  /** The index of the first item whose key is at least `key`; `count` when there is none. */
  lowerBound(key: Key): number {
    const first = this.firstKey;
    const common = this.#commonLength;
    for (let i = 0; i < common; i++) {
      if (i === key.length) return 0;
      const difference = first.charCodeAt(i) - key.charCodeAt(i);
      if (difference !== 0) return difference > 0 ? 0 : this.count;
    }
    let low = 0;
    let high = Math.ceil(this.count / RESTART_INTERVAL);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compareRestart(middle, key);
      if (order === 0) return middle * RESTART_INTERVAL;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#scanBlock((low - 1) * RESTART_INTERVAL, key);
  }

  /** Sign of (whole key at the restart point) - key. */
  #compareRestart(restart: number, key: Key): number {
    const reader = this.reader;
    reader.position = this.offsetOf(restart * RESTART_INTERVAL);
    reader.uvarint();
    const length = reader.uvarint();
    const start = reader.position;
    const shorter = Math.min(length, key.length);
    for (let i = this.#commonLength; i < shorter; i++) {
      const difference = (this.bytes[start + i] ?? 0) - key.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  /** Looks behind the restart point `start`, whose own key is less than `key`. */
  #scanBlock(start: number, key: Key): number {
    const { bytes, reader } = this;
    const end = Math.min(this.count, start + RESTART_INTERVAL);
    /** How many bytes `key` has in common with the item before. */
    let matched = this.#commonLength;
    for (let index = start; index < end; index++) {
      reader.position = this.offsetOf(index);
      const shared = reader.uvarint();
      /** A restart point is written whole; what all keys have in common need not be compared. */
      const skipped = index === start ? matched : 0;
      if (shared > matched) continue;
      if (shared + skipped < matched) return index;
      const length = reader.uvarint() - skipped;
      const suffix = reader.position + skipped;
      let same = 0;
      while (
        same < length &&
        matched + same < key.length &&
        bytes[suffix + same] === key.charCodeAt(matched + same)
      ) {
        same++;
      }
      matched += same;
      if (matched === key.length) return index;
      if (same < length && (bytes[suffix + same] ?? 0) > key.charCodeAt(matched)) return index;
    }
    return end;
  }
}

function commonLength(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let length = 0;
  while (length < shorter && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

/** What stands in front of a leaf's items. */
export interface LeafTables {
  readonly packs: number;
  readonly sources: readonly SourceRow[];
  readonly mtimeBase: number;
}

export class LeafNode extends NodeBase<Entry> {
  readonly kind = 'leaf';
  readonly packs: number;
  readonly sources: readonly SourceRow[];
  readonly mtimeBase: number;
  #packIds: PackId[] | undefined;
  #bases: string[] | undefined;

  constructor(parts: NodeParts, { packs, sources, mtimeBase }: LeafTables) {
    super(parts);
    this.packs = packs;
    this.sources = sources;
    this.mtimeBase = mtimeBase;
  }

  get footprint(): number {
    const sources = this.sources.length * SOURCE_FOOTPRINT;
    return this.bytes.length + this.offsets.byteLength + sources + OBJECT_BYTES;
  }

  valueAt(index: number): Entry {
    this.#toValue(index);
    return readEntry(this.reader, this, index);
  }

  sizeAt(index: number): number {
    this.#toValue(index);
    return readSize(this.reader);
  }

  /** Attributes of the entry whose value starts at byte `offset`. */
  attributesAt(offset: number, out: EntryAttributes): void {
    this.reader.position = offset;
    readAttributes(this.reader, this.mtimeBase, out);
  }

  packId(pack: number): PackId {
    this.#packIds ??= Array.from({ length: this.packs }, (_, i) => {
      const start = LEAF_HEADER_BYTES + i * HASH_BYTES;
      return this.bytes.toString('hex', start, start + HASH_BYTES) as PackId;
    });
    return this.#packIds[pack] as PackId;
  }

  source(row: number): Source {
    this.#bases ??= this.sources.map(({ start, end }) => this.bytes.toString('latin1', start, end));
    return { cut: this.sources[row]?.cut ?? 0, base: this.#bases[row] ?? '' };
  }

  /** Bytes in the files of the first `end` entries. */
  bytesBefore(end: number): number {
    let sum = 0;
    for (let i = 0; i < end; i++) sum += this.sizeAt(i);
    return sum;
  }

  #toValue(index: number): void {
    const reader = this.reader;
    reader.position = this.offsetOf(index);
    reader.uvarint();
    const suffix = reader.uvarint();
    reader.position += suffix;
  }
}

export class InnerNode extends NodeBase<Pointer> {
  readonly kind = 'inner';
  /** Entries and bytes in the children before child i; one more item than children. */
  readonly #entriesBefore: Float64Array;
  readonly #bytesBefore: Float64Array;
  readonly #places: ChildPlaces | undefined;
  /** 1 for each child that was found to be what its pointer says. */
  readonly checked: Uint8Array;

  constructor(parts: NodeParts, entriesBefore: Float64Array, bytesBefore: Float64Array) {
    super(parts);
    this.#entriesBefore = entriesBefore;
    this.#bytesBefore = bytesBefore;
    this.#places = parts.places;
    this.checked = new Uint8Array(this.count);
  }

  get footprint(): number {
    const places = this.#places?.footprint ?? 0;
    return this.bytes.length + this.offsets.byteLength + this.count * 17 + places + OBJECT_BYTES;
  }

  valueAt(index: number): Pointer {
    return {
      id: this.idAt(index),
      entries: this.entriesBefore(index + 1) - this.entriesBefore(index),
      bytes: this.bytesBefore(index + 1) - this.bytesBefore(index),
      place: this.placeAt(index),
    };
  }

  /** Where the child lies; undefined where the store finds it by its id alone. */
  placeAt(index: number): Place | undefined {
    return this.#places?.at(index);
  }

  /** Where the id of the child starts in the node's bytes. */
  idOffsetOf(index: number): number {
    const reader = this.reader;
    reader.position = this.offsetOf(index);
    reader.uvarint();
    const suffix = reader.uvarint();
    return reader.position + suffix;
  }

  idAt(index: number): NodeId {
    const start = this.idOffsetOf(index);
    return this.bytes.toString('hex', start, start + HASH_BYTES) as NodeId;
  }

  /** Whether child `index` is child `other` of another node. */
  hasSameChild(index: number, node: InnerNode, other: number): boolean {
    const [from, at] = [this.idOffsetOf(index), node.idOffsetOf(other)];
    for (let i = 0; i < HASH_BYTES; i++) {
      if (this.bytes[from + i] !== node.bytes[at + i]) return false;
    }
    return true;
  }

  entriesBefore(index: number): number {
    return this.#entriesBefore[index] ?? 0;
  }

  bytesBefore(index: number): number {
    return this.#bytesBefore[index] ?? 0;
  }

  /** The child that holds the entry at `ordinal` of this subtree, which must have so many. */
  childOfOrdinal(ordinal: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entriesBefore(middle + 1) > ordinal) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Rebuilds front-coded keys item by item. */
export class KeyWalker {
  readonly #scratch = Buffer.allocUnsafeSlow(PATH_BYTES_MAX);
  #reader = new ByteReader(this.#scratch);
  #length = 0;
  #key: Key | undefined;
  /** Where moveTo went last, if the walker is still there. */
  #node: NodeBase<unknown> | undefined;
  #index = 0;
  /** Where the value of the item starts in the node's bytes. */
  valueOffset = 0;

  moveTo(node: NodeBase<unknown>, index: number): void {
    const restart = index - (index % RESTART_INTERVAL);
    const isOnTheWay = node === this.#node && this.#index >= restart && this.#index <= index;
    this.#reader = node.reader;
    for (let i = isOnTheWay ? this.#index + 1 : restart; i <= index; i++) {
      this.#step(node.offsetOf(i));
    }
    this.#node = node;
    this.#index = index;
  }

  /** To the item at byte `offset`, which follows the item where the walker is. */
  stepTo(offset: number): void {
    this.#node = undefined;
    this.#step(offset);
  }

  #step(offset: number): void {
    const reader = this.#reader;
    reader.position = offset;
    const shared = reader.uvarint();
    const length = reader.uvarint();
    const start = reader.position;
    const bytes = reader.bytes;
    const scratch = this.#scratch;
    for (let i = 0; i < length; i++) scratch[shared + i] = bytes[start + i] as number;
    this.#length = shared + length;
    this.#key = undefined;
    this.valueOffset = start + length;
  }

  /** Bytes of the key. */
  get keyLength(): number {
    return this.#length;
  }

  key(): Key {
    return (this.#key ??= this.#scratch.toString('latin1', 0, this.#length) as Key);
  }
}

/** For lookups that end before anyone else can start one. */
const SHARED_WALKER = new KeyWalker();
