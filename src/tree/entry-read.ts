import type { EntryAttributes } from '../model/cursor.js';
import type { Address, Entry, Extent, ExtentSource, ObjectPin, Pin } from '../model/entry.js';
import type { Hash, PackId } from '../model/ids.js';
import { contentIdOf, EMPTY_CONTENT, HASH_BYTES, parseContentId } from '../model/ids.js';
import { pinnedContentId } from '../model/imported.js';
import type { Key } from '../model/path.js';
import type { ByteReader } from './bytes.js';
import {
  EXTRA,
  FILE_MODE_DEFAULT,
  FLAG_EXTRAS,
  FLAG_MODE,
  FLAG_NSEC,
  FLAG_PIN,
  FORM,
  FORM_MASK,
  PIN,
  RESTART_INTERVAL,
  SOURCE,
  SYMLINK_MODE_DEFAULT,
} from './format.js';
import type { Source } from './sources.js';
import { urlOf } from './sources.js';

/** Readers of entries in leaves that decodeNode accepted; each starts at the flags of a value. */

export function readSize(reader: ByteReader): number {
  const form = reader.u8() & FORM_MASK;
  return form === FORM.empty ? 0 : reader.uvarint();
}

/** Leaves the reader behind the parts of fixed size; returns the flags. */
export function readAttributes(
  reader: ByteReader,
  mtimeBase: number,
  out: EntryAttributes,
): number {
  const flags = reader.u8();
  const form = flags & FORM_MASK;
  out.kind = form === FORM.symlink ? 'symlink' : 'file';
  out.size = form === FORM.empty ? 0 : reader.uvarint();
  out.mtimeSec = mtimeBase + reader.zigzag();
  if ((flags & FLAG_MODE) !== 0) out.mode = reader.u16();
  else out.mode = form === FORM.symlink ? SYMLINK_MODE_DEFAULT : FILE_MODE_DEFAULT;
  out.mtimeNsec = (flags & FLAG_NSEC) !== 0 ? reader.u32() : 0;
  return flags;
}

/** What an entry leaves to the leaf that holds it. */
export interface LeafContext {
  /** Seconds that modification times are relative to. */
  readonly mtimeBase: number;
  /** The pack in row `pack` of the leaf's table. */
  packId(pack: number): PackId;
  /** Row `row` of the leaf's source table. */
  source(row: number): Source;
  keyAt(index: number): Key;
  /** Byte at which item `index` starts. */
  offsetOf(index: number): number;
}

export function readEntry(reader: ByteReader, leaf: LeafContext, index: number): Entry {
  const base = { kind: 'file', size: 0, mtimeSec: 0, mtimeNsec: 0, mode: 0 } as EntryAttributes;
  const flags = readAttributes(reader, leaf.mtimeBase, base);
  const { size, mtimeSec, mtimeNsec, mode } = base;
  const form = flags & FORM_MASK;
  if (form === FORM.symlink) {
    const start = reader.skip(size);
    const target = reader.bytes.toString('utf8', start, start + size);
    const extras = (flags & FLAG_EXTRAS) !== 0 ? readExtras(reader) : {};
    return { kind: 'symlink', mtimeSec, mtimeNsec, mode, target, ...extras };
  }
  if (form === FORM.empty) {
    const extras = (flags & FLAG_EXTRAS) !== 0 ? readExtras(reader) : {};
    const address: Address = { kind: 'none' };
    return {
      kind: 'file',
      size,
      mtimeSec,
      mtimeNsec,
      mode,
      content: EMPTY_CONTENT,
      address,
      ...extras,
    };
  }
  if (form === FORM.pinned) {
    const address = readImported(reader, leaf, index, flags, base);
    const content = pinnedContentId(address.url, size, address.pin);
    const extras = (flags & FLAG_EXTRAS) !== 0 ? readExtras(reader) : {};
    return { kind: 'file', size, mtimeSec, mtimeNsec, mode, content, address, ...extras };
  }
  const content = contentIdOf(size, readHash(reader));
  const address =
    form === FORM.imported
      ? readImported(reader, leaf, index, flags, base)
      : readAddress(reader, leaf, index, form);
  const file = { kind: 'file', size, mtimeSec, mtimeNsec, mode, content, address } as const;
  return (flags & FLAG_EXTRAS) !== 0 ? { ...file, ...readExtras(reader) } : file;
}

