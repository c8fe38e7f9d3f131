import { hash as hashOnce } from 'node:crypto';
import type Database from 'better-sqlite3';
import type { Entry } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { CommitId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyFromBytes, keyToBytes, PATH_BYTES_MAX, ROOT_KEY } from '../model/path.js';
import type { DurableSchema } from '../store/local/durable-database.js';
import { DurableDatabase } from '../store/local/durable-database.js';
import { prefixEnd } from '../model/path.js';
import type { Span } from '../model/span.js';
import { WHOLE_SPAN } from '../model/span.js';

const SCHEMA: DurableSchema = {
  what: 'staging database',
  applicationId: 0x7461726c,
  version: 2,
  checkedOnOpening: false,
  hint: 'what is committed is not in it: restore it from a copy, or delete it and give up what is staged',
  tables: `
    CREATE TABLE branches (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      version INTEGER NOT NULL,
      clearings INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE bases (
      id INTEGER PRIMARY KEY,
      commit_id TEXT NOT NULL UNIQUE,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE staged (
      branch INTEGER NOT NULL,
      path BLOB NOT NULL,
      version INTEGER NOT NULL,
      base INTEGER NOT NULL,
      entry TEXT,
      checksum INTEGER NOT NULL,
      PRIMARY KEY (branch, path)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE removed_prefixes (
      branch INTEGER NOT NULL,
      prefix BLOB NOT NULL,
      version INTEGER NOT NULL,
      base INTEGER NOT NULL,
      checksum INTEGER NOT NULL,
      PRIMARY KEY (branch, prefix)
    ) STRICT, WITHOUT ROWID;
  `,
};

/** Rows read at once: memory is bounded, and no statement stays open across ticks. */
const PAGE_ROWS = 1_000;
const VERSION_MAX = Number.MAX_SAFE_INTEGER;
/** Of a branch on which nothing was ever staged. */
const UNTOUCHED: StagingState = { version: 0, clearings: 0 };
const BEHIND_ALL_KEYS = Buffer.alloc(PATH_BYTES_MAX + 1, 0xff);

/** Counts what was done to a branch's staged changes, so that a reader knows when to look again. */
export interface StagingState {
  /** Grows with every change. */
  readonly version: number;
  /** Grows when changes left staging because they were committed: the head moved before that. */
  readonly clearings: number;
}

export interface StagedRow {
  readonly key: Key;
  /** What is staged at the path; undefined when it is removed. */
  readonly entry: Entry | undefined;
  /** The head that the change was made on. */
  readonly base: CommitId;
}

/** Rows of one moment. */
export interface StagedPage {
  readonly state: StagingState;
  readonly rows: StagedRow[];
  /** No more rows follow in the span. */
  readonly isLast: boolean;
}

export interface RemovedPrefix {
  readonly prefix: Key;
  readonly base: CommitId;
}

export type StagedWrite = { readonly key: Key } & (
  | { readonly kind: 'put'; readonly entry: Entry }
  /** As the head has it: nothing to stage, unless something else is staged there. */
  | { readonly kind: 'restore'; readonly entry: Entry }
  | { readonly kind: 'remove' }
);

/** The head that a change is made on, and the clearings counted before it was read. */
export interface StagedBase {
  readonly commit: CommitId;
  readonly clearings: number;
}

interface RawRow {
  readonly branch: number;
  readonly path: Buffer;
  readonly version: number;
  readonly base: number;
  readonly entry: string | null;
  readonly checksum: number;
  /** Of the base; null when it is not there. */
  readonly commit_id: CommitId | null;
  readonly commit_checksum: number | null;
}

/** In place of an entry, in the checksum of the row of a removed prefix. */
const PREFIX_MARK = 'prefix';

/**
 * Changes that are durable but not committed, of the branches of one repository, in SQLite; safe
 * among threads and processes. A removed prefix is one row however much lies below it: it hides all
 * of the head there, and staged rows below it came after it. No removed prefix lies in another.
 */
export class Staging {
  readonly #database: DurableDatabase;
  readonly #statements: Statements;
  /** The last one that matched its checksum: mostly all rows have the same. */
  #soundBase: CommitId | undefined;

