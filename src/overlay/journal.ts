import { closeSync, fsync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import { keyFromBytes, keyToBytes, type Key } from '../model/path.js';
import { DurableDatabase, type DurableSchema } from '../store/local/durable-database.js';
import { asTarnError } from '../util/errors.js';
import type { Inode } from '../vfs/filesystem.js';
import type { RequestId, Timestamp } from '../vfs/writable.js';
import {
  decodeState,
  decodeStored,
  encodeState,
  encodeStored,
  isNodeKind,
  rowChecksum,
  type NameRow,
  type NodeRow,
  type NumberRow,
} from './journal-rows.js';
import type { StoredBytes } from './nodes.js';
import { Reserve } from './reserve.js';

const SCHEMA: DurableSchema = {
  what: 'journal of a workspace',
  applicationId: 0x7461726a,
  version: 1,
  checkedOnOpening: false,
  hint: 'what is staged or committed is not in it: restore it from a copy, or delete the folder it is in and give up what programs changed since',
  // Small pages, because a change writes whole ones to the log.
  pageBytes: 1024,
  synchronous: 'NORMAL',
  tables: `
    CREATE TABLE nodes (
      row INTEGER PRIMARY KEY,
      inode INTEGER NOT NULL,
      kind TEXT NOT NULL,
      state TEXT NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE names (
      row INTEGER PRIMARY KEY,
      directory INTEGER NOT NULL,
      name BLOB NOT NULL,
      node INTEGER,
      version INTEGER NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE numbers (
      path BLOB PRIMARY KEY,
      number INTEGER,
      numbering BLOB,
      checksum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE stored (
      inode INTEGER PRIMARY KEY,
      value TEXT NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE facts (
      name TEXT PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};

/** Facts of this name and a number tell what came of the last requests. */
const OUTCOME = 'outcome-';
/** More than are ever done and not answered. */
const OUTCOMES_MAX = 1024;

/** Rows written between two checkpoints. */
const CHECKPOINT_ROWS = 4000;

/** Runs checkpointJournal on a thread; a failed one is tried again later. */
export type Checkpointer = (path: string) => Promise<void>;

/** What one transaction changes. */
export interface JournalChange {
  /** Whose change it is, and what comes of it: the node it is about, 0 for none. */
  readonly outcome?: { readonly request: RequestId; readonly inode: Inode; readonly place: number };
  readonly putNodes?: readonly NodeRow[];
  /** Row numbers. */
  readonly dropNodes?: readonly number[];
  readonly putNames?: readonly NameRow[];
  readonly dropNames?: readonly number[];
  readonly putNumbers?: readonly NumberRow[];
  readonly dropNumbers?: readonly Key[];
  readonly putStored?: readonly { readonly inode: Inode; readonly stored: StoredBytes }[];
  readonly dropStored?: readonly Inode[];
  /** Takes out everything but the numbers first. */
  readonly clears?: boolean;
  /** Bytes of staged files go with it, so that it is written on a full disk too. */
  readonly frees?: boolean;
}

export interface JournalContents {
  readonly nodes: NodeRow[];
  readonly names: NameRow[];
  readonly numbers: NumberRow[];
  readonly stored: { readonly inode: Inode; readonly stored: StoredBytes }[];
  readonly outcomes: ReadonlyMap<RequestId, Inode>;
}

type Statement<Parameters extends unknown[], Row = unknown> = Database.Statement<Parameters, Row>;

/**
 * What programs changed through mounts, in SQLite: read whole when it is opened, and only written
 * from then on. One process at a time has it open.
 */
export class Journal {
  readonly #database: DurableDatabase;
  readonly #path: string;
  readonly #statements: Statements;
  readonly #reserve: Reserve;
  #log: number | undefined;
  readonly #checkpointer: Checkpointer | undefined;
  #rowsInLog = 0;
  /** How often was written, by the process before this one too; of these, what a power cut would leave. */
  #written = 1;
  #synced = 0;
  #isCheckpointing = false;

  /**
   * @param checkpointer without one, some of the writes wait for the disk
   * @throws TarnError corrupt, unsupported, no-space, denied, io; all name the file
   */
  constructor(path: string, checkpointer?: Checkpointer) {
    this.#path = path;
    this.#checkpointer = checkpointer;
    const schema = checkpointer === undefined ? SCHEMA : { ...SCHEMA, logPagesMax: 0 };
    this.#database = new DurableDatabase(path, schema, 'create');
    this.#statements = new Statements(this.#database);
    this.#reserve = new Reserve(join(dirname(path), 'reserve'));
  }

  /** @throws TarnError corrupt when a row is not as it was written */
  read(): JournalContents {
    return this.#database.read(() => ({
      nodes: this.#statements.nodes.all().map((raw) => this.#node(raw)),
      names: this.#statements.names.all().map((raw) => this.#name(raw)),
      numbers: this.#statements.numbers.all().map((raw) => this.#number(raw)),
      stored: this.#statements.stored.all().map((raw) => this.#stored(raw)),
      outcomes: new Map(
        this.#statements.outcomes
          .all(`${OUTCOME}*`)
          .map(({ value }) => JSON.parse(value) as [RequestId, Inode]),
      ),
    }));
  }

  /**
   * All of it or, when it throws, nothing.
   * @throws TarnError no-space, io, corrupt
   */
  write(change: JournalChange): void {
    try {
      this.#database.write(() => this.#apply(change));
    } catch (error) {
      if (change.frees !== true || asTarnError(error).kind !== 'no-space') throw error;
      this.#makeRoom(error);
      this.#database.write(() => this.#apply(change));
    }
    this.#reserve.refill();
    this.#written += 1;
    this.#rowsInLog += (change.putNodes?.length ?? 0) + (change.putNames?.length ?? 0);
    if (this.#rowsInLog >= CHECKPOINT_ROWS) this.#checkpoint();
  }

  /** When directories were made that neither a marker nor a program gives a date. */
  directoryDate(ifNone: Timestamp): Timestamp {
    const { fact, addFact } = this.#statements;
    this.#database.run(() => addFact.run('directory-date', JSON.stringify(ifNone)));
    this.#written += 1;
    const found = this.#database.run(() => fact.get('directory-date'));
    return JSON.parse((found as { value: string }).value) as Timestamp;
  }

  /** Resolves when all that was written would survive a power cut. */
  async sync(): Promise<void> {
    const written = this.#written;
    if (written === this.#synced) return;
    try {
      this.#log ??= openSync(`${this.#path}-wal`, 'r');
      await promisify(fsync)(this.#log);
      this.#synced = Math.max(this.#synced, written);
    } catch (error) {
      throw asTarnError(error, `syncing the log of '${this.#path}'`);
    }
  }

  close(): void {
    if (this.#log !== undefined) closeSync(this.#log);
    this.#log = undefined;
    this.#database.close();
  }

  /** What is in the file already need not be in the log, which then begins anew. */
  #makeRoom(fault: unknown): void {
    if (this.#reserve.release()) return;
    try {
      this.#database.checkpoint();
    } catch {
      throw fault;
    }
  }

  #checkpoint(): void {
    if (this.#checkpointer === undefined || this.#isCheckpointing) return;
    this.#isCheckpointing = true;
    this.#rowsInLog = 0;
    const ended = (): void => {
      this.#isCheckpointing = false;
    };
    this.#checkpointer(this.#path).then(ended, ended);
  }

  #apply(change: JournalChange): void {
    const s = this.#statements;
    if (change.clears === true) for (const clear of s.clears) clear.run();
    for (const row of change.dropNames ?? []) s.dropName.run(row);
    for (const row of change.dropNodes ?? []) s.dropNode.run(row);
    for (const inode of change.dropStored ?? []) s.dropStored.run(inode);
    for (const path of change.dropNumbers ?? []) s.dropNumber.run(keyToBytes(path));
    for (const { row, inode, kind, state } of change.putNodes ?? []) {
      const text = encodeState(state);
      s.putNode.run(row, inode, kind, text, rowChecksum(row, inode, kind, text));
    }
    for (const { row, directory, name, node = null, version } of change.putNames ?? []) {
      const sum = rowChecksum(row, directory, name, node, version);
      s.putName.run(row, directory, keyToBytes(name), node, version, sum);
    }
    for (const { path, number = null, numbering } of change.putNumbers ?? []) {
      const sum = rowChecksum(path, number, numbering ?? null);
      const bytes = numbering === undefined ? null : keyToBytes(numbering);
      s.putNumber.run(keyToBytes(path), number, bytes, sum);
    }
    if (change.outcome !== undefined) {
      const { request, inode, place } = change.outcome;
      s.putFact.run(`${OUTCOME}${place % OUTCOMES_MAX}`, JSON.stringify([request, inode]));
    }
    for (const { inode, stored } of change.putStored ?? []) {
      const text = encodeStored(stored);
      s.putStored.run(inode, text, rowChecksum(inode, text));
    }
  }

  #node({ row, inode, kind, state, checksum }: RawNode): NodeRow {
    if (checksum === rowChecksum(row, inode, kind, state) && isNodeKind(kind)) {
      const decoded = decodeState(state);
      if (decoded !== undefined) return { row, inode, kind, state: decoded };
    }
    throw this.#database.damaged(`the row of the node ${inode} does not match its checksum`);
  }

  #name({ row, directory, name, node, version, checksum }: RawName): NameRow {
    const key = keyFromBytes(name);
    if (checksum === rowChecksum(row, directory, key, node, version)) {
      return { row, directory, name: key, node: node ?? undefined, version };
    }
    throw this.#database.damaged(`the row of '${name.toString()}' does not match its checksum`);
  }

  #number({ path, number, numbering, checksum }: RawNumber): NumberRow {
    const key = keyFromBytes(path);
    const prefix = numbering === null ? undefined : keyFromBytes(numbering);
    if (checksum === rowChecksum(key, number, prefix ?? null)) {
      return { path: key, number: number ?? undefined, numbering: prefix };
    }
    throw this.#database.damaged(`the number of '${path.toString()}' does not match its checksum`);
  }

  #stored({ inode, value, checksum }: RawStored): { inode: Inode; stored: StoredBytes } {
    const stored = checksum === rowChecksum(inode, value) ? decodeStored(value) : undefined;
    if (stored !== undefined) return { inode, stored };
    throw this.#database.damaged(`what is stored of the node ${inode} does not match its checksum`);
  }
}

