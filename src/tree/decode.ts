import { isUtf8 } from 'node:buffer';
import { TarnError } from '../util/errors.js';
import { EXTENTS_MAX, METADATA_BYTES_MAX } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import { HASH_BYTES } from '../model/ids.js';
import { PATH_BYTES_MAX } from '../model/path.js';
import { asBuffer, ByteReader, fromZigzag, NodeFault } from './bytes.js';
import {
  EXTRA,
  EXTRAS_UNKNOWN,
  FILE_MODE_DEFAULT,
  FLAG_EXTRAS,
  FLAG_MODE,
  FLAG_NSEC,
  FLAG_PIN,
  FLAGS_UNKNOWN,
  FORM,
  FORM_MASK,
  LABEL_BYTES_MAX,
  LEVEL_MAX,
  MAGIC,
  MODE_MAX,
  MTIME_SEC_MAX,
  NODE_BYTES_MAX,
  NSEC_MAX,
  PACK_END_MAX,
  PIN,
  RESTART_INTERVAL,
  SOURCE,
  SYMLINK_MODE_DEFAULT,
  TARGET_BYTES_MAX,
  VERSION,
} from './format.js';
import type { LeafTables, NodeWhere, TreeNode } from './node.js';
import { InnerNode, LeafNode } from './node.js';
import type { SourceRow } from './sources.js';
import { checkSource, readSources } from './sources.js';

/**
 * Decodes a node whose bytes hash to `id`, and checks it whole: only the canonical bytes of entries
 * that keep the rules are accepted, so reading the node cannot fail. What is left to verifyTree is
 * where nodes end, which depends on the tree around them.
 * @param where what the store knows of where the node and its children lie
 * @throws TarnError corrupt naming the node; unsupported when a newer tarn wrote it
 */
export function decodeNode(id: NodeId, bytes: Uint8Array, where: NodeWhere = {}): TreeNode {
  const buffer = asBuffer(bytes);
  try {
    return readNode(id, buffer, where);
  } catch (error) {
    if (!(error instanceof NodeFault)) throw error;
    throw error.newer ? newerNode(id, error.message) : corruptNode(id, error.message);
  }
}

export function corruptNode(id: NodeId, problem: string): TarnError {
  return new TarnError('corrupt', `tree node ${id} is corrupt: ${problem}`, {
    hint: 'restore this object from a copy of the repository',
  });
}

function newerNode(id: NodeId, problem: string): TarnError {
  return new TarnError('unsupported', `tree node ${id} was written by a newer tarn: ${problem}`, {
    hint: 'install a newer tarn to read it',
  });
}

interface NodeOrigin extends NodeWhere {
  readonly id: NodeId;
}

interface Header {
  readonly level: number;
  readonly packs: number;
  readonly sources: number;
  readonly count: number;
  readonly entries: number;
  readonly totalBytes: number;
}

function readNode(id: NodeId, bytes: Buffer, where: NodeWhere): TreeNode {
  if (bytes.length > NODE_BYTES_MAX) throw new NodeFault(`it is ${bytes.length} bytes long`);
  const reader = new ByteReader(bytes);
  const header = readHeader(reader);
  const origin = { id, place: where.place, places: where.places };
  const node =
    header.level === 0 ? readLeaf(origin, reader, header) : readInner(origin, reader, header);
  if (reader.position !== bytes.length) {
    throw new NodeFault(`${bytes.length - reader.position} bytes follow its last item`);
  }
  return node;
}

function readHeader(reader: ByteReader): Header {
  if (reader.u32() !== MAGIC) throw new NodeFault('it does not start as a tree node does');
  const version = reader.u8();
  if (version > VERSION) throw new NodeFault(`its format version is ${version}`, true);
  if (version !== VERSION) throw new NodeFault(`its format version is ${version}`);
  const level = reader.u8();
  if (level > LEVEL_MAX) throw new NodeFault(`its level is ${level}`);
  const packs = reader.u16();
  const sources = reader.u16();
  const count = reader.u32();
  const entries = reader.u53();
  const totalBytes = reader.u53();
  if (count > reader.bytes.length) throw new NodeFault(`it claims ${count} items`);
  return { level, packs, sources, count, entries, totalBytes };
}

