import { TarnError } from '../util/errors.js';
import type { Address, Entry, Extent, FileEntry, Pin } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { ContentId, NodeId, PackId } from '../model/ids.js';
import { contentHash, HASH_BYTES } from '../model/ids.js';
import { isPinned } from '../model/imported.js';
import type { Key } from '../model/path.js';
import { keyFromText, keyToText, PATH_BYTES_MAX } from '../model/path.js';
import { EXTENT_WEIGHT, ITEM_WEIGHT } from './boundary.js';
import { ByteWriter, toZigzag } from './bytes.js';
import { checkEntry, checkKey, refuseEntry } from './entry-check.js';
import {
  EXTRA,
  FILE_MODE_DEFAULT,
  FLAG_EXTRAS,
  FLAG_MODE,
  FLAG_NSEC,
  FLAG_PIN,
  FORM,
  HEADER_BYTES,
  LEAF_HEADER_BYTES,
  MAGIC,
  PIN,
  RESTART_INTERVAL,
  SOURCE,
  SYMLINK_MODE_DEFAULT,
  VERSION,
} from './format.js';
import type { LeafItem, LeafSource, LeafSums } from './leaf-item.js';
import type { Place } from './place.js';
import { SourceTable } from './sources.js';

/** What a child of an inner node is, beside its last key, which is the item's key. */
export interface Pointer {
  readonly id: NodeId;
  readonly entries: number;
  readonly bytes: number;
  /** Undefined only where a store finds every node by its id alone. */
  readonly place?: Place | undefined;
}

export interface EncodedNode {
  readonly bytes: Buffer;
  readonly lastKey: Key;
  readonly entries: number;
  readonly totalBytes: number;
  /** Of the children, as far as they are known; a leaf has none. */
  readonly places: readonly Place[];
}

/** Takes items in key order and gives the node that holds them. */
export interface NodeEncoder<T> {
  readonly items: number;
  /**
   * Returns the item's weight.
   * @throws TarnError invalid when the key or the value breaks a rule of the format
   */
  append(key: Key, value: T): number;
  /** The node of what was appended; the encoder starts anew. */
  finish(): EncodedNode;
}

const BODY_BYTES = 16_384;
/** Room for the key and all parts of fixed size of an item. */
const ITEM_BYTES_MAX = PATH_BYTES_MAX + 128;
const EXTENT_BYTES_MAX = 64;
const METADATA_PAIR_BYTES = 8;

/** Front-coded keys: what leaves and inner nodes have in common. */
class KeyEncoder {
  readonly writer = new ByteWriter(BODY_BYTES);
  items = 0;
  /** Outlives a node, so that order is checked across nodes too. */
  lastKey = '' as Key;

  /** Begins an item; true when it is a restart point. */
  begin(key: Key): boolean {
    checkKey(key);
    const last = this.lastKey;
    const lengthMin = Math.min(last.length, key.length);
    let common = 0;
    while (common < lengthMin && last.charCodeAt(common) === key.charCodeAt(common)) common++;
    const isBehind =
      common < key.length &&
      (common === last.length || last.charCodeAt(common) < key.charCodeAt(common));
    if (!isBehind) throw outOfOrder(last, key);
    const restart = this.items % RESTART_INTERVAL === 0;
    const shared = restart ? 0 : common;
    const writer = this.writer;
    writer.reserve(ITEM_BYTES_MAX);
    writer.uvarint(shared);
    writer.uvarint(key.length - shared);
    for (let i = shared; i < key.length; i++) {
      const byte = key.charCodeAt(i);
      if (byte > 0xff) refuseEntry(key, 'has a path that is not a string of bytes');
      writer.u8(byte);
    }
    this.lastKey = key;
    this.items++;
    return restart;
  }

  /** Items of a leaf from the restart point `from` up to `to`, the last of which has the key. */
  run(leaf: LeafSource, from: number, to: number, lastKey: Key): void {
    const first = leaf.keyAt(from);
    if (this.lastKey >= first) throw outOfOrder(this.lastKey, first);
    const [start, end] = [leaf.offsetOf(from), leaf.offsetOf(to)];
    this.writer.reserve(end - start);
    leaf.bytes.copy(this.writer.bytes, this.writer.length, start, end);
    this.writer.length += end - start;
    this.lastKey = lastKey;
    this.items += to - from;
  }

