import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { RangeSet } from './range-set.js';
import { openRebuildable } from './sqlite.js';

const VERSION = 1;
/** Mounts are answered by the thread that waits; a row that is not written costs a request later. */
const BUSY_WAIT_MS_MAX = 50;
const SCHEMA = `
  CREATE TABLE objects (
    name TEXT PRIMARY KEY,
    file TEXT NOT NULL,
    size INTEGER,
    ranges BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    used INTEGER NOT NULL,
    stamp TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX by_use ON objects (used, bytes);
  CREATE TABLE holders (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE pins (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    PRIMARY KEY (name, holder)
  ) STRICT, WITHOUT ROWID;
`;

/** What the cache has of one object. */
export interface KeptRow {
  readonly name: string;
  /** Name of the file with its bytes; never used twice. */
  readonly file: string;
  /** Bytes of the object, once they are known. */
  readonly size: number | undefined;
  readonly ranges: RangeSet;
  /** Identity of the file when every byte of the object in it had been verified and synced. */
  readonly stamp: string | undefined;
}

interface StoredRow {
  readonly name: string;
  readonly file: string;
  readonly size: number | null;
  readonly ranges: Buffer;
  readonly bytes: number;
  readonly stamp: string | null;
}

export interface KeptChange {
  readonly name: string;
  readonly file: string;
  readonly size: number | undefined;
  /** Runs whose bytes were written to the file since the last change. */
  readonly added: RangeSet;
}

/**
 * What lies in the files of an object cache, in SQLite: shared by all threads and processes that
 * have the cache open, each a holder of what it uses. A fault of the database costs requests to the
 * store, never a read: it reads as if nothing were cached.
 */
export class KeptIndex {
  readonly #database: Database.Database;
  readonly #holder = randomBytes(8).toString('hex');
  readonly #find: Database.Statement<[string], StoredRow>;
  readonly #insert: Database.Statement<[string, string, number]>;
  readonly #pin: Database.Statement<[string, string]>;
  readonly #unpin: Database.Statement<[string, string]>;
  readonly #update: Database.Statement<[number | null, Buffer, number, number, string]>;
  readonly #setStamp: Database.Statement<[string | null, string, string]>;
  readonly #total: Database.Statement<[], { bytes: number; objects: number }>;
  readonly #oldest: Database.Statement<[], Pick<StoredRow, 'name' | 'file' | 'bytes'>>;
  readonly #delete: Database.Statement<[string]>;