/** A node is decoded before anyone else can start on another one. */
const LAST_KEY = Buffer.allocUnsafeSlow(PATH_BYTES_MAX);

/** Checks front-coded keys as they come. */
class KeyChecker {
  readonly #reader: ByteReader;
  /** The key of the item: its first `length` bytes. */
  readonly last = LAST_KEY;
  length = 0;

  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  next(index: number): void {
    const reader = this.#reader;
    const shared = reader.uvarint();
    const suffix = reader.uvarint();
    const length = shared + suffix;
    if (suffix === 0 || length > PATH_BYTES_MAX) throw new NodeFault('a key has a bad length');
    const start = reader.skip(suffix);
    if (index % RESTART_INTERVAL === 0) {
      if (shared !== 0) throw new NodeFault('a restart point shares bytes of a key');
      if (index > 0) this.#checkWhole(start, suffix);
    } else {
      if (shared > this.length) throw new NodeFault('a key shares more bytes than there are');
      const next = reader.bytes[start] as number;
      if (shared < this.length && next <= (this.last[shared] as number)) {
        throw new NodeFault('its keys do not ascend, or share less than they could');
      }
    }
    const last = this.last;
    for (let i = 0; i < suffix; i++) last[shared + i] = reader.bytes[start + i] as number;
    this.length = length;
  }

  #checkWhole(start: number, length: number): void {
    const last = this.last;
    if (last.compare(this.#reader.bytes, start, start + length, 0, this.length) >= 0) {
      throw new NodeFault('its keys do not ascend');
    }
  }
}

function readInner(origin: NodeOrigin, reader: ByteReader, header: Header): InnerNode {
  const { level, packs, sources, count } = header;
  if (packs + sources !== 0) throw new NodeFault('an inner node has packs or sources');
  if (count === 0) throw new NodeFault('an inner node has no children');
  const offsets = new Uint32Array(count);
  const entriesBefore = new Float64Array(count + 1);
  const bytesBefore = new Float64Array(count + 1);
  const keys = new KeyChecker(reader);
  let entries = 0;
  let totalBytes = 0;
  for (let i = 0; i < count; i++) {
    offsets[i] = reader.position;
    keys.next(i);
    reader.skip(HASH_BYTES);
    const childEntries = reader.uvarint();
    if (childEntries === 0) throw new NodeFault('it points at an empty node');
    entries += childEntries;
    totalBytes += reader.uvarint();
    entriesBefore[i + 1] = entries;
    bytesBefore[i + 1] = totalBytes;
  }
  checkTotals(header, entries, totalBytes);
  const known = origin.places?.count ?? count;
  if (known !== count)
    throw new NodeFault(`${packOf(origin)} has places for ${known} of its ${count} children`);
  const parts = { ...origin, bytes: reader.bytes, level, entries, totalBytes, offsets };
  return new InnerNode(parts, entriesBefore, bytesBefore);
}

function packOf({ place }: NodeOrigin): string {
  return `tree pack ${place?.pack.id ?? 'that is being written'}`;
}

function checkTotals(header: Header, entries: number, totalBytes: number): void {
  if (header.entries !== entries || header.totalBytes !== totalBytes) {
    throw new NodeFault(
      `it claims ${header.entries} entries of ${header.totalBytes} bytes, ` +
        `but holds ${entries} of ${totalBytes}`,
    );
  }
}

function readLeaf(origin: NodeOrigin, reader: ByteReader, header: Header): LeafNode {
  const { packs, count } = header;
  const mtimeBase = fromZigzag(reader.u53());
  if (Math.abs(mtimeBase) > MTIME_SEC_MAX) {
    throw new NodeFault('its base of modification times is out of range');
  }
  const packIds = new Set<string>();
  for (let i = 0; i < packs; i++) {
    const start = reader.skip(HASH_BYTES);
    packIds.add(reader.bytes.toString('latin1', start, start + HASH_BYTES));
  }
  if (packIds.size !== packs) throw new NodeFault('it names a pack twice');
  const sources = readSources(reader, header.sources);
  const offsets = new Uint32Array(count);
  const keys = new KeyChecker(reader);
  const values = new EntryChecker(reader, keys, { packs, sources, mtimeBase });
  let totalBytes = 0;
  for (let i = 0; i < count; i++) {
    offsets[i] = reader.position;
    keys.next(i);
    totalBytes += values.next(i);
  }
  values.end();
  checkTotals(header, count, totalBytes);
  if (origin.places !== undefined)
    throw new NodeFault(`${packOf(origin)} has places for children of this leaf`);
  const parts = { ...origin, bytes: reader.bytes, level: 0, entries: count, totalBytes, offsets };
  return new LeafNode(parts, { packs, sources, mtimeBase });
}