  /** Header, then `head` (which writes `headBytes`), then the items. */
  finish(
    level: number,
    packs: number,
    sources: number,
    entries: number,
    totalBytes: number,
    headBytes: number,
    head: (out: ByteWriter) => void,
    places: readonly Place[],
  ): EncodedNode {
    if (totalBytes > Number.MAX_SAFE_INTEGER) {
      throw new TarnError('too-large', 'the files of one tree hold more than 2^53 - 1 bytes');
    }
    const out = new ByteWriter(HEADER_BYTES + headBytes + this.writer.length);
    out.u32(MAGIC);
    out.u8(VERSION);
    out.u8(level);
    out.u16(packs);
    out.u16(sources);
    out.u32(this.items);
    out.u53(entries);
    out.u53(totalBytes);
    head(out);
    this.writer.bytes.copy(out.bytes, out.length, 0, this.writer.length);
    const node = { bytes: out.bytes, lastKey: this.lastKey, entries, totalBytes, places };
    this.writer.length = 0;
    this.items = 0;
    return node;
  }
}

export function outOfOrder(last: Key, key: Key): TarnError {
  const problem = last === key ? 'twice' : `after '${keyToText(last)}', which sorts behind it`;
  return new TarnError('invalid', `the path '${keyToText(key)}' was given ${problem}`);
}

export class InnerEncoder implements NodeEncoder<Pointer> {
  readonly #keys = new KeyEncoder();
  readonly #level: number;
  #entries = 0;
  #totalBytes = 0;
  #places: Place[] = [];

  constructor(level: number) {
    this.#level = level;
  }

  get items(): number {
    return this.#keys.items;
  }

  append(key: Key, child: Pointer): number {
    this.#keys.begin(key);
    const writer = this.#keys.writer;
    writer.hash(child.id);
    writer.uvarint(child.entries);
    writer.uvarint(child.bytes);
    this.#entries += child.entries;
    this.#totalBytes += child.bytes;
    if (child.place !== undefined) this.#places.push(child.place);
    return key.length + ITEM_WEIGHT;
  }

  finish(): EncodedNode {
    const none = (): void => undefined;
    const [entries, totalBytes, places] = [this.#entries, this.#totalBytes, this.#places];
    const node = this.#keys.finish(this.#level, 0, 0, entries, totalBytes, 0, none, places);
    this.#entries = 0;
    this.#totalBytes = 0;
    this.#places = [];
    return node;
  }
}

export class LeafEncoder implements NodeEncoder<Entry> {
  readonly #keys = new KeyEncoder();
  readonly #packs = new Map<PackId, number>();
  readonly #sources = new SourceTable();
  /** For each pack where its last file since the restart point ends. */
  #packEnds: number[] = [];
  #mtimeBase = 0;
  #totalBytes = 0;

  get items(): number {
    return this.#keys.items;
  }

