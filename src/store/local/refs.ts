import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import type { CommitId } from '../../model/ids.js';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import type { Ref, RefChange, RefKind, RefStore } from '../ref-store.js';
import type { DurableSchema } from './durable-database.js';
import { DurableDatabase } from './durable-database.js';

/** The file in the repository's directory. */
export const REFS_FILE = 'refs.db';

const SCHEMA: DurableSchema = {
  what: 'ref database',
  applicationId: 0x7461726e,
  version: 1,
  checkedOnOpening: true,
  hint: 'restore this file from a copy of the repository; the commits themselves are not in it',
  tables: `
    CREATE TABLE refs (
      name TEXT PRIMARY KEY,
      kind TEXT NOT NULL CHECK (kind IN ('branch', 'tag')),
      commit_id TEXT NOT NULL,
      checksum TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
      id INTEGER PRIMARY KEY,
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      expected TEXT,
      next TEXT,
      changed_by TEXT NOT NULL,
      at_ms INTEGER NOT NULL,
      why TEXT NOT NULL
    ) STRICT;
    CREATE INDEX changes_of_ref ON changes (kind, name, id);
  `,
};

/** Rows read at once, so that a long listing holds no statement open across ticks. */
const PAGE = 256;

interface RefRow {
  readonly name: string;
  readonly kind: RefKind;
  readonly commit_id: string;
  readonly checksum: string;
}

interface ChangeRow {
  readonly id: number;
  readonly kind: RefKind;
  readonly name: string;
  readonly expected: CommitId | null;
  readonly next: CommitId | null;
  readonly changed_by: string;
  readonly at_ms: number;
  readonly why: string;
}

/** Refs of a repository in a local directory, in SQLite; safe among threads and processes. */
export class LocalRefStore implements RefStore {
  readonly #database: DurableDatabase;
  readonly #get: Database.Statement<[string], RefRow>;
  readonly #page: Database.Statement<[RefKind, string, number], RefRow>;
  readonly #set: Database.Statement<[string, RefKind, string, string]>;
  readonly #delete: Database.Statement<[string]>;
  readonly #record: Database.Statement<(string | number | null)[]>;
  readonly #changes: Database.Statement<[RefKind, string, number, number], ChangeRow>;

  private constructor(database: DurableDatabase) {
    this.#database = database;
    this.#get = database.prepare('SELECT * FROM refs WHERE name = ?');
    this.#page = database.prepare(
      'SELECT * FROM refs WHERE kind = ? AND name > ? ORDER BY name LIMIT ?',
    );
    this.#set = database.prepare('INSERT OR REPLACE INTO refs VALUES (?, ?, ?, ?)');
    this.#delete = database.prepare('DELETE FROM refs WHERE name = ?');
    this.#record = database.prepare(
      `INSERT INTO changes (kind, name, expected, next, changed_by, at_ms, why)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#changes = database.prepare(
      'SELECT * FROM changes WHERE kind = ? AND name = ? AND id < ? ORDER BY id DESC LIMIT ?',
    );
  }

  /** @throws TarnError corrupt (the file is missing or damaged), unsupported, io */
  static open(directory: string): LocalRefStore {
    return new LocalRefStore(new DurableDatabase(join(directory, REFS_FILE), SCHEMA, 'existing'));
  }

  /** Like open, after making the file where there is none. */
  static create(directory: string): LocalRefStore {
    return new LocalRefStore(new DurableDatabase(join(directory, REFS_FILE), SCHEMA, 'create'));
  }

  async get(kind: RefKind, name: string, signal?: AbortSignal): Promise<CommitId | undefined> {
    throwIfAborted(signal);
    const row = this.#database.run(() => this.#get.get(name));
    return row?.kind === kind ? this.#checked(row).commit : undefined;
  }

  async *list(
    kind: RefKind,
    options: { after?: string; signal?: AbortSignal } = {},
  ): AsyncIterable<Ref> {
    let after = options.after ?? '';
    for (;;) {
      throwIfAborted(options.signal);
      const rows = this.#database.run(() => this.#page.all(kind, after, PAGE));
      for (const row of rows) yield this.#checked(row);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      after = last.name;
    }
  }

  async compareAndSwap(change: RefChange, signal?: AbortSignal): Promise<'done' | 'moved'> {
    throwIfAborted(signal);
    return this.#database.write(() => {
      const row = this.#get.get(change.name);
      if (row !== undefined && row.kind !== change.kind) {
        if (change.expected !== undefined) return 'moved';
        throw new TarnError('exists', `the name '${change.name}' is taken by a ${row.kind}`, {
          hint: 'a branch and a tag never share a name: choose another one',
        });
      }
      const current = row === undefined ? undefined : this.#checked(row).commit;
      if (current !== change.expected) return 'moved';
      this.#apply(change);
      return 'done';
    });
  }

  async *history(kind: RefKind, name: string, signal?: AbortSignal): AsyncIterable<RefChange> {
    let before = Number.MAX_SAFE_INTEGER;
    for (;;) {
      throwIfAborted(signal);
      const rows = this.#database.run(() => this.#changes.all(kind, name, before, PAGE));
      for (const row of rows) yield changeOf(row);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      before = last.id;
    }
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #apply({ kind, name, expected, next, by, atMs, why }: RefChange): void {
    if (next === undefined) this.#delete.run(name);
    else this.#set.run(name, kind, next, checksum(kind, name, next));
    this.#record.run(kind, name, expected ?? null, next ?? null, by, atMs, why);
  }

  /** SQLite keeps no checksum of its pages, and a flipped bit must not become another commit. */
  #checked({ name, kind, commit_id, checksum: found }: RefRow): Ref {
    if (found !== checksum(kind, name, commit_id)) {
      throw this.#database.damaged(`the row of the ${kind} '${name}' does not match its checksum`);
    }
    return { kind, name, commit: commit_id as CommitId };
  }
}

function checksum(kind: string, name: string, commit: string): string {
  return createHash('sha256').update(`${kind}\n${name}\n${commit}`).digest('hex').slice(0, 16);
}

function changeOf(row: ChangeRow): RefChange {
  return {
    kind: row.kind,
    name: row.name,
    expected: row.expected ?? undefined,
    next: row.next ?? undefined,
    by: row.changed_by,
    atMs: row.at_ms,
    why: row.why,
  };
}
