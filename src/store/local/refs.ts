import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import type {
  BranchRenaming,
  RecordedChange,
  RecordKind,
  Ref,
  RefChange,
  RefKind,
  RefMoment,
  RefStore,
  RefTarget,
} from '../ref-store.js';
import { RENAME } from '../ref-store.js';
import type { DurableSchema } from './durable-database.js';
import { DurableDatabase } from './durable-database.js';
import type { ChangeValues } from './ref-changes.js';
import { RefChanges } from './ref-changes.js';

/** The file in the repository's directory. */
export const REFS_FILE = 'refs.db';

const SCHEMA: DurableSchema = {
  what: 'ref database',
  applicationId: 0x7461726e,
  version: 2,
  oldest: 2,
  checkedOnOpening: true,
  hint: 'restore this file from a copy of the repository; the commits themselves are not in it',
  tables: `
    CREATE TABLE refs (
      name TEXT PRIMARY KEY,
      kind TEXT NOT NULL CHECK (kind IN ('branch', 'tag', 'settings')),
      target TEXT NOT NULL,
      checksum TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
      id INTEGER PRIMARY KEY,
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      expected TEXT,
      next TEXT,
      renamed TEXT,
      changed_by TEXT NOT NULL,
      at_ms INTEGER NOT NULL,
      why TEXT NOT NULL,
      checksum TEXT NOT NULL
    ) STRICT;
    CREATE INDEX changes_of_ref ON changes (kind, name, at_ms, id);
  `,
};

/** Rows read at once, so that a long listing holds no statement open across ticks. */
const PAGE = 256;

interface RefRow {
  readonly name: string;
  readonly kind: RecordKind;
  readonly target: string;
  readonly checksum: string;
}

/** Refs of a repository in a local directory, in SQLite; safe among threads and processes. */
export class LocalRefStore implements RefStore {
  readonly #database: DurableDatabase;
  readonly #changes: RefChanges;
  readonly #get;
  readonly #page;
  readonly #set;
  readonly #delete;

  private constructor(database: DurableDatabase) {
    this.#database = database;
    this.#changes = new RefChanges(database);
    this.#get = database.prepare<[string], RefRow>('SELECT * FROM refs WHERE name = ?');
    this.#page = database.prepare<[RefKind, string, number], RefRow>(
      'SELECT * FROM refs WHERE kind = ? AND name > ? ORDER BY name LIMIT ?',
    );
    this.#set = database.prepare<[string, RecordKind, string, string]>(
      'INSERT OR REPLACE INTO refs VALUES (?, ?, ?, ?)',
    );
    this.#delete = database.prepare<[string]>('DELETE FROM refs WHERE name = ?');
  }

  /** @throws TarnError corrupt (the file is missing or damaged), unsupported, io */
  static open(directory: string): LocalRefStore {
    return new LocalRefStore(new DurableDatabase(join(directory, REFS_FILE), SCHEMA, 'existing'));
  }

  /** Like open, after making the file where there is none. */
  static create(directory: string): LocalRefStore {
    return new LocalRefStore(new DurableDatabase(join(directory, REFS_FILE), SCHEMA, 'create'));
  }

  async get<K extends RecordKind>(
    kind: K,
    name: string,
    signal?: AbortSignal,
  ): Promise<RefTarget<K> | undefined> {
    throwIfAborted(signal);
    return this.#database.run(() => this.#current(kind, name));
  }

  async find(name: string, signal?: AbortSignal): Promise<Ref | undefined> {
    throwIfAborted(signal);
    return this.#database.run(() => {
      const row = this.#get.get(name);
      if (row === undefined || row.kind === 'settings') return undefined;
      return { kind: row.kind, name, commit: this.#target<RefKind>(row) };
    });
  }

  async *list(
    kind: RefKind,
    options: { after?: string; signal?: AbortSignal } = {},
  ): AsyncIterable<Ref> {
    let after = options.after ?? '';
    for (;;) {
      throwIfAborted(options.signal);
      const rows = this.#database.run(() => this.#page.all(kind, after, PAGE));
      for (const row of rows) {
        yield { kind, name: row.name, commit: this.#target<RefKind>(row) };
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      after = last.name;
    }
  }

  async compareAndSwap<K extends RecordKind>(
    change: RefChange<K>,
    signal?: AbortSignal,
  ): Promise<'done' | 'moved'> {
    throwIfAborted(signal);
    return this.#database.write(() => {
      const { kind, name, expected, next } = change;
      if (expected === undefined) this.#checkFree(name, kind);
      if (this.#current(kind, name) !== expected) return 'moved';
      if (next === undefined) this.#delete.run(name);
      else this.#set.run(name, kind, next, checksum(kind, name, next));
      this.#changes.append(change, this.#changes.lastMs(name));
      return 'done';
    });
  }

  async rename(renaming: BranchRenaming, signal?: AbortSignal): Promise<'done' | 'moved'> {
    throwIfAborted(signal);
    const { from, to, commit, by, atMs } = renaming;
    const kind = 'branch';
    return this.#database.write(() => {
      if (this.#current(kind, from) !== commit) return 'moved';
      this.#checkFree(to);
      this.#delete.run(from);
      this.#set.run(to, kind, commit, checksum(kind, to, commit));
      const lastMs = Math.max(this.#changes.lastMs(from), this.#changes.lastMs(to));
      const change = { kind, by, atMs, why: RENAME } as const;
      const sides: ChangeValues[] = [
        { ...change, name: from, expected: commit, next: undefined, renamed: to },
        { ...change, name: to, expected: undefined, next: commit, renamed: from },
      ];
      for (const side of sides) this.#changes.append(side, lastMs);
      return 'done';
    });
  }

  async *history<K extends RecordKind>(
    kind: K,
    name: string,
    options: { before?: number; signal?: AbortSignal } = {},
  ): AsyncIterable<RecordedChange<K>> {
    let before = { atMs: Infinity, number: options.before ?? Number.MAX_SAFE_INTEGER };
    for (;;) {
      throwIfAborted(options.signal);
      const page = this.#database.run(() => this.#changes.page(kind, name, before, PAGE));
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      before = last;
    }
  }

  async at<K extends RecordKind>(
    kind: K,
    name: string,
    atMs: number,
    signal?: AbortSignal,
  ): Promise<RefMoment<K>> {
    throwIfAborted(signal);
    return this.#database.read(() => this.#changes.at(kind, name, atMs));
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #current<K extends RecordKind>(kind: K, name: string): RefTarget<K> | undefined {
    const row = this.#get.get(name);
    return row?.kind === kind ? this.#target<K>(row) : undefined;
  }

  /** @param unless a ref of this kind may have the name */
  #checkFree(name: string, unless?: RecordKind): void {
    const row = this.#get.get(name);
    if (row === undefined || row.kind === unless) return;
    throw new TarnError('exists', `the name '${name}' is taken by a ${row.kind}`, {
      hint: 'a branch and a tag never share a name: choose another one',
    });
  }

  /** SQLite keeps no checksum of its pages, and a flipped bit must not become another commit. */
  #target<K extends RecordKind>({ name, kind, target, checksum: found }: RefRow): RefTarget<K> {
    if (found === checksum(kind, name, target)) return target as RefTarget<K>;
    throw this.#database.damaged(`the row of the ${kind} '${name}' does not match its checksum`);
  }
}

function checksum(kind: string, name: string, target: string): string {
  return createHash('sha256').update(`${kind}\n${name}\n${target}`).digest('hex').slice(0, 16);
}