/** What a Checkpointer does on its thread: the journal may be open and written meanwhile. */
export function checkpointJournal(path: string): void {
  const database = new DurableDatabase(path, { ...SCHEMA, logPagesMax: 0 }, 'existing');
  try {
    database.checkpoint();
  } finally {
    database.close();
  }
}

interface RawNode {
  readonly row: number;
  readonly inode: number;
  readonly kind: string;
  readonly state: string;
  readonly checksum: number;
}

interface RawName {
  readonly row: number;
  readonly directory: number;
  readonly name: Buffer;
  readonly node: number | null;
  readonly version: number;
  readonly checksum: number;
}

interface RawNumber {
  readonly path: Buffer;
  readonly number: number | null;
  readonly numbering: Buffer | null;
  readonly checksum: number;
}

interface RawStored {
  readonly inode: number;
  readonly value: string;
  readonly checksum: number;
}

/** Prepared once. */
class Statements {
  readonly nodes: Statement<[], RawNode>;
  readonly names: Statement<[], RawName>;
  readonly numbers: Statement<[], RawNumber>;
  readonly stored: Statement<[], RawStored>;
  readonly putNode: Statement<[number, number, string, string, number]>;
  readonly putName: Statement<[number, number, Buffer, number | null, number, number]>;
  readonly putNumber: Statement<[Buffer, number | null, Buffer | null, number]>;
  readonly putStored: Statement<[number, string, number]>;
  readonly dropNode: Statement<[number]>;
  readonly dropName: Statement<[number]>;
  readonly dropNumber: Statement<[Buffer]>;
  readonly dropStored: Statement<[number]>;
  readonly clears: readonly Statement<[]>[];
  readonly fact: Statement<[string], { value: string }>;
  readonly addFact: Statement<[string, string]>;
  readonly putFact: Statement<[string, string]>;
  readonly outcomes: Statement<[string], { value: string }>;

