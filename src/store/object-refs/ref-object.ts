import { sha256 } from '../../model/ids.js';
import type { Hash } from '../../model/ids.js';
import type { Json, JsonObject } from '../../util/canonical-json.js';
import { canonicalJson } from '../../util/canonical-json.js';
import { TarnError } from '../../util/errors.js';
import type { RecordKind } from '../ref-store.js';
import * as read from './ref-values.js';

/** The object of one name, and older changes of it: canonical bytes, repo/FORMAT.md. */
export interface RefObject {
  readonly name: string;
  /** Newest first; the first one says where the ref is. */
  readonly changes: readonly StoredChange[];
  /** Where the changes before those are, newest first; there are none without `changes`. */
  readonly older: readonly PastLink[];
  /** A renaming to this name, which counts once the other name's newest change has its id. */
  readonly pending?: PendingRename;
  /** Sets the bytes apart from those before, where nothing else does. */
  readonly fence?: string;
  /** Of what the newest change points to; see Attachments. */
  readonly attached?: string;
}

export interface StoredChange {
  /** From 1, without gaps, over all changes of the name, whatever their kinds. */
  readonly number: number;
  /** Random, so that a writer finds its own change again; both sides of a renaming share it. */
  readonly id: string;
  readonly kind: RecordKind;
  readonly expected?: Hash;
  readonly next?: Hash;
  /** The other side of a renaming: its name, and the number that the change has there. */
  readonly renamed?: { readonly name: string; readonly number: number };
  readonly by: string;
  /** Never falls as numbers rise. */
  readonly atMs: number;
  readonly why: string;
}

export interface PendingRename {
  /** What becomes the newest change of this name. */
  readonly come: StoredChange;
  /** That of the other name's object, over which alone the renaming can still be done. */
  readonly etag: string;
}

