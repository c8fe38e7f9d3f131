import type Database from 'better-sqlite3';
import { keyFromBytes, keyToBytes } from '../../model/path.js';
import { DurableDatabase, type DurableSchema } from '../../store/local/durable-database.js';
import type { Inode } from '../../vfs/filesystem.js';
import type { RequestId, Timestamp } from '../../vfs/writable.js';
import type { NetChange, StoredRow } from './change.js';
import {
  DAMAGED_HINT,
  decodeState,
  decodeStored,
  encodeState,
  encodeStored,
  isNodeKind,
  rowChecksum,
  type NameRow,
  type NodeRow,
  type NumberRow,
} from './rows.js';

const SCHEMA: DurableSchema = {
  what: 'journal of a workspace',
  applicationId: 0x7461726a,
  version: 2,
  oldest: 2,
  checkedOnOpening: false,
  hint: DAMAGED_HINT,
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
const DIRECTORY_DATE = 'directory-date';
/** The number of the first change that is not in the tables. */
const NEXT = 'next-change';

/** What the tables have, up to a change. */
export interface Kept {
  /** Number of the first change that they do not have. */
  readonly next: number;
  readonly nodes: readonly NodeRow[];
  readonly names: readonly NameRow[];
  readonly numbers: readonly NumberRow[];
  readonly stored: readonly StoredRow[];
  readonly outcomes: ReadonlyMap<number, readonly [RequestId, Inode]>;
  readonly directoryDate: Timestamp | undefined;
}

type Statement<Parameters extends unknown[], Row = unknown> = Database.Statement<Parameters, Row>;

/** The database of a journal: rows with checksums. */
export class Tables {
  readonly #database: DurableDatabase;
  readonly #statements: Statements;

  /** @throws TarnError corrupt, unsupported, busy, no-space, denied, io; all name the file */
  constructor(path: string) {
    this.#database = new DurableDatabase(path, SCHEMA, 'create');
    this.#statements = new Statements(this.#database);
  }

  /** Number of the first change that is not in them. */
  next(): number {
    const found = this.#database.run(() => this.#statements.fact.get(NEXT));
    return found === undefined ? 0 : Number(found.value);
  }

  /** @throws TarnError corrupt when a row is not as it was written */
  read(): Kept {
    return this.#database.read(() => ({
      next: this.next(),
      nodes: this.#statements.nodes.all().map((raw) => this.#node(raw)),
      names: this.#statements.names.all().map((raw) => this.#name(raw)),
      numbers: this.#statements.numbers.all().map((raw) => this.#number(raw)),
      stored: this.#statements.stored.all().map((raw) => this.#stored(raw)),
      outcomes: new Map(
        this.#statements.outcomes
          .all(`${OUTCOME}*`)
          .map(({ name, value }) => [
            Number(name.slice(OUTCOME.length)),
            JSON.parse(value) as [RequestId, Inode],
          ]),
      ),
      directoryDate: this.#directoryDate(),
    }));
  }

  /**
   * Takes in the changes before number `next`; on the disk when it returns.
   * @throws TarnError no-space, io, corrupt; then nothing has changed
   */
  take(net: NetChange, next: number): void {
    this.#database.write(() => {
      this.#apply(net);
      this.#statements.putFact.run(NEXT, String(next));
    });
  }

  close(): void {
    this.#database.close();
  }

  #apply(net: NetChange): void {
    const s = this.#statements;
    if (net.clears) for (const clear of s.clears) clear.run();
    for (const [row, put] of net.nodes) {
      if (put === undefined) s.dropNode.run(row);
      else this.#putNode(put);
    }
    for (const [row, put] of net.names) {
      if (put === undefined) s.dropName.run(row);
      else this.#putName(put);
    }
    for (const [path, put] of net.numbers) {
      if (put === undefined) s.dropNumber.run(keyToBytes(path));
      else this.#putNumber(put);
    }
    for (const [inode, put] of net.stored) {
      if (put === undefined) s.dropStored.run(inode);
      else this.#putStored(put);
    }
    for (const [place, { request, inode }] of net.outcomes) {
      s.putFact.run(`${OUTCOME}${place}`, JSON.stringify([request, inode]));
    }
    if (net.directoryDate !== undefined) {
      s.putFact.run(DIRECTORY_DATE, JSON.stringify(net.directoryDate));
    }
  }

  #putNode({ row, inode, kind, state }: NodeRow): void {
    const text = encodeState(state);
    this.#statements.putNode.run(row, inode, kind, text, rowChecksum(row, inode, kind, text));
  }

  #putName({ row, directory, name, node: ofName, version }: NameRow): void {
    const node = ofName ?? null;
    const sum = rowChecksum(row, directory, name, node, version);
    this.#statements.putName.run(row, directory, keyToBytes(name), node, version, sum);
  }

  #putNumber({ path, number: ofPath, numbering }: NumberRow): void {
    const number = ofPath ?? null;
    const sum = rowChecksum(path, number, numbering ?? null);
    const bytes = numbering === undefined ? null : keyToBytes(numbering);
    this.#statements.putNumber.run(keyToBytes(path), number, bytes, sum);
  }

  #putStored({ inode, stored }: StoredRow): void {
    const text = encodeStored(stored);
    this.#statements.putStored.run(inode, text, rowChecksum(inode, text));
  }

  #directoryDate(): Timestamp | undefined {
    const found = this.#statements.fact.get(DIRECTORY_DATE);
    return found === undefined ? undefined : (JSON.parse(found.value) as Timestamp);
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

  #stored({ inode, value, checksum }: RawStored): StoredRow {
    const stored = checksum === rowChecksum(inode, value) ? decodeStored(value) : undefined;
    if (stored !== undefined) return { inode, stored };
    throw this.#database.damaged(`what is stored of the node ${inode} does not match its checksum`);
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
  readonly putFact: Statement<[string, string]>;
  readonly outcomes: Statement<[string], { name: string; value: string }>;

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
    this.putFact = db.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)');
    this.outcomes = db.prepare('SELECT name, value FROM facts WHERE name GLOB ?');
  }
}
