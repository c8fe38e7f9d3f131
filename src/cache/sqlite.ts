import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { TarnError } from '../util/errors.js';
import { keepWriteAheadLog } from '../store/local/write-ahead.js';

const BUSY_WAIT_MS_MAX = 20_000;

/**
 * Opens a database that can be made anew from what is stored elsewhere: a damaged file, or one of
 * another version, is replaced by an empty one. Several threads and processes may have it open.
 * @param version of the schema, at least 1
 */
export function openRebuildable(path: string, version: number, schema: string): Database.Database {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    return openDatabase(path, version, schema);
  } catch (error) {
    if (!isDamage(error)) throw explained(error, path);
  }
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
  try {
    return openDatabase(path, version, schema);
  } catch (error) {
    throw explained(error, path);
  }
}

/** Runs `work` on an open database; its faults name the file. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explained(error, path);
  }
}

function openDatabase(path: string, version: number, schema: string): Database.Database {
  const database = new Database(path, { timeout: BUSY_WAIT_MS_MAX });
  try {
    keepWriteAheadLog(database, BUSY_WAIT_MS_MAX);
    // A lost tail is found missing and made again.
    database.pragma('synchronous = NORMAL');
    database.exec('BEGIN IMMEDIATE');
    const found = database.pragma('user_version', { simple: true }) as number;
    if (found !== version) {
      for (const { name } of tables(database)) database.exec(`DROP TABLE "${name}"`);
      database.exec(schema);
      database.pragma(`user_version = ${version}`);
    }
    database.exec('COMMIT');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function tables(database: Database.Database): { name: string }[] {
  const query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
  return database.prepare<[], { name: string }>(query).all();
}

function isDamage(error: unknown): boolean {
  const code = error instanceof Database.SqliteError ? error.code : '';
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
}

function explained(error: unknown, path: string): TarnError {
  if (error instanceof TarnError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isDamage(error)) {
    return new TarnError('corrupt', `the cache file '${path}' is damaged: ${message}`, {
      hint: `stop the daemon and delete it: it is made again from the repository`,
      cause: error,
    });
  }
  const full = error instanceof Database.SqliteError && error.code === 'SQLITE_FULL';
  return new TarnError(full ? 'no-space' : 'io', `cache file '${path}': ${message}`, {
    cause: error,
    ...(full ? { hint: 'free some space on that disk and run the command again' } : {}),
  });
}
