import { isUtf8 } from 'node:buffer';
import { EXTENTS_MAX, METADATA_BYTES_MAX } from '../model/entry.js';
import { HASH_BYTES } from '../model/ids.js';
import type { ByteReader } from './bytes.js';
import { fromShortZigzag, NodeFault } from './bytes.js';
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
  MODE_MAX,
  MTIME_SEC_MAX,
  NSEC_MAX,
  PACK_END_MAX,
  PIN,
  RESTART_INTERVAL,
  SOURCE,
  SYMLINK_MODE_DEFAULT,
  TARGET_BYTES_MAX,
} from './format.js';
import type { KeyChecker } from './key-checker.js';
import type { LeafTables } from './node.js';
import type { SourceRow } from './sources.js';
import { checkSource } from './sources.js';

/** Checks the values of a leaf as they come. */
export class EntryChecker {
  readonly #reader: ByteReader;
  readonly #keys: KeyChecker;
  readonly #packs: number;
  readonly #sources: readonly SourceRow[];
  readonly #mtimeBase: number;
  readonly #packEnds: Float64Array;
  /** Bytes in the files so far. */
  totalBytes = 0;
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

  /**
   * Passes items of the most usual forms from `index` on, and notes where each starts; returns where
   * it came to. It may stop anywhere: then next() is to judge, after the key.
   */
  pass(index: number, offsets: Uint32Array): number {
    const reader = this.#reader;
    let at = index;
    for (; at < offsets.length; at++) {
      const start = reader.position;
      if (!this.#passUsual(at)) {
        reader.position = start;
        break;
      }
      offsets[at] = start;
    }
    return at;
  }

  #passUsual(index: number): boolean {
    const reader = this.#reader;
    const keys = this.#keys;
    if (!keys.peek(index)) return false;
    const flags = reader.bytes[reader.position++] as number;
    const form = flags & ~FLAG_NSEC;
    if (form !== FORM.packed && form !== FORM.whole) return false;
    const size = reader.short();
    const time = reader.short();
    if (size <= 0 || time < 0 || (index === 0 && time !== 0)) return false;
    if (Math.abs(this.#mtimeBase + fromShortZigzag(time)) > MTIME_SEC_MAX) return false;
    if (flags !== form) {
      const nsec = reader.u32();
      if (nsec === 0 || nsec > NSEC_MAX) return false;
    }
    reader.position += HASH_BYTES;
    const isRestart = index % RESTART_INTERVAL === 0;
    if (form === FORM.packed) {
      const row = reader.bytes[reader.position++] as number;
      const distance = reader.short();
      if (row >= this.#packsUsed || row >= 0x80 || distance < 0) return false;
      const offset = (isRestart ? 0 : (this.#packEnds[row] as number)) + fromShortZigzag(distance);
      if (offset < 0 || offset + size > PACK_END_MAX) return false;
      if (isRestart) this.#packEnds.fill(0);
      this.#packEnds[row] = offset + size;
    } else if (isRestart) this.#packEnds.fill(0);
    keys.take();
    this.totalBytes += size;
    return true;
  }

  /** The value behind a key that was checked. */
  next(index: number): void {
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
    this.totalBytes += size;
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
    if (kind === PIN.object) return this.#objectPin();
    if (kind !== PIN.mtime) throw new NodeFault(`an entry has a pin of kind ${kind}`, true);
    const sec = mtimeSec + reader.zigzag();
    const nsec = reader.u32();
    if (Math.abs(sec) > MTIME_SEC_MAX || nsec > NSEC_MAX) {
      throw new NodeFault('a pin is out of range');
    }
    if (sec === mtimeSec && nsec === mtimeNsec) throw new NodeFault('a pin is stated needlessly');
  }

  #objectPin(): void {
    const start = this.#reader.position;
    this.#label();
    if (this.#reader.position === start + 1) throw new NodeFault('a pin has no ETag');
    this.#label();
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
    if (length > LABEL_BYTES_MAX)
      throw new NodeFault('a content type, ETag or version is too long');
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