  /** @throws TarnError denied, no-space, io when there can be no such file */
  constructor(path: string) {
    const database = openRebuildable(path, VERSION, SCHEMA);
    database.pragma(`busy_timeout = ${BUSY_WAIT_MS_MAX}`);
    this.#database = database;
    this.#find = database.prepare('SELECT * FROM objects WHERE name = ?');
    this.#insert = database.prepare(
      "INSERT INTO objects VALUES (?, ?, NULL, x'', 0, ?, NULL) ON CONFLICT DO NOTHING",
    );
    this.#pin = database.prepare('INSERT OR IGNORE INTO pins VALUES (?, ?)');
    this.#unpin = database.prepare('DELETE FROM pins WHERE name = ? AND holder = ?');
    this.#update = database.prepare(
      'UPDATE objects SET size = ?, ranges = ?, bytes = ?, used = ? WHERE name = ?',
    );
    this.#setStamp = database.prepare('UPDATE objects SET stamp = ? WHERE name = ? AND file = ?');
    this.#total = database.prepare(
      'SELECT coalesce(sum(bytes), 0) AS bytes, count(*) AS objects FROM objects',
    );
    this.#oldest = database.prepare(
      `SELECT name, file, bytes FROM objects AS o
       WHERE NOT EXISTS (SELECT 1 FROM pins WHERE pins.name = o.name) ORDER BY used`,
    );
    this.#delete = database.prepare('DELETE FROM objects WHERE name = ?');
    this.#change(() => {
      this.#dropDeadHolders();
      database
        .prepare('INSERT INTO holders VALUES (?, ?, ?)')
        .run(this.#holder, process.pid, startOf(process.pid));
    });
  }

  /**
   * Begins to use an object, which is not evicted until `release`; makes its row if there is none.
   * Undefined when nothing can be kept of it.
   */
  hold(name: string, nowMs: number): KeptRow | undefined {
    return this.#change(() => {
      this.#pin.run(name, this.#holder);
      this.#insert.run(name, randomBytes(12).toString('hex'), nowMs);
      return rowOf(this.#find.get(name));
    });
  }

  release(name: string): void {
    this.#tolerant(() => this.#unpin.run(name, this.#holder));
  }

  find(name: string): KeptRow | undefined {
    return this.#tolerant(() => rowOf(this.#find.get(name)));
  }

  /** Records what was written; of a row that is another file's by now nothing. */
  save(changes: readonly KeptChange[], nowMs: number): boolean {
    const saved = this.#change(() => {
      for (const { name, file, size, added } of changes) {
        const row = rowOf(this.#find.get(name));
        if (row?.file !== file) continue;
        row.ranges.addAll(added);
        const { ranges } = row;
        this.#update.run(size ?? row.size ?? null, ranges.encode(), ranges.bytes, nowMs, name);
      }
      return true;
    });
    return saved === true;
  }

  /** Forgets that [start, end) is there, and that all of it was verified. */
  drop(name: string, file: string, start: number, end: number, nowMs: number): void {
    this.#change(() => {
      const row = rowOf(this.#find.get(name));
      if (row?.file !== file) return;
      row.ranges.remove(start, end);
      this.#update.run(row.size ?? null, row.ranges.encode(), row.ranges.bytes, nowMs, name);
      this.#setStamp.run(null, name, file);
    });
  }

  stamp(name: string, file: string, identity: string): void {
    this.#tolerant(() => this.#setStamp.run(identity, name, file));
  }

  total(): { bytes: number; objects: number } {
    return this.#tolerant(() => this.#total.get()) ?? { bytes: 0, objects: 0 };
  }

  /** Takes out objects that nobody uses, the ones used longest ago first, until `bytes` are free. */
  takeOldest(bytes: number): { file: string; bytes: number }[] {
    const taken = this.#change(() => {
      this.#dropDeadHolders();
      const found: { name: string; file: string; bytes: number }[] = [];
      let sum = 0;
      for (const row of this.#oldest.iterate()) {
        if (sum >= bytes) break;
        sum += row.bytes;
        found.push(row);
      }
      for (const { name } of found) this.#delete.run(name);
      return found;
    });
    return taken ?? [];
  }

  *rows(): Iterable<KeptRow> {
    const all = this.#database.prepare<[], StoredRow>('SELECT * FROM objects ORDER BY name').all();
    for (const stored of all) {
      const row = rowOf(stored);
      if (row !== undefined) yield row;
    }
  }

  close(): void {
    this.#tolerant(() => {
      this.#database.prepare('DELETE FROM pins WHERE holder = ?').run(this.#holder);
      this.#database.prepare('DELETE FROM holders WHERE id = ?').run(this.#holder);
    });
    this.#database.close();
  }

  #tolerant<T>(work: () => T): T | undefined {
    if (!this.#database.open) return undefined;
    try {
      return work();
    } catch (error) {
      if (error instanceof Database.SqliteError) return undefined;
      throw error;
    }
  }

  #change<T>(work: () => T): T | undefined {
    return this.#tolerant(() => this.#database.transaction(work).immediate());
  }

  /** What a killed process used is nobody's. */
  #dropDeadHolders(): void {
    const all = this.#database.prepare<[], { id: string; pid: number; started: string }>(
      'SELECT * FROM holders',
    );
    for (const { id, pid, started } of all.all()) {
      if (startOf(pid) === started) continue;
      this.#database.prepare('DELETE FROM pins WHERE holder = ?').run(id);
      this.#database.prepare('DELETE FROM holders WHERE id = ?').run(id);
    }
  }
}

function rowOf(stored: StoredRow | undefined): KeptRow | undefined {
  if (stored === undefined) return undefined;
  const { name, file, size, ranges, stamp } = stored;
  return {
    name,
    file,
    size: size ?? undefined,
    ranges: RangeSet.decode(ranges) ?? RangeSet.empty(),
    stamp: stamp ?? undefined,
  };
}

/** When the process began, in the kernel's words; empty when there is none, or no /proc. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return isRunning(pid) ? 'unknown' : '';
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