  /** @throws TarnError corrupt, unsupported, no-space, denied, io; all name the file */
  constructor(path: string) {
    this.#database = new DurableDatabase(path, SCHEMA, 'create');
    this.#statements = new Statements(this.#database);
  }

  state(branch: string): StagingState {
    return this.#database.run(() => this.#statements.branch.get(branch) ?? UNTOUCHED);
  }

  /** The state, and the rows with `from` <= path < `to` of one moment, PAGE_ROWS at most. */
  page(branch: string, from: Key, to: Key | undefined, versionMax = VERSION_MAX): StagedPage {
    return this.#database.read(() => {
      const found = this.#statements.branch.get(branch);
      if (found === undefined) return { state: UNTOUCHED, rows: [], isLast: true };
      const raw = this.#statements.page.all(found.id, keyToBytes(from), endBytes(to), versionMax);
      const rows = raw.map((row) => this.#decode(row));
      return { state: found, rows, isLast: rows.length < PAGE_ROWS };
    });
  }

  /** Every row of the span that is no newer than `versionMax`, in byte order of paths. */
  *rows(branch: string, span: Span, versionMax?: number): Iterable<StagedRow> {
    let from = span.from;
    for (;;) {
      const { rows, isLast } = this.page(branch, from, span.to, versionMax);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || isLast) return;
      from = `${last.key}\0` as Key;
    }
  }

  /** In byte order; none begins with another. */
  removedPrefixes(branch: string, versionMax = VERSION_MAX): RemovedPrefix[] {
    const raw = this.#database.run(() => this.#statements.prefixes.all(branch, versionMax));
    return raw.map((row) => ({ base: this.#checkedBase(row), prefix: keyFromBytes(row.path) }));
  }

  /**
   * All of it or, when it fails, nothing. 'stale' when a commit has cleared rows since `base` was
   * seen: then nothing is written, and the caller looks at the new head.
   */
  write(branch: string, base: StagedBase, writes: readonly StagedWrite[]): 'done' | 'stale' {
    if (writes.length === 0) return 'done';
    const { put, restore } = this.#statements;
    return this.#change(branch, base, (branchId, version, baseId) => {
      for (const write of writes) {
        const path = keyToBytes(write.key);
        const entry = write.kind === 'remove' ? null : JSON.stringify(write.entry);
        const sum = checksum(branchId, path, version, entry) + baseId;
        if (write.kind === 'restore') restore.run(version, baseId, entry, sum, branchId, path);
        else put.run(branchId, path, version, baseId, entry, sum);
      }
    });
  }

  /** As write; what is staged below the prefix goes. Nothing when a removed prefix covers it. */
  removePrefix(branch: string, base: StagedBase, prefix: Key): 'done' | 'stale' {
    const { addPrefix, lastPrefix } = this.#statements;
    const bytes = keyToBytes(prefix);
    return this.#change(branch, base, (branchId, version, baseId) => {
      // Any prefix between an outer one and this begins with the outer one, and none does.
      const outer = lastPrefix.get(branchId, bytes)?.prefix;
      const covered = outer?.equals(bytes.subarray(0, outer.length)) ?? false;
      this.#deleteBetween(branchId, prefix, prefixEnd(prefix), VERSION_MAX);
      if (!covered || outer?.length === bytes.length) {
        const sum = checksum(branchId, bytes, version, PREFIX_MARK) + baseId;
        addPrefix.run(branchId, bytes, version, baseId, sum);
      }
    });
  }

  /**
   * Takes out of staging what a commit now holds: rows of the spans no newer than `versionMax`.
   * @param moved the commit's parent and itself: they differ only by what was staged here, so that
   *   what else is staged on the parent is as good on the commit
   */
  clear(
    branch: string,
    spans: readonly Span[],
    versionMax: number,
    moved?: { readonly from: CommitId; readonly to: CommitId },
  ): void {
    const { addBase, rebaseRows, rebasePrefixes } = this.#statements;
    this.#database.write(() => {
      const found = this.#statements.branch.get(branch);
      if (found === undefined) return;
      for (const { from, to } of spans) this.#deleteBetween(found.id, from, to, versionMax);
      this.#statements.cleared.run(found.id);
      if (moved === undefined) return;
      addBase.run(moved.to, textChecksum(moved.to));
      rebaseRows.run(moved.to, found.id, moved.from);
      rebasePrefixes.run(moved.to, found.id, moved.from);
    });
  }

  /** Gives up what is staged on the branch and no newer than `versionMax`. */
  discard(branch: string, versionMax = VERSION_MAX): void {
    this.clear(branch, [WHOLE_SPAN], versionMax);
  }

  /** What is staged on `from` goes with it to its new name, where nothing may be staged. */
  rename(from: string, to: string): void {
    this.#database.write(() => {
      const old = this.#statements.branch.get(to);
      if (old !== undefined) {
        this.#deleteBetween(old.id, ROOT_KEY, undefined, VERSION_MAX);
        this.#statements.dropBranch.run(to);
      }
      this.#statements.rename.run(to, from);
    });
  }

  close(): void {
    this.#database.close();
  }

  #change(
    branch: string,
    base: StagedBase,
    work: (branchId: number, version: number, baseId: number) => void,
  ): 'done' | 'stale' {
    const { addBranch, nextVersion, addBase, baseId } = this.#statements;
    return this.#database.write(() => {
      addBranch.run(branch);
      addBase.run(base.commit, textChecksum(base.commit));
      const found = nextVersion.get(branch) as StagingState & { id: number };
      if (found.clearings !== base.clearings) return 'stale';
      work(found.id, found.version, (baseId.get(base.commit) as { id: number }).id);
      return 'done';
    });
  }

  #deleteBetween(branchId: number, from: Key, to: Key | undefined, versionMax: number): void {
    const [first, end] = [keyToBytes(from), endBytes(to)];
    this.#statements.deleteRows.run(branchId, first, end, versionMax);
    this.#statements.deletePrefixes.run(branchId, first, end, versionMax);
  }

  #decode(row: RawRow): StagedRow {
    const { path, entry } = row;
    const base = this.#checkedBase(row);
    const key = keyFromBytes(path);
    if (entry === null) return { key, entry: undefined, base };
    try {
      const decoded = JSON.parse(entry) as Entry;
      if (Number.isSafeInteger(entrySize(decoded))) return { key, entry: decoded, base };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw this.#database.damaged(`the row of '${path.toString('utf8')}' holds no entry`);
  }

  /** SQLite keeps no checksum of its pages, and a flipped bit must not be committed. */
  #checkedBase(row: RawRow): CommitId {
    const { branch, path, version, base, entry, commit_id, commit_checksum } = row;
    if (row.checksum !== checksum(branch, path, version, entry) + base) {
      const name = path.toString('utf8');
      throw this.#database.damaged(`the row of '${name}' does not match its checksum`);
    }
    if (commit_id !== this.#soundBase) {
      if (commit_id === null || commit_checksum !== textChecksum(commit_id)) {
        throw this.#database.damaged(`the row of the base ${base} does not match its checksum`);
      }
      this.#soundBase = commit_id;
    }
    return commit_id;
  }
}

