import type Database from 'better-sqlite3';
import type { CommitId, NodeId } from '../model/ids.js';
import type { DurableDatabase, DurableSchema } from '../store/local/durable-database.js';

export const SCHEMA: DurableSchema = {
  what: 'staging database',
  applicationId: 0x7461726c,
  version: 3,
  oldest: 3,
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
    CREATE TABLE staged_trees (
      branch INTEGER PRIMARY KEY,
      version INTEGER NOT NULL,
      base INTEGER NOT NULL,
      tree TEXT NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE renames (
      old_name TEXT PRIMARY KEY,
      new_name TEXT NOT NULL
    ) STRICT;
  `,
};

/** Rows read at once: memory is bounded, and no statement stays open across ticks. */
export const PAGE_ROWS = 1_000;

export interface RawRow {
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

export interface RawState {
  readonly id: number;
  readonly version: number;
  readonly clearings: number;
  /** Of the staged tree; null where there is none. */
  readonly tree_version: number | null;
  readonly base: number;
  readonly tree: NodeId;
  readonly checksum: number;
  readonly commit_id: CommitId | null;
  readonly commit_checksum: number | null;
}

type Statement<Parameters extends unknown[], Row = unknown> = Database.Statement<Parameters, Row>;

/** Prepared once for each connection. */
export class Statements {
  readonly branch: Statement<[string], RawState>;
  readonly count: Statement<[string, number], { count: number }>;
  readonly page: Statement<[number, Buffer, Buffer, number], RawRow>;
  readonly addBranch: Statement<[string]>;
  readonly nextVersion: Statement<[string], { id: number; version: number; clearings: number }>;
  readonly addBase: Statement<[string, number]>;
  readonly baseId: Statement<[string], { id: number }>;
  readonly put: Statement<[number, Buffer, number, number, string | null, number]>;
  readonly restore: Statement<[number, number, string | null, number, number, Buffer]>;
  readonly putTree: Statement<[number, number, number, NodeId, number]>;
  readonly dropTree: Statement<[number]>;
  readonly deleteRows: Statement<[number, Buffer, Buffer, number]>;
  readonly rebaseRows: Statement<[CommitId, number, CommitId]>;
  readonly dropBranch: Statement<[string]>;
  readonly rename: Statement<[string, string]>;
  readonly cleared: Statement<[number]>;
  readonly addRename: Statement<[string, string]>;
  readonly renames: Statement<[], { from: string; to: string }>;
  readonly endRename: Statement<[string]>;

  constructor(db: DurableDatabase) {
    const base = 'bases.commit_id, bases.checksum AS commit_checksum';
    const select = `SELECT branch, path, version, base, entry, staged.checksum, ${base}
      FROM staged LEFT JOIN bases ON bases.id = base WHERE branch = ? AND path >= ?`;
    const order = `AND version <= ? ORDER BY path LIMIT ${PAGE_ROWS}`;
    this.branch = db.prepare(
      `SELECT branches.id, branches.version, clearings, t.version AS tree_version, base, tree,
         t.checksum, ${base}
       FROM branches LEFT JOIN staged_trees AS t ON t.branch = branches.id
       LEFT JOIN bases ON bases.id = base WHERE name = ?`,
    );
    this.count = db.prepare(
      `SELECT count(*) AS count FROM
         (SELECT 1 FROM staged JOIN branches ON branches.id = branch WHERE name = ? LIMIT ?)`,
    );
    this.page = db.prepare(`${select} AND path < ? ${order}`);
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
    this.putTree = db.prepare('INSERT OR REPLACE INTO staged_trees VALUES (?, ?, ?, ?, ?)');
    this.dropTree = db.prepare('DELETE FROM staged_trees WHERE branch = ?');
    this.deleteRows = db.prepare(
      'DELETE FROM staged WHERE branch = ? AND path >= ? AND path < ? AND version <= ?',
    );
    this.rebaseRows = db.prepare(
      `UPDATE staged SET checksum = checksum - base + new.id, base = new.id
       FROM (SELECT id FROM bases WHERE commit_id = ?) AS new
       WHERE branch = ? AND base = (SELECT id FROM bases WHERE commit_id = ?)`,
    );
    this.dropBranch = db.prepare('DELETE FROM branches WHERE name = ?');
    this.rename = db.prepare('UPDATE branches SET name = ? WHERE name = ?');
    this.cleared = db.prepare('UPDATE branches SET clearings = clearings + 1 WHERE id = ?');
    this.addRename = db.prepare('INSERT OR REPLACE INTO renames VALUES (?, ?)');
    this.renames = db.prepare('SELECT old_name AS "from", new_name AS "to" FROM renames');
    this.endRename = db.prepare('DELETE FROM renames WHERE old_name = ?');
  }
}
