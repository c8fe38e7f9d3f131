import { dirname, join } from 'node:path';
import type { Inode } from '../../vfs/filesystem.js';
import type { RequestId, Timestamp } from '../../vfs/writable.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { JournalChange, NetChange, StoredRow } from './change.js';
import { ChangeLog, readLog, removeParts } from './log.js';
import { Reserve } from './reserve.js';
import type { NameRow, NodeRow, NumberRow } from './rows.js';
import { Tables, type Kept } from './tables.js';

/** Bytes of the log after which they are brought into the database. */
const LOG_BYTES_MAX = 4 * 1_048_576;

/** Runs checkpointJournal on a thread; a failed one is tried again later. */
export type Checkpointer = (path: string, before: number) => Promise<void>;

export interface JournalContents {
  readonly nodes: readonly NodeRow[];
  readonly names: readonly NameRow[];
  readonly numbers: readonly NumberRow[];
  readonly stored: readonly StoredRow[];
  readonly outcomes: ReadonlyMap<RequestId, Inode>;
  /** As JournalChange has it. */
  readonly directoryDate: Timestamp | undefined;
}

/**
 * What programs changed through mounts: a database, and a log of the changes that are not in it yet.
 * Read whole when it is opened, and from then on only the log is written. One process at a time has
 * it open.
 */
export class Journal {
  readonly #path: string;
  readonly #log: ChangeLog;
  readonly #reserve: Reserve;
  readonly #checkpointer: Checkpointer | undefined;
  /** Until it is read, or not all that there is any more. */
  #found: Found | undefined;
  #isCheckpointing = false;

  /**
   * @param checkpointer without one, some of the writes wait for the disk
   * @throws TarnError corrupt, unsupported, no-space, denied, io; all name the file
   */
  constructor(path: string, checkpointer?: Checkpointer) {
    this.#path = path;
    this.#checkpointer = checkpointer;
    this.#found = find(path);
    this.#log = new ChangeLog(path, this.#found.next);
    this.#reserve = new Reserve(join(dirname(path), 'reserve'));
  }

  /** @throws TarnError corrupt when something of it is not as it was written */
  read(): JournalContents {
    const { kept, net } = this.#found ?? find(this.#path);
    this.#found = undefined;
    const byPlace = new Map(kept.outcomes);
    for (const [place, { request, inode }] of net.outcomes) byPlace.set(place, [request, inode]);
    return {
      nodes: merged(net.clears ? [] : kept.nodes, net.nodes, ({ row }) => row).sort(byRow),
      names: merged(net.clears ? [] : kept.names, net.names, ({ row }) => row).sort(byRow),
      numbers: merged(kept.numbers, net.numbers, ({ path }) => path),
      stored: merged(net.clears ? [] : kept.stored, net.stored, ({ inode }) => inode),
      outcomes: new Map(byPlace.values()),
      directoryDate: net.directoryDate ?? kept.directoryDate,
    };
  }

  /**
   * All of it or, when it throws, nothing.
   * @throws TarnError no-space, io
   */
  write(change: JournalChange): void {
    this.#found = undefined;
    try {
      this.#log.add(change);
    } catch (error) {
      const isFull = asTarnError(error).kind === 'no-space';
      if (change.frees !== true || !isFull || !this.#reserve.release()) throw error;
      this.#log.add(change);
    }
    this.#reserve.refill();
    if (this.#log.bytes >= LOG_BYTES_MAX) this.#checkpoint();
  }

  /** Resolves when all that was written would survive a power cut. */
  sync(): Promise<void> {
    return this.#log.sync();
  }

  /** Nothing may be under way but a checkpoint. */
  close(): void {
    this.#log.close();
  }

  #checkpoint(): void {
    if (this.#isCheckpointing) return;
    this.#log.endPart();
    const before = this.#log.next;
    if (this.#checkpointer === undefined) return checkpointJournal(this.#path, before);
    this.#isCheckpointing = true;
    this.#checkpointer(this.#path, before)
      .then(() => this.#log.forget(before))
      .catch(() => undefined)
      .finally(() => {
        this.#isCheckpointing = false;
      });
  }
}

/**
 * What a Checkpointer does on its thread, while changes from number `before` on are written.
 * @throws TarnError corrupt, no-space, io; the changes are in the log then
 */
export function checkpointJournal(path: string, before: number): void {
  withTables(path, (tables) => {
    const { net, next } = readLog(path, tables.next(), before);
    if (next < before) {
      throw new TarnError('corrupt', `the log of '${path}' lacks its changes from ${next} on`);
    }
    tables.take(net, next);
  });
  removeParts(path, before);
}

/** What a journal has in its database, and in its log. */
interface Found {
  readonly kept: Kept;
  readonly net: NetChange;
  /** Number of the next change. */
  readonly next: number;
}

function find(path: string): Found {
  const kept = withTables(path, (tables) => tables.read());
  return { kept, ...readLog(path, kept.next) };
}

function withTables<T>(path: string, use: (tables: Tables) => T): T {
  const tables = new Tables(path);
  try {
    return use(tables);
  } finally {
    tables.close();
  }
}

function merged<K, Row>(
  kept: readonly Row[],
  net: ReadonlyMap<K, Row | undefined>,
  keyOf: (row: Row) => K,
): Row[] {
  const rows = new Map(kept.map((row) => [keyOf(row), row]));
  for (const [key, row] of net) {
    if (row === undefined) rows.delete(key);
    else rows.set(key, row);
  }
  return [...rows.values()];
}

function byRow(a: { readonly row: number }, b: { readonly row: number }): number {
  return a.row - b.row;
}