/** Of all in a row but its base, the number of which is added: it changes without the rest. */
function checksum(branch: number, path: Buffer, version: number, entry: string | null): number {
  const text = path.toString('latin1');
  return textChecksum(`${branch} ${version} ${text.length} ${text}${entry ?? ''}`);
}

/** 48 bits, so that a number still holds it exactly with another one added. */
function textChecksum(text: string): number {
  return hashOnce('sha256', text, 'buffer').readUIntBE(0, 6);
}

function endBytes(to: Key | undefined): Buffer {
  return to === undefined ? BEHIND_ALL_KEYS : keyToBytes(to);
}

type Statement<Parameters extends unknown[], Row = unknown> = Database.Statement<Parameters, Row>;

/** Prepared once for each connection. */
class Statements {
  readonly branch: Statement<[string], { id: number; version: number; clearings: number }>;
  readonly page: Statement<[number, Buffer, Buffer, number], RawRow>;
  readonly prefixes: Statement<[string, number], RawRow>;
  readonly addBranch: Statement<[string]>;
  readonly nextVersion: Statement<[string], StagingState & { id: number }>;
  readonly addBase: Statement<[string, number]>;
  readonly baseId: Statement<[string], { id: number }>;
  readonly put: Statement<[number, Buffer, number, number, string | null, number]>;
  readonly restore: Statement<[number, number, string | null, number, number, Buffer]>;
  readonly addPrefix: Statement<[number, Buffer, number, number, number]>;
  readonly lastPrefix: Statement<[number, Buffer], { prefix: Buffer }>;
  readonly deleteRows: Statement<[number, Buffer, Buffer, number]>;
  readonly deletePrefixes: Statement<[number, Buffer, Buffer, number]>;
  readonly rebaseRows: Statement<[CommitId, number, CommitId]>;
  readonly rebasePrefixes: Statement<[CommitId, number, CommitId]>;
  readonly dropBranch: Statement<[string]>;
  readonly rename: Statement<[string, string]>;
  readonly cleared: Statement<[number]>;

