import { TarnError } from '../util/errors.js';
import type { Address, Entry, Extent, FileEntry, SymlinkEntry } from '../model/entry.js';
import { EXTENTS_MAX, METADATA_BYTES_MAX } from '../model/entry.js';
import { BLOCK_BYTES, EMPTY_CONTENT } from '../model/ids.js';
import { isPinned, URL_BYTES_MAX } from '../model/imported.js';
import type { Key } from '../model/path.js';
import { keyToText, PATH_BYTES_MAX } from '../model/path.js';
import {
  LABEL_BYTES_MAX,
  MODE_MAX,
  MTIME_SEC_MAX,
  NSEC_MAX,
  PACK_END_MAX,
  TARGET_BYTES_MAX,
} from './format.js';

type Imported = Extract<Address, { kind: 'imported' }>;

export function refuseEntry(key: Key, rule: string): never {
  throw new TarnError('invalid', `the entry at '${keyToText(key)}' ${rule}`);
}

/** @throws TarnError invalid, naming the key */
export function checkKey(key: Key): void {
  if (key.length === 0) throw new TarnError('invalid', 'an entry has an empty path');
  if (key.length > PATH_BYTES_MAX) {
    const start = keyToText(key).slice(0, 80);
    throw new TarnError(
      'invalid',
      `the path '${start}…' is ${key.length} bytes long, at most ${PATH_BYTES_MAX} are allowed`,
    );
  }
}

/**
 * The rules that an entry must keep to be written into a tree. Hashes are checked where they are
 * written.
 * @throws TarnError invalid, naming the key and the rule
 */
export function checkEntry(key: Key, entry: Entry): void {
  checkTime(key, entry.mtimeSec, entry.mtimeNsec);
  if (!isWithin(entry.mode, MODE_MAX)) {
    refuseEntry(key, `has the mode ${entry.mode}, not permission bits of 0 to 0o7777`);
  }
  if (entry.metadata !== undefined) checkMetadata(key, entry.metadata);
  switch (entry.kind) {
    case 'file':
      return checkFile(key, entry);
    case 'symlink':
      return checkSymlink(key, entry);
    default: {
      const unknown: never = entry;
      refuseEntry(key, `is of the unknown kind '${String((unknown as Entry).kind)}'`);
    }
  }
}

function checkTime(key: Key, sec: number, nsec: number): void {
  if (!Number.isSafeInteger(sec) || sec > MTIME_SEC_MAX || sec < -MTIME_SEC_MAX) {
    refuseEntry(key, `has the modification time ${sec}, not whole seconds within 2^50 of 1970`);
  }
  if (!isWithin(nsec, NSEC_MAX)) {
    refuseEntry(key, `has ${nsec} nanoseconds, not 0 to ${NSEC_MAX}`);
  }
}

function checkSymlink(key: Key, entry: SymlinkEntry): void {
  checkText(key, 'target', entry.target, TARGET_BYTES_MAX);
  if (entry.target === '') refuseEntry(key, 'is a symlink without a target');
}

function checkFile(key: Key, entry: FileEntry): void {
  const { size, content, address } = entry;
  if (!isWithin(size, Number.MAX_SAFE_INTEGER)) {
    refuseEntry(key, `has the size ${size}, not a whole number of bytes from 0`);
  }
  if (entry.contentType !== undefined) {
    checkText(key, 'content type', entry.contentType, LABEL_BYTES_MAX);
  }
  if (entry.etag !== undefined) checkText(key, 'ETag', entry.etag, LABEL_BYTES_MAX);
  if ((size === 0) !== (address.kind === 'none')) {
    refuseEntry(key, `has ${size} bytes at an address of kind '${address.kind}'`);
  }
  if (size === 0) {
    if (content !== EMPTY_CONTENT) refuseEntry(key, `is empty, but its content is ${content}`);
    return;
  }
  if (address.kind === 'imported') checkImported(key, address);
  else if (isPinned(content)) refuseEntry(key, `is not imported, but its content is ${content}`);
  if (!isPinned(content) && !content.startsWith(size <= BLOCK_BYTES ? 'sha256:' : 'merkle:')) {
    refuseEntry(key, `has ${size} bytes, which the content id ${content} cannot name`);
  }
  if (address.kind === 'packed') checkPacked(key, address.offset, size);
  if (address.kind === 'extents') checkExtents(key, address.extents, size);
}

function checkImported(key: Key, { url, pin }: Imported): void {
  checkText(key, 'URL', url, URL_BYTES_MAX);
  if (url === '') refuseEntry(key, 'is imported from nowhere');
  switch (pin.kind) {
    case 'mtime':
      return checkTime(key, pin.mtimeSec, pin.mtimeNsec);
    case 'object':
      checkText(key, 'ETag', pin.etag, LABEL_BYTES_MAX);
      if (pin.etag === '') refuseEntry(key, 'is pinned by an empty ETag');
      if (pin.version === '') refuseEntry(key, 'is pinned by an empty version');
      return checkText(key, 'version', pin.version ?? '', LABEL_BYTES_MAX);
    default: {
      const unknown: never = pin;
      refuseEntry(key, `has an unknown pin (${JSON.stringify(unknown)})`);
    }
  }
}

function checkPacked(key: Key, offset: number, size: number): void {
  if (!isWithin(offset, PACK_END_MAX) || offset + size > PACK_END_MAX) {
    refuseEntry(key, `has ${size} bytes at ${offset} of a pack, not within 0 to 2^51`);
  }
}

function checkExtents(key: Key, extents: readonly Extent[], size: number): void {
  if (extents.length === 0 || extents.length > EXTENTS_MAX) {
    refuseEntry(key, `has ${extents.length} extents, not 1 to ${EXTENTS_MAX}`);
  }
  let sum = 0;
  for (const { offset, length } of extents) {
    if (!isWithin(offset, Number.MAX_SAFE_INTEGER) || !isWithin(length, size) || length === 0) {
      refuseEntry(key, `has an extent of ${length} bytes at ${offset}`);
    }
    if (!Number.isSafeInteger(offset + length)) {
      refuseEntry(key, `has an extent that ends beyond 2^53 - 1`);
    }
    sum += length;
  }
  if (sum !== size) refuseEntry(key, `has ${size} bytes, but its extents hold ${sum}`);
}

function checkMetadata(key: Key, metadata: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') refuseEntry(key, `has metadata '${name}' that is not text`);
    if (name === '') refuseEntry(key, 'has metadata without a name');
    if (!name.isWellFormed() || !value.isWellFormed()) {
      refuseEntry(key, `has metadata '${name}' that is not valid Unicode`);
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (bytes > METADATA_BYTES_MAX) {
    refuseEntry(key, `has ${bytes} bytes of metadata, at most ${METADATA_BYTES_MAX} are allowed`);
  }
}

function checkText(key: Key, what: string, text: string, bytesMax: number): void {
  if (!text.isWellFormed()) refuseEntry(key, `has a ${what} that is not valid Unicode`);
  const bytes = Buffer.byteLength(text);
  if (bytes > bytesMax) {
    refuseEntry(key, `has a ${what} of ${bytes} bytes, at most ${bytesMax} are allowed`);
  }
}

function isWithin(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}