/** Checks the values of a leaf as they come. */
class EntryChecker {
  readonly #reader: ByteReader;
  readonly #keys: KeyChecker;
  readonly #packs: number;
  readonly #sources: readonly SourceRow[];
  readonly #mtimeBase: number;
  readonly #packEnds: Float64Array;
  /** Rows of the tables that were used, which must be in order of their first use. */
  #packsUsed = 0;
  #sourcesUsed = 0;

  constructor(reader: ByteReader, keys: KeyChecker, { packs, sources, mtimeBase }: LeafTables) {
    this.#reader = reader;
    this.#keys = keys;
    this.#packs = packs;
    this.#sources = sources;
    this.#mtimeBase = mtimeBase;
    this.#packEnds = new Float64Array(packs);
  }

  /** Returns the entry's size. */
  next(index: number): number {
    const reader = this.#reader;
    if (index % RESTART_INTERVAL === 0) this.#packEnds.fill(0);
    const flags = reader.u8();
    const form = flags & FORM_MASK;
    if ((flags & FLAGS_UNKNOWN) !== 0 || form > FORM.imported) {
      throw new NodeFault(`an entry has the flags ${flags}`, true);
    }
    const size = form === FORM.empty ? 0 : reader.uvarint();
    if (form !== FORM.empty && size === 0) throw new NodeFault('an entry of no bytes has bytes');
    const mtimeSec = this.#mtimeBase + reader.zigzag();
    if (Math.abs(mtimeSec) > MTIME_SEC_MAX || (index === 0 && mtimeSec !== this.#mtimeBase)) {
      throw new NodeFault('a modification time is out of range');
    }
    if ((flags & FLAG_MODE) !== 0) {
      const mode = reader.u16();
      const isDefault = mode === (form === FORM.symlink ? SYMLINK_MODE_DEFAULT : FILE_MODE_DEFAULT);
      if (mode > MODE_MAX || isDefault) throw new NodeFault('a mode is out of range');
    }
    let nsec = 0;
    if ((flags & FLAG_NSEC) !== 0) {
      nsec = reader.u32();
      if (nsec === 0 || nsec > NSEC_MAX) throw new NodeFault('nanoseconds are out of range');
    }
    if ((flags & FLAG_PIN) !== 0 && form !== FORM.pinned && form !== FORM.imported) {
      throw new NodeFault('an entry has a pin, but was not imported');
    }
    if (form === FORM.symlink) {
      if (size > TARGET_BYTES_MAX) throw new NodeFault('a symlink has too long a target');
      this.#text(size);
    } else if (form !== FORM.empty) {
      if (form !== FORM.pinned) reader.skip(HASH_BYTES);
      if (form === FORM.packed) this.#packed(size);
      else if (form === FORM.extents) this.#extents(size);
      else if (form >= FORM.pinned) this.#source();
    }
    if ((flags & FLAG_PIN) !== 0) this.#pin(mtimeSec, nsec);
    if ((flags & FLAG_EXTRAS) !== 0) this.#extras(form === FORM.symlink);
    return size;
  }

  end(): void {
    if (this.#packsUsed !== this.#packs) throw new NodeFault('it names packs that it never uses');
    if (this.#sourcesUsed !== this.#sources.length) {
      throw new NodeFault('it names sources that it never uses');
    }
  }

  #source(): void {
    const index = this.#reader.uvarint();
    const row = this.#sources[index];
    if (row === undefined || index > this.#sourcesUsed) {
      throw new NodeFault('an entry has a source that is not next in its table');
    }
    if (index === this.#sourcesUsed) this.#sourcesUsed++;
    checkSource(this.#reader.bytes, row, this.#keys.last, this.#keys.length);
  }

  /** Of an entry with this modification time, which is no pin to be stated. */
  #pin(mtimeSec: number, mtimeNsec: number): void {
    const reader = this.#reader;
    const kind = reader.u8();
    if (kind !== PIN.mtime) throw new NodeFault(`an entry has a pin of kind ${kind}`, true);
    const sec = mtimeSec + reader.zigzag();
    const nsec = reader.u32();
    if (Math.abs(sec) > MTIME_SEC_MAX || nsec > NSEC_MAX) {
      throw new NodeFault('a pin is out of range');
    }
    if (sec === mtimeSec && nsec === mtimeNsec) throw new NodeFault('a pin is stated needlessly');
  }

  #pack(): number {
    const pack = this.#reader.uvarint();
    if (pack > this.#packsUsed || pack >= this.#packs) {
      throw new NodeFault('an entry lies in a pack that is not next in its table');
    }
    if (pack === this.#packsUsed) this.#packsUsed++;
    return pack;
  }

  #packed(size: number): void {
    const pack = this.#pack();
    const offset = (this.#packEnds[pack] as number) + this.#reader.zigzag();
    const end = offset + size;
    if (offset < 0 || end > PACK_END_MAX) throw new NodeFault('a pack offset is out of range');
    this.#packEnds[pack] = end;
  }

  #extents(size: number): void {
    const reader = this.#reader;
    const count = reader.uvarint();
    if (count === 0 || count > EXTENTS_MAX) throw new NodeFault(`an entry has ${count} extents`);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const tag = reader.u8();
      if (tag === SOURCE.pack) this.#pack();
      else if (tag <= SOURCE.wholeMerkle) reader.skip(HASH_BYTES);
      else throw new NodeFault(`an extent has a source of kind ${tag}`, true);
      const offset = reader.uvarint();
      const length = reader.uvarint();
      if (length === 0 || !Number.isSafeInteger(offset + length)) {
        throw new NodeFault('an extent is out of range');
      }
      sum += length;
    }
    if (sum !== size) throw new NodeFault('extents do not add up to the size of their file');
  }

