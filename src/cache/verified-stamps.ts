import type Database from 'better-sqlite3';
import { guarded, openRebuildable } from './sqlite.js';

const VERSION = 1;
const SCHEMA = `
  CREATE TABLE stamps (
    path TEXT PRIMARY KEY,
    identity TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/** Which local object files were verified, and as what file (repo/content-stamps.ts), in SQLite. */
export class SqliteVerifiedStamps {
  readonly #path: string;
  readonly #database: Database.Database;
  readonly #get: Database.Statement<[string], { identity: string }>;
  readonly #set: Database.Statement<[string, string]>;

  constructor(path: string) {
    this.#path = path;
    this.#database = openRebuildable(path, VERSION, SCHEMA);
    this.#get = this.#database.prepare('SELECT identity FROM stamps WHERE path = ?');
    this.#set = this.#database.prepare('INSERT OR REPLACE INTO stamps VALUES (?, ?)');
  }

  get(path: string): string | undefined {
    return guarded(this.#path, () => this.#get.get(path)?.identity);
  }

  set(path: string, identity: string): void {
    guarded(this.#path, () => this.#set.run(path, identity));
  }

  close(): void {
    this.#database.close();
  }
}