/** An object of older changes: all from `first` to `last`, themselves or by further links. */
export interface PastLink {
  readonly hash: Hash;
  /** 0 where the object holds changes; one more than that of the links in it otherwise. */
  readonly level: number;
  readonly first: number;
  readonly last: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export type Past =
  | { readonly name: string; readonly changes: readonly StoredChange[] }
  | { readonly name: string; readonly links: readonly PastLink[] };

/** Of UTF-8. */
export const ATTACHED_BYTES_MAX = 16_384;
/** Changes in an object. */
export const CHANGES_MAX = 32;
/** Links of one level in an object; one more makes a link of the next level of them. */
export const LINKS_MAX = 16;
const LEVEL_MAX = 12;

const REF_MAGIC = 'tarn-ref';
const PAST_MAGIC = 'tarn-past';
const VERSION = 1;
/** Of a ref with what version 1 does not know. */
const ATTACHED_VERSION = 2;
const HINT =
  'restore this object from an earlier version or a copy of the bucket; the commits themselves are not in it';

export function encodeRef({ name, changes, older, pending, fence, attached }: RefObject): Buffer {
  const body = {
    name,
    changes: changes.map(changeJson),
    older: older.map(linkJson),
    ...(pending === undefined
      ? {}
      : { pending: { come: changeJson(pending.come), etag: pending.etag } }),
    ...(fence === undefined ? {} : { fence }),
    ...(attached === undefined ? {} : { attached }),
  };
  const version = attached === undefined ? VERSION : ATTACHED_VERSION;
  const text = `${REF_MAGIC} ${version}\n${canonicalJson(body)}\n`;
  return Buffer.from(`${text}${sha256(Buffer.from(text))}\n`);
}

/**
 * @param what the object, for messages
 * @throws TarnError corrupt, unsupported when a newer tarn wrote it
 */
export function decodeRef(bytes: Uint8Array, name: string, what: string): RefObject {
  const form = { magic: REF_MAGIC, versionMax: ATTACHED_VERSION, encode: encodeRef };
  return decode(bytes, what, form, (value) => {
    const optional = ['pending', 'fence', 'attached'];
    const members = read.members(value, ['name', 'changes', 'older'], optional);
    const changes = readChanges(members['changes'], 0);
    const older = readLinks(members['older']);
    const oldest = changes.at(-1);
    if (oldest === undefined ? older.length > 0 : oldest.number !== (older[0]?.last ?? 0) + 1) {
      throw new Error('changes are missing in it');
    }
    const { pending, fence, attached } = members;
    if (attached !== undefined && changes[0]?.next === undefined) {
      throw new Error('something is attached to nothing');
    }
    return {
      name: read.same(members['name'], name),
      changes,
      older,
      ...(pending === undefined ? {} : { pending: readPending(pending) }),
      ...(fence === undefined ? {} : { fence: read.id(fence) }),
      ...(attached === undefined ? {} : { attached: read.text(attached, ATTACHED_BYTES_MAX) }),
    };
  });
}

export function encodePast(past: Past): Buffer {
  const body: JsonObject =
    'changes' in past
      ? { name: past.name, changes: past.changes.map(changeJson) }
      : { name: past.name, links: past.links.map(linkJson) };
  return Buffer.from(`${PAST_MAGIC} ${VERSION}\n${canonicalJson(body)}\n`);
}

/** @throws TarnError corrupt when it is not what the link says, unsupported */
export function decodePast(bytes: Uint8Array, name: string, link: PastLink, what: string): Past {
  const form = { magic: PAST_MAGIC, versionMax: VERSION, encode: encodePast };
  const past = decode<Past>(bytes, what, form, (value) => {
    if (sha256(bytes) !== link.hash) throw new Error('its bytes do not have the hash in its name');
    if (link.level === 0) {
      const members = read.members(value, ['name', 'changes'], []);
      const changes = readChanges(members['changes'], 1);
      return { name: read.same(members['name'], name), changes };
    }
    const members = read.members(value, ['name', 'links'], []);
    return { name: read.same(members['name'], name), links: readLinks(members['links']) };
  });
  const { first, last, firstMs, lastMs } = spanOf(past);
  const isAsLinked =
    first === link.first &&
    last === link.last &&
    firstMs === link.firstMs &&
    lastMs === link.lastMs &&
    ('changes' in past || past.links.every(({ level }) => level === link.level - 1));
  if (!isAsLinked) throw damaged(what, 'it holds other changes than it should');
  return past;
}

/** What a link to it says, but for its hash and level. */
export function spanOf(past: Past): Pick<PastLink, 'first' | 'last' | 'firstMs' | 'lastMs'> {
  if ('changes' in past) {
    const { number: last = 0, atMs: lastMs = 0 } = past.changes[0] ?? {};
    const { number: first = 0, atMs: firstMs = 0 } = past.changes.at(-1) ?? {};
    return { first, last, firstMs, lastMs };
  }
  const { last = 0, lastMs = 0 } = past.links[0] ?? {};
  const { first = 0, firstMs = 0 } = past.links.at(-1) ?? {};
  return { first, last, firstMs, lastMs };
}

/** How values of a type are written. */
interface Form<T> {
  readonly magic: string;
  /** The newest that is known; the value tells which one it is written in. */
  readonly versionMax: number;
  readonly encode: (value: T) => Buffer;
}

/** The text after the first line as JSON, in its one canonical form. */
function decode<T>(
  bytes: Uint8Array,
  what: string,
  { magic, versionMax, encode }: Form<T>,
  parse: (value: Json) => T,
): T {
  const text = Buffer.from(bytes).toString('utf8');
  const [head = '', body = ''] = text.split('\n', 2);
  const version = new RegExp(`^${magic} ([1-9][0-9]{0,8})$`).exec(head)?.[1];
  if (version === undefined) throw damaged(what, `it does not begin with '${magic}'`);
  if (Number(version) > versionMax) {
    throw new TarnError('unsupported', `${what} has the format version ${version}`, {
      hint: 'update tarn on this machine',
    });
  }
  let value: T;
  try {
    value = parse(JSON.parse(body) as Json);
  } catch (error) {
    throw damaged(what, error instanceof Error ? error.message : String(error));
  }
  if (encode(value).equals(bytes)) return value;
  throw damaged(what, 'its bytes do not match their checksum, or are not canonical');
}

function damaged(what: string, why: string): TarnError {
  return new TarnError('corrupt', `${what} is damaged: ${why}`, { hint: HINT });
}

function changeJson({ renamed, expected, next, ...rest }: StoredChange): JsonObject {
  return {
    ...rest,
    ...(expected === undefined ? {} : { expected }),
    ...(next === undefined ? {} : { next }),
    ...(renamed === undefined ? {} : { renamed: { ...renamed } }),
  };
}

function linkJson(link: PastLink): JsonObject {
  return { ...link };
}

function readChange(value: Json): StoredChange {
  const optional = ['expected', 'next', 'renamed'];
  const members = read.members(value, ['number', 'id', 'kind', 'by', 'atMs', 'why'], optional);
  const { number, id, kind, by, atMs, why, expected, next, renamed } = members;
  return {
    number: read.count(number, 1),
    id: read.id(id),
    kind: read.recordKind(kind),
    ...(expected === undefined ? {} : { expected: read.hash(expected) }),
    ...(next === undefined ? {} : { next: read.hash(next) }),
    ...(renamed === undefined ? {} : { renamed: readRenamed(renamed) }),
    by: read.text(by),
    atMs: read.time(atMs),
    why: read.text(why),
  };
}

function readRenamed(value: Json): { name: string; number: number } {
  const { name, number } = read.members(value, ['name', 'number'], []);
  return { name: read.text(name), number: read.count(number, 1) };
}

function readPending(value: Json): PendingRename {
  const { come, etag } = read.members(value, ['come', 'etag'], []);
  const change = readChange(come ?? null);
  if (change.renamed === undefined) throw new Error('its renaming has no other name');
  return { come: change, etag: read.text(etag) };
}

/** Newest first, without gaps. */
function readChanges(value: Json | undefined, min: number): StoredChange[] {
  const changes = read.list(value, min, CHANGES_MAX).map(readChange);
  for (const [i, { number, atMs }] of changes.entries()) {
    const older = changes[i + 1];
    if (older === undefined) break;
    if (older.number !== number - 1 || older.atMs > atMs) {
      throw new Error('its changes are out of order');
    }
  }
  return changes;
}

function readLinks(value: Json | undefined): PastLink[] {
  const links = read.list(value, 0, LINKS_MAX * LEVEL_MAX).map((each) => {
    const names = ['hash', 'level', 'first', 'last', 'firstMs', 'lastMs'];
    const { hash, level, first, last, firstMs, lastMs } = read.members(each, names, []);
    return {
      hash: read.hash(hash ?? null),
      level: read.count(level, 0, LEVEL_MAX),
      first: read.count(first, 1),
      last: read.count(last, 1),
      firstMs: read.time(firstMs),
      lastMs: read.time(lastMs),
    };
  });
  for (const [i, { first, last, firstMs, lastMs, level }] of links.entries()) {
    const older = links[i + 1] ?? { last: first - 1, lastMs: firstMs, level };
    const isInOrder =
      first <= last &&
      firstMs <= lastMs &&
      older.last === first - 1 &&
      older.lastMs <= firstMs &&
      older.level >= level;
    if (!isInOrder) throw new Error('its older changes are out of order');
  }
  return links;
}
