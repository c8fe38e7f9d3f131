import { hash as hashOnce } from 'node:crypto';
import type { FileEntry } from '../../model/entry.js';
import { entrySize } from '../../model/entry.js';
import type { Key } from '../../model/path.js';
import type { Inode, NodeKind } from '../../vfs/filesystem.js';
import type { NodeState, StagedStamp, StoredBytes } from '../nodes.js';

/** What to do where a part of a journal is damaged. */
export const DAMAGED_HINT =
  'what is staged or committed is not in it: restore it from a copy, or delete the folder it is in and give up what programs changed since';

/** A row of `nodes`. */
export interface NodeRow {
  /** Rows are numbered as they come, so that writing one touches the end of its table only. */
  readonly row: number;
  readonly inode: Inode;
  readonly kind: NodeKind;
  readonly state: NodeState;
}

/** A row of `names`. */
export interface NameRow {
  readonly row: number;
  readonly directory: Inode;
  readonly name: Key;
  /** Undefined: a whiteout. */
  readonly node: Inode | undefined;
  readonly version: number;
}

/** A row of `numbers`: see numbers.ts. */
export interface NumberRow {
  readonly path: Key;
  readonly number: Inode | undefined;
  readonly numbering: Key | undefined;
}

const KINDS: readonly string[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character',
  'block',
] satisfies NodeKind[];

/** A state of which all is JSON. */
export type PlainState = Omit<NodeState, 'xattrs'> & {
  readonly xattrs?: readonly (readonly [Key, string])[];
};

export function plainState(state: NodeState): PlainState {
  const { xattrs, ...rest } = state;
  if (xattrs === undefined) return rest;
  const values = [...xattrs].map(([name, value]): [Key, string] => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  return { ...rest, xattrs: values };
}

/** Undefined for what plainState has not made. */
export function stateOf(plain: PlainState): NodeState | undefined {
  if (!Number.isSafeInteger(plain.mode) || !Number.isSafeInteger(plain.version)) return undefined;
  const { xattrs, ...rest } = plain;
  if (xattrs === undefined) return rest;
  if (!Array.isArray(xattrs)) return undefined;
  const values = (xattrs as NonNullable<PlainState['xattrs']>).map(
    ([name, value]): [Key, Uint8Array] => [name, Buffer.from(value, 'base64')],
  );
  return { ...rest, xattrs: new Map(values) };
}

export function encodeState(state: NodeState): string {
  return JSON.stringify(plainState(state));
}

/** Undefined for what encodeState has not written. */
export function decodeState(text: string): NodeState | undefined {
  const decoded = parsed(text) as PlainState | undefined;
  return decoded === undefined ? undefined : stateOf(decoded);
}

/** A node without names as text, for whoever remembers it elsewhere. */
export function encodeUnnamed(kind: NodeKind, state: NodeState | undefined): string {
  return JSON.stringify({ kind, state: state === undefined ? '' : encodeState(state) });
}

export function decodeUnnamed(
  text: string,
): { readonly kind: NodeKind; readonly state: NodeState } | undefined {
  const decoded = parsed(text) as { kind?: string; state?: string } | undefined;
  const state = decodeState(decoded?.state ?? '');
  const kind = decoded?.kind ?? '';
  return state === undefined || !isNodeKind(kind) ? undefined : { kind, state };
}

export function encodeStored({ stamp, entry }: StoredBytes): string {
  return JSON.stringify({ stamp, entry });
}

export function decodeStored(text: string): StoredBytes | undefined {
  const decoded = parsed(text) as { stamp?: StagedStamp; entry?: FileEntry } | undefined;
  if (decoded?.stamp === undefined || decoded.entry === undefined) return undefined;
  const { stamp, entry } = decoded;
  return Number.isSafeInteger(entrySize(entry)) ? { stamp, entry } : undefined;
}

export function isNodeKind(kind: string): kind is NodeKind {
  return KINDS.includes(kind);
}

/** 48 bits: SQLite keeps no checksum of its pages, and a flipped bit must not be committed. */
export function rowChecksum(...fields: readonly (string | number | null)[]): number {
  return checksum(fields.map((field) => `${String(field).length} ${field}`).join('\n'));
}

/** 48 bits. */
export function checksum(text: string | Buffer): number {
  return hashOnce('sha256', text, 'buffer').readUIntBE(0, 6);
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