  append(key: Key, entry: Entry): number {
    checkEntry(key, entry);
    if (this.#keys.items === 0) this.#mtimeBase = entry.mtimeSec;
    if (this.#keys.begin(key)) this.#packEnds.fill(0);
    const size = entrySize(entry);
    this.#totalBytes += size;
    const extras = hasExtras(entry);
    this.#fixedPart(entry, size, extras);
    let weight = key.length + ITEM_WEIGHT;
    if (entry.kind === 'symlink') {
      const writer = this.#keys.writer;
      writer.reserve(size);
      writer.length += writer.bytes.write(entry.target, writer.length, size, 'utf8');
      weight += size;
    } else if (size > 0) {
      weight += this.#place(key, entry);
    }
    return extras ? weight + writeExtras(this.#keys.writer, entry) : weight;
  }

  /**
   * Appends an item of another leaf as append would with its entry; at another key than its own only
   * an item whose form has no source.
   */
  appendItem(key: Key, item: LeafItem): number {
    if (item.form === FORM.extents) return this.append(key, item.entry());
    if (this.#keys.items === 0) this.#mtimeBase = item.mtimeSec;
    if (this.#keys.begin(key)) this.#packEnds.fill(0);
    const { leaf, form, size, fixed, pin, extras } = item;
    this.#totalBytes += size;
    const extrasBytes = extras.end - extras.start;
    let weight = key.length + ITEM_WEIGHT + extrasBytes;
    const writer = this.#keys.writer;
    writer.reserve(ITEM_BYTES_MAX + fixed.end - fixed.start + pin.end - pin.start + extrasBytes);
    writer.u8(item.flags);
    if (form !== FORM.empty) writer.uvarint(size);
    writer.zigzag(item.mtimeSec - this.#mtimeBase);
    writer.copy(leaf.bytes, fixed.start, fixed.end);
    if (form === FORM.symlink) weight += size;
    else if (form === FORM.packed) this.#packed(key, leaf.packId(item.row), item.offset, size);
    else if (form === FORM.imported || form === FORM.pinned) {
      const source = this.#sources.addSource(leaf.source(item.row));
      writer.uvarint(source.row);
      writer.copy(leaf.bytes, pin.start, pin.end);
      weight += source.weight + item.pinWeight;
    }
    writer.copy(leaf.bytes, extras.start, extras.end);
    return weight;
  }

  /**
   * Whether the items of `leaf` from the restart point `index` on can follow as they are: what was
   * appended so far stands where the leaf's items in front of them do.
   */
  continues(leaf: LeafSource, index: number, sums: LeafSums): boolean {
    if (index % RESTART_INTERVAL !== 0 || this.#keys.items !== index) return false;
    if (index > 0 && this.#mtimeBase !== leaf.mtimeBase) return false;
    const hasRows =
      this.#packs.size >= (sums.packs[index] as number) &&
      this.#sources.size >= (sums.sources[index] as number);
    if (!hasRows || !this.#sources.agreesWith(leaf)) return false;
    let row = 0;
    for (const pack of this.#packs.keys()) {
      if (row < leaf.packs && leaf.packId(row) !== pack) return false;
      row++;
    }
    return true;
  }

  /** Appends items of a leaf that continue the node, up to the one where `last` is. */
  appendRun(last: LeafItem, from: number, to: number, sums: LeafSums): void {
    const { leaf } = last;
    this.#mtimeBase = leaf.mtimeBase;
    this.#keys.run(leaf, from, to, last.key);
    this.#totalBytes += (sums.bytes[to] as number) - (sums.bytes[from] as number);
    for (let row = this.#packs.size; row < (sums.packs[to] as number); row++) {
      this.#packs.set(leaf.packId(row), row);
    }
    for (let row = this.#sources.size; row < (sums.sources[to] as number); row++) {
      this.#sources.addSource(leaf.source(row));
    }
    for (let row = 0; row < this.#packs.size; row++) this.#packEnds[row] = last.packEnds[row] ?? 0;
  }

  finish(): EncodedNode {
    const packs = this.#packs;
    const mtimeBase = this.#mtimeBase;
    const [rows, count, totalBytes] = [this.#sources.size, this.#keys.items, this.#totalBytes];
    const sources = this.#sources.finish();
    const tables = packs.size * HASH_BYTES + sources.length;
    const headBytes = LEAF_HEADER_BYTES - HEADER_BYTES + tables;
    const head = (out: ByteWriter): void => {
      out.u53(toZigzag(mtimeBase));
      for (const pack of packs.keys()) out.hash(pack);
      sources.copy(out.bytes, out.length);
      out.length += sources.length;
    };
    const node = this.#keys.finish(0, packs.size, rows, count, totalBytes, headBytes, head, []);
    packs.clear();
    this.#packEnds = [];
    this.#mtimeBase = 0;
    this.#totalBytes = 0;
    return node;
  }

  #fixedPart(entry: Entry, size: number, extras: boolean): void {
    const writer = this.#keys.writer;
    const modeDefault = entry.kind === 'file' ? FILE_MODE_DEFAULT : SYMLINK_MODE_DEFAULT;
    const hasMode = entry.mode !== modeDefault;
    const hasNsec = entry.mtimeNsec !== 0;
    writer.u8(
      formOf(entry) |
        (hasMode ? FLAG_MODE : 0) |
        (hasNsec ? FLAG_NSEC : 0) |
        (hasPin(entry) ? FLAG_PIN : 0) |
        (extras ? FLAG_EXTRAS : 0),
    );
    if (size > 0) writer.uvarint(size);
    writer.zigzag(entry.mtimeSec - this.#mtimeBase);
    if (hasMode) writer.u16(entry.mode);
    if (hasNsec) writer.u32(entry.mtimeNsec);
  }

  /** Content and address of a file that has bytes; returns what they weigh beyond the usual. */
  #place(key: Key, file: FileEntry): number {
    const writer = this.#keys.writer;
    if (!isPinned(file.content)) this.#hash(key, 'content id', contentHash(file.content));
    const address: Address = file.address;
    switch (address.kind) {
      case 'none':
      case 'whole':
        return 0;
      case 'packed':
        this.#packed(key, address.pack, address.offset, file.size);
        return 0;
      case 'extents':
        this.#extents(key, address.extents);
        return EXTENT_WEIGHT * address.extents.length;
      case 'imported': {
        const { row, weight } = this.#sources.add(key, address.url);
        writer.uvarint(row);
        return weight + (hasPin(file) ? this.#pin(address.pin, file) : 0);
      }
      default: {
        const unknown: never = address;
        return refuseEntry(key, `has an unknown address (${JSON.stringify(unknown)})`);
      }
    }
  }

  #packed(key: Key, id: PackId, offset: number, size: number): void {
    const pack = this.#pack(key, id);
    this.#keys.writer.uvarint(pack);
    this.#keys.writer.zigzag(offset - (this.#packEnds[pack] ?? 0));
    this.#packEnds[pack] = offset + size;
  }

  #extents(key: Key, extents: readonly Extent[]): void {
    const writer = this.#keys.writer;
    writer.reserve(extents.length * EXTENT_BYTES_MAX);
    writer.uvarint(extents.length);
    for (const { source, offset, length } of extents) {
      if (source.kind === 'pack') {
        writer.u8(SOURCE.pack);
        writer.uvarint(this.#pack(key, source.pack));
      } else {
        writer.u8(isMerkle(source.content) ? SOURCE.wholeMerkle : SOURCE.wholeSha256);
        this.#hash(key, 'source', contentHash(source.content));
      }
      writer.uvarint(offset);
      writer.uvarint(length);
    }
  }

  /** Returns what it weighs. */
  #pin(pin: Pin, file: FileEntry): number {
    const writer = this.#keys.writer;
    const start = writer.length;
    writer.u8(PIN[pin.kind]);
    if (pin.kind === 'mtime') {
      writer.zigzag(pin.mtimeSec - file.mtimeSec);
      writer.u32(pin.mtimeNsec);
      return 0;
    }
    const { etag, version = '' } = pin;
    writer.text(etag, Buffer.byteLength(etag));
    writer.text(version, Buffer.byteLength(version));
    return writer.length - start;
  }

  #hash(key: Key, what: string, hash: string): void {
    if (!this.#keys.writer.hash(hash)) {
      refuseEntry(key, `has a ${what} that is not 64 hex digits: '${hash}'`);
    }
  }

  #pack(key: Key, id: PackId): number {
    const known = this.#packs.get(id);
    if (known !== undefined) return known;
    if (!/^[0-9a-f]{64}$/.test(id)) refuseEntry(key, `lies in a pack with the bad id '${id}'`);
    const added = this.#packs.size;
    this.#packs.set(id, added);
    this.#packEnds[added] = 0;
    return added;
  }
}

function isMerkle(id: ContentId): boolean {
  return id.startsWith('merkle:');
}

function formOf(entry: Entry): number {
  if (entry.kind === 'symlink') return FORM.symlink;
  switch (entry.address.kind) {
    case 'none':
      return FORM.empty;
    case 'whole':
      return FORM.whole;
    case 'packed':
      return FORM.packed;
    case 'extents':
      return FORM.extents;
    case 'imported':
      return isPinned(entry.content) ? FORM.pinned : FORM.imported;
  }
}

/** Whether the pin is stated: it is not just the entry's own modification time. */
function hasPin(entry: Entry): boolean {
  if (entry.kind === 'symlink' || entry.address.kind !== 'imported') return false;
  const { pin } = entry.address;
  if (pin.kind !== 'mtime') return true;
  return pin.mtimeSec !== entry.mtimeSec || pin.mtimeNsec !== entry.mtimeNsec;
}

function hasExtras(entry: Entry): boolean {
  if (entry.metadata !== undefined && Object.keys(entry.metadata).length > 0) return true;
  return entry.kind === 'file' && (entry.contentType !== undefined || entry.etag !== undefined);
}

/** Returns how many bytes it wrote, which is what extras weigh. */
function writeExtras(writer: ByteWriter, entry: Entry): number {
  const start = writer.length;
  const contentType = entry.kind === 'file' ? entry.contentType : undefined;
  const etag = entry.kind === 'file' ? entry.etag : undefined;
  const pairs = Object.entries(entry.metadata ?? {});
  writer.reserve(1);
  writer.u8(
    (contentType !== undefined ? EXTRA.contentType : 0) |
      (etag !== undefined ? EXTRA.etag : 0) |
      (pairs.length > 0 ? EXTRA.metadata : 0),
  );
  if (contentType !== undefined) writer.text(contentType, Buffer.byteLength(contentType));
  if (etag !== undefined) writer.text(etag, Buffer.byteLength(etag));
  if (pairs.length > 0) {
    const sorted = pairs
      .map(([name, value]) => ({ order: keyFromText(name), name, value }))
      .sort((a, b) => (a.order < b.order ? -1 : 1));
    writer.reserve(METADATA_PAIR_BYTES);
    writer.uvarint(sorted.length);
    for (const { name, value } of sorted) {
      writer.text(name, Buffer.byteLength(name));
      writer.text(value, Buffer.byteLength(value));
    }
  }
  return writer.length - start;
}