function readHash(reader: ByteReader): Hash {
  const start = reader.skip(HASH_BYTES);
  return reader.bytes.toString('hex', start, start + HASH_BYTES) as Hash;
}

function readAddress(reader: ByteReader, leaf: LeafContext, index: number, form: number): Address {
  switch (form) {
    case FORM.packed: {
      const pack = reader.uvarint();
      const delta = reader.zigzag();
      const behind = reader.position;
      const offset = packEndBefore(reader, leaf, index, pack) + delta;
      reader.position = behind;
      return { kind: 'packed', pack: leaf.packId(pack), offset };
    }
    case FORM.extents:
      return { kind: 'extents', extents: readExtents(reader, leaf) };
    default:
      return { kind: 'whole' };
  }
}

function readImported(
  reader: ByteReader,
  leaf: LeafContext,
  index: number,
  flags: number,
  { mtimeSec, mtimeNsec }: EntryAttributes,
): Extract<Address, { kind: 'imported' }> {
  const source = leaf.source(reader.uvarint());
  let pin: Pin = { kind: 'mtime', mtimeSec, mtimeNsec };
  if ((flags & FLAG_PIN) !== 0) {
    const isObject = reader.u8() === PIN.object;
    pin = isObject
      ? readObjectPin(reader)
      : { kind: 'mtime', mtimeSec: mtimeSec + reader.zigzag(), mtimeNsec: reader.u32() };
  }
  const behind = reader.position;
  const url = urlOf(source, leaf.keyAt(index));
  reader.position = behind;
  return { kind: 'imported', url, pin };
}

function readObjectPin(reader: ByteReader): ObjectPin {
  const [etag, version] = [readText(reader), readText(reader)];
  return { kind: 'object', etag, ...(version === '' ? {} : { version }) };
}

/** Where the last file in `pack` before item `index` ends, since the restart point. */
function packEndBefore(reader: ByteReader, leaf: LeafContext, index: number, pack: number): number {
  let end = 0;
  for (let i = index - (index % RESTART_INTERVAL); i < index; i++) {
    reader.position = leaf.offsetOf(i);
    reader.uvarint();
    const suffix = reader.uvarint();
    reader.skip(suffix);
    const flags = reader.u8();
    if ((flags & FORM_MASK) !== FORM.packed) continue;
    const size = reader.uvarint();
    reader.uvarint();
    reader.skip(
      ((flags & FLAG_MODE) !== 0 ? 2 : 0) + ((flags & FLAG_NSEC) !== 0 ? 4 : 0) + HASH_BYTES,
    );
    if (reader.uvarint() !== pack) continue;
    end += reader.zigzag() + size;
  }
  return end;
}

function readExtents(reader: ByteReader, leaf: LeafContext): Extent[] {
  const extents: Extent[] = [];
  for (let left = reader.uvarint(); left > 0; left--) {
    const source = readSource(reader, leaf);
    extents.push({ source, offset: reader.uvarint(), length: reader.uvarint() });
  }
  return extents;
}

function readSource(reader: ByteReader, leaf: LeafContext): ExtentSource {
  const tag = reader.u8();
  if (tag === SOURCE.pack) return { kind: 'pack', pack: leaf.packId(reader.uvarint()) };
  const prefix = tag === SOURCE.wholeMerkle ? 'merkle:' : 'sha256:';
  return { kind: 'whole', content: parseContentId(prefix + readHash(reader)) };
}

interface Extras {
  contentType?: string;
  etag?: string;
  metadata?: Record<string, string>;
}

function readExtras(reader: ByteReader): Extras {
  const extras: Extras = {};
  const present = reader.u8();
  if ((present & EXTRA.contentType) !== 0) extras.contentType = readText(reader);
  if ((present & EXTRA.etag) !== 0) extras.etag = readText(reader);
  if ((present & EXTRA.metadata) !== 0) {
    const pairs: [string, string][] = [];
    for (let left = reader.uvarint(); left > 0; left--) {
      pairs.push([readText(reader), readText(reader)]);
    }
    extras.metadata = Object.fromEntries(pairs);
  }
  return extras;
}

function readText(reader: ByteReader): string {
  const length = reader.uvarint();
  const start = reader.skip(length);
  return reader.bytes.toString('utf8', start, start + length);
}