  constructor(db: DurableDatabase) {
    this.nodes = db.prepare('SELECT * FROM nodes ORDER BY row');
    this.names = db.prepare('SELECT * FROM names ORDER BY row');
    this.numbers = db.prepare('SELECT * FROM numbers');
    this.stored = db.prepare('SELECT * FROM stored');
    this.putNode = db.prepare('INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?)');
    this.putName = db.prepare('INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?)');
    this.putNumber = db.prepare('INSERT OR REPLACE INTO numbers VALUES (?, ?, ?, ?)');
    this.putStored = db.prepare('INSERT OR REPLACE INTO stored VALUES (?, ?, ?)');
    this.dropNode = db.prepare('DELETE FROM nodes WHERE row = ?');
    this.dropName = db.prepare('DELETE FROM names WHERE row = ?');
    this.dropNumber = db.prepare('DELETE FROM numbers WHERE path = ?');
    this.dropStored = db.prepare('DELETE FROM stored WHERE inode = ?');
    const clear = (table: string): Statement<[]> => db.prepare(`DELETE FROM ${table}`);
    this.clears = ['nodes', 'names', 'stored'].map(clear);
    this.fact = db.prepare('SELECT value FROM facts WHERE name = ?');
    this.addFact = db.prepare('INSERT OR IGNORE INTO facts VALUES (?, ?)');
    this.putFact = db.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)');
    this.outcomes = db.prepare('SELECT value FROM facts WHERE name GLOB ?');
  }
}