  #extras(symlink: boolean): void {
    const reader = this.#reader;
    const present = reader.u8();
    if ((present & EXTRAS_UNKNOWN) !== 0) throw new NodeFault('an entry has unknown extras', true);
    const labels = present & (EXTRA.contentType | EXTRA.etag);
    if (present === 0 || (symlink && labels !== 0)) throw new NodeFault('an entry has bad extras');
    if ((labels & EXTRA.contentType) !== 0) this.#label();
    if ((labels & EXTRA.etag) !== 0) this.#label();
    if ((present & EXTRA.metadata) !== 0) this.#metadata();
  }

  #label(): void {
    const length = this.#reader.uvarint();
    if (length > LABEL_BYTES_MAX) throw new NodeFault('a content type or ETag is too long');
    this.#text(length);
  }

  #metadata(): void {
    const reader = this.#reader;
    const bytes = reader.bytes;
    const count = reader.uvarint();
    if (count === 0) throw new NodeFault('an entry has metadata of no items');
    let left = METADATA_BYTES_MAX;
    let lastStart = 0;
    let lastEnd = 0;
    for (let i = 0; i < count; i++) {
      const length = reader.uvarint();
      const start = this.#text(length);
      if (length === 0 || bytes.compare(bytes, lastStart, lastEnd, start, start + length) <= 0) {
        throw new NodeFault('metadata names do not ascend');
      }
      lastStart = start;
      lastEnd = start + length;
      const valueLength = reader.uvarint();
      this.#text(valueLength);
      left -= length + valueLength;
      if (left < 0) throw new NodeFault('an entry has too much metadata');
    }
  }

  /** Steps over UTF-8 and returns where it starts. */
  #text(length: number): number {
    const start = this.#reader.skip(length);
    if (!isUtf8(this.#reader.bytes.subarray(start, start + length))) {
      throw new NodeFault('a text is not valid UTF-8');
    }
    return start;
  }
}
