import type { Entry } from '../model/entry.js';
import { importedUrl } from '../model/imported.js';
import { keyFromText, keyToText, type Key } from '../model/path.js';
import type { ViewSource } from '../repo/view.js';

/** Extended attributes in listing order: names as keys (one char a byte), values as bytes. */
export type Xattrs = ReadonlyMap<Key, Uint8Array>;

/** Linux's limits on one name, one value and one list of names, in bytes. */
const NAME_BYTES_MAX = 255;
const VALUE_BYTES_MAX = 65_536;
const LIST_BYTES_MAX = 65_536;

const PROVENANCE = 'user.tarn.';
const COMMIT_METADATA = 'user.tarn.meta.';
const ENTRY_METADATA = 'user.meta.';
const MIME_TYPE = 'user.mime_type';

/**
 * True for names that can be there at all. Programs ask for others (security.selinux, POSIX ACLs)
 * file by file, and stop when they hear that the file system does not support them.
 */
export function isOurs(name: Key): boolean {
  return name.startsWith('user.');
}

/**
 * The name that an attribute has in an entry's metadata; undefined for the content type. An attribute
 * that programs gave a name of their own keeps it, so that it shows as they wrote it.
 */
export function metadataName(xattr: Key): string | undefined {
  const name = keyToText(xattr);
  if (name === MIME_TYPE) return undefined;
  return name.startsWith(ENTRY_METADATA) ? name.slice(ENTRY_METADATA.length) : name;
}

/** Metadata whose name is already that of an attribute, and of none that has a meaning here. */
function isOwnName(name: string): boolean {
  if (!name.startsWith('user.') || name === MIME_TYPE) return false;
  return !name.startsWith(PROVENANCE) && !name.startsWith(ENTRY_METADATA);
}

export function rootXattrs(source: ViewSource): Xattrs {
  const { commit } = source;
  const list = new XattrList();
  addSource(list, source);
  list.add(`${PROVENANCE}tree`, commit.tree);
  list.add(`${PROVENANCE}author`, commit.author);
  list.add(`${PROVENANCE}date`, new Date(commit.dateMs).toISOString());
  list.add(`${PROVENANCE}message`, commit.message);
  list.addRecord(COMMIT_METADATA, commit.metadata);
  return list.values;
}

export function directoryXattrs(source: ViewSource, prefix: Key): Xattrs {
  const list = new XattrList();
  addSource(list, source);
  list.addBytes(`${PROVENANCE}path`, Buffer.from(prefix.slice(0, -1), 'latin1'));
  return list.values;
}

/** A symlink has none: Linux refuses `user.` attributes on symlinks before it asks us. */
export function entryXattrs(source: ViewSource, key: Key, entry: Entry): Xattrs {
  const list = new XattrList();
  if (entry.kind === 'symlink') return list.values;
  addSource(list, source);
  list.addBytes(`${PROVENANCE}path`, Buffer.from(key, 'latin1'));
  list.add(`${PROVENANCE}content`, entry.content);
  const importedFrom = importedUrl(entry);
  if (importedFrom !== undefined) list.add(`${PROVENANCE}imported`, importedFrom);
  if (entry.contentType !== undefined) list.add(MIME_TYPE, entry.contentType);
  for (const [name, value] of Object.entries(entry.metadata ?? {})) {
    list.add(isOwnName(name) ? name : `${ENTRY_METADATA}${name}`, value);
  }
  return list.values;
}

function addSource(list: XattrList, source: ViewSource): void {
  list.add(`${PROVENANCE}repository`, source.repository);
  list.add(`${PROVENANCE}ref`, source.ref);
  list.add(`${PROVENANCE}commit`, source.commitId);
}

/** Leaves out what Linux could not hand over: one value or name too long must not hide the rest. */
class XattrList {
  readonly values = new Map<Key, Uint8Array>();
  #listBytes = 0;

  add(name: string, value: string): void {
    this.addBytes(name, Buffer.from(value, 'utf8'));
  }

  addBytes(name: string, value: Uint8Array): void {
    const key = keyFromText(name);
    const listBytes = this.#listBytes + key.length + 1;
    if (key.length > NAME_BYTES_MAX || key.includes('\0')) return;
    if (value.length > VALUE_BYTES_MAX || listBytes > LIST_BYTES_MAX) return;
    this.#listBytes = listBytes;
    this.values.set(key, value);
  }

  addRecord(prefix: string, record: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(record)) this.add(`${prefix}${name}`, value);
  }
}
