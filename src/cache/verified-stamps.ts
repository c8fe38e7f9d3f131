import Database from 'better-sqlite3';
import { openRebuildable } from './sqlite.js';

const VERSION = 1;
/** Mounts are answered by the thread that waits; a stamp that is not written costs less. */
const BUSY_WAIT_MS_MAX = 50;
const SCHEMA = `
  CREATE TABLE stamps (
    path TEXT PRIMARY KEY,
    identity TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/**
 * Which local object files were verified, and as what file (repo/content-stamps.ts), in SQLite. A
 * stamp that cannot be read or written costs a verification, never a read: faults are no errors here.
 */
export class SqliteVerifiedStamps {
  readonly #database: Database.Database;
  readonly #get: Database.Statement<[string], { identity: string }>;
  readonly #set: Database.Statement<[string, string]>;

  constructor(path: string) {
    this.#database = openRebuildable(path, VERSION, SCHEMA);
    this.#database.pragma(`busy_timeout = ${BUSY_WAIT_MS_MAX}`);
    this.#get = this.#database.prepare('SELECT identity FROM stamps WHERE path = ?');
    this.#set = this.#database.prepare('INSERT OR REPLACE INTO stamps VALUES (?, ?)');
  }

  get(path: string): string | undefined {
    return tolerant(() => this.#get.get(path)?.identity);
  }

  set(path: string, identity: string): void {
    tolerant(() => this.#set.run(path, identity));
  }

  close(): void {
    this.#database.close();
  }
}

function tolerant<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Database.SqliteError) return undefined;
    throw error;
  }
}