  constructor(db: DurableDatabase) {
    const base = 'bases.commit_id, bases.checksum AS commit_checksum';
    const select = `SELECT branch, path, version, base, entry, staged.checksum, ${base}
      FROM staged LEFT JOIN bases ON bases.id = base WHERE branch = ? AND path >= ?`;
    const order = `AND version <= ? ORDER BY path LIMIT ${PAGE_ROWS}`;
    this.branch = db.prepare('SELECT id, version, clearings FROM branches WHERE name = ?');
    this.page = db.prepare(`${select} AND path < ? ${order}`);
    this.prefixes = db.prepare(
      `SELECT branch, prefix AS path, p.version, base, '${PREFIX_MARK}' AS entry, p.checksum, ${base}
       FROM removed_prefixes AS p
       LEFT JOIN bases ON bases.id = base JOIN branches ON branches.id = p.branch
       WHERE branches.name = ? AND p.version <= ? ORDER BY prefix`,
    );
    this.addBranch = db.prepare('INSERT OR IGNORE INTO branches VALUES (NULL, ?, 0, 0)');
    this.nextVersion = db.prepare(
      'UPDATE branches SET version = version + 1 WHERE name = ? RETURNING id, version, clearings',
    );
    this.addBase = db.prepare('INSERT OR IGNORE INTO bases VALUES (NULL, ?, ?)');
    this.baseId = db.prepare('SELECT id FROM bases WHERE commit_id = ?');
    this.put = db.prepare('INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?, ?)');
    this.restore = db.prepare(
      'UPDATE staged SET version = ?, base = ?, entry = ?, checksum = ? WHERE branch = ? AND path = ?',
    );
    this.addPrefix = db.prepare('INSERT OR REPLACE INTO removed_prefixes VALUES (?, ?, ?, ?, ?)');
    this.lastPrefix = db.prepare(
      `SELECT prefix FROM removed_prefixes WHERE branch = ? AND prefix <= ?
       ORDER BY prefix DESC LIMIT 1`,
    );
    const rows = 'DELETE FROM staged WHERE branch = ? AND path >= ?';
    const prefixes = 'DELETE FROM removed_prefixes WHERE branch = ? AND prefix >= ?';
    this.deleteRows = db.prepare(`${rows} AND path < ? AND version <= ?`);
    this.deletePrefixes = db.prepare(`${prefixes} AND prefix < ? AND version <= ?`);
    const rebase = `SET checksum = checksum - base + new.id, base = new.id
      FROM (SELECT id FROM bases WHERE commit_id = ?) AS new
      WHERE branch = ? AND base = (SELECT id FROM bases WHERE commit_id = ?)`;
    this.rebaseRows = db.prepare(`UPDATE staged ${rebase}`);
    this.rebasePrefixes = db.prepare(`UPDATE removed_prefixes ${rebase}`);
    this.dropBranch = db.prepare('DELETE FROM branches WHERE name = ?');
    this.rename = db.prepare('UPDATE branches SET name = ? WHERE name = ?');
    this.cleared = db.prepare(
      'UPDATE branches SET version = version + 1, clearings = clearings + 1 WHERE id = ?',
    );
  }
}
