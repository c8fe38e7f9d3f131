import type { Key } from '../../model/path.js';
import type { Inode } from '../../vfs/filesystem.js';
import type { RequestId, Timestamp } from '../../vfs/writable.js';
import type { StoredBytes } from '../nodes.js';
import {
  plainState,
  stateOf,
  type NameRow,
  type NodeRow,
  type NumberRow,
  type PlainState,
} from './rows.js';

/** Whose change it is, and what comes of it. */
export interface Outcome {
  readonly request: RequestId;
  /** The node it is about, 0 for none. */
  readonly inode: Inode;
  /** Of the change among all. */
  readonly place: number;
}

/** What changes at once, or not at all. */
export interface JournalChange {
  readonly outcome?: Outcome;
  readonly putNodes?: readonly NodeRow[];
  /** Row numbers. */
  readonly dropNodes?: readonly number[];
  readonly putNames?: readonly NameRow[];
  readonly dropNames?: readonly number[];
  readonly putNumbers?: readonly NumberRow[];
  readonly dropNumbers?: readonly Key[];
  readonly putStored?: readonly StoredRow[];
  readonly dropStored?: readonly Inode[];
  /** When directories were made that neither a marker nor a program gives a date. */
  readonly directoryDate?: Timestamp;
  /** Takes out all nodes, all names and all that is stored first. */
  readonly clears?: boolean;
  /** Bytes of staged files go with it, so that it is written on a full disk too. */
  readonly frees?: boolean;
}

export interface StoredRow {
  readonly inode: Inode;
  readonly stored: StoredBytes;
}

/** More than are ever done and not answered. */
const OUTCOMES_MAX = 1024;

/** What comes of several changes, one after the other. */
export class NetChange {
  /** All nodes, names and stored bytes of before are gone. */
  clears = false;
  /** By row, as all of these by what tells them apart; undefined: dropped. */
  readonly nodes = new Map<number, NodeRow | undefined>();
  readonly names = new Map<number, NameRow | undefined>();
  readonly numbers = new Map<Key, NumberRow | undefined>();
  readonly stored = new Map<Inode, StoredRow | undefined>();
  /** The last ones, by the place that each has among them. */
  readonly outcomes = new Map<number, Outcome>();
  directoryDate: Timestamp | undefined;

  add(change: JournalChange): void {
    if (change.clears === true) {
      this.clears = true;
      for (const rows of [this.nodes, this.names, this.stored]) rows.clear();
    }
    for (const row of change.dropNames ?? []) this.names.set(row, undefined);
    for (const row of change.dropNodes ?? []) this.nodes.set(row, undefined);
    for (const inode of change.dropStored ?? []) this.stored.set(inode, undefined);
    for (const path of change.dropNumbers ?? []) this.numbers.set(path, undefined);
    for (const row of change.putNodes ?? []) this.nodes.set(row.row, row);
    for (const row of change.putNames ?? []) this.names.set(row.row, row);
    for (const row of change.putNumbers ?? []) this.numbers.set(row.path, row);
    for (const row of change.putStored ?? []) this.stored.set(row.inode, row);
    const { outcome, directoryDate } = change;
    if (outcome !== undefined) this.outcomes.set(outcome.place % OUTCOMES_MAX, outcome);
    if (directoryDate !== undefined) this.directoryDate = directoryDate;
  }
}

/** As text without a line break. */
export function encodeChange({ putNodes, ...rest }: JournalChange): string {
  if (putNodes === undefined) return JSON.stringify(rest);
  return JSON.stringify({
    ...rest,
    putNodes: putNodes.map((row) => ({ ...row, state: plainState(row.state) })),
  });
}

/** Undefined for what encodeChange has not written. */
export function decodeChange(text: string): JournalChange | undefined {
  const decoded = JSON.parse(text) as Omit<JournalChange, 'putNodes'> & {
    readonly putNodes?: readonly (Omit<NodeRow, 'state'> & { readonly state: PlainState })[];
  };
  const { putNodes, ...rest } = decoded;
  if (putNodes === undefined) return rest;
  const nodes: NodeRow[] = [];
  for (const row of putNodes) {
    const state = stateOf(row.state);
    if (state === undefined) return undefined;
    nodes.push({ ...row, state });
  }
  return { ...rest, putNodes: nodes };
}
