import { close, existsSync, fsync, open } from 'node:fs';
import Database from 'better-sqlite3';
import { TarnError } from '../../util/errors.js';
import { keepWriteAheadLog } from './write-ahead.js';

/** Longest wait for another process or thread that is writing. */
const BUSY_WAIT_MS_MAX = 30_000;

export interface DurableSchema {
  /** What the file is, to follow "the": `ref database`. */
  readonly what: string;
  /** SQLite's application_id: tells this kind of file from any other. */
  readonly applicationId: number;
  /** At least 1; a file of a later version is refused. */
  readonly version: number;
  /** A file of a version before this one is refused. */
  readonly oldest?: number;
  readonly tables: string;
  /** Read all of it once at every opening; otherwise damage shows when it is come upon. */
  readonly checkedOnOpening: boolean;
  /** What to do when the file is damaged. */
  readonly hint: string;
}

/**
 * A SQLite file whose loss would lose work: a commit is on the disk when its transaction returns, any
 * number of threads and processes may have it open, and damage is an error, never a new file.
 */
export class DurableDatabase {
  readonly #path: string;
  readonly #schema: DurableSchema;
  readonly #database: Database.Database;

  /**
   * @param mode 'existing' refuses a missing or empty file, 'create' makes its tables where they lack
   * @throws TarnError corrupt, unsupported, busy, no-space, denied, io; all name the file
   */
  constructor(path: string, schema: DurableSchema, mode: 'existing' | 'create') {
    this.#path = path;
    this.#schema = schema;
    if (mode === 'existing' && !existsSync(path)) {
      throw new TarnError('corrupt', `the ${schema.what} '${path}' is missing`, {
        hint: schema.hint,
      });
    }
    this.#database = this.run(() => this.#open(mode));
  }

  /** Runs `work`; a fault of SQLite becomes a TarnError that names the file. */
  run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#explained(error);
    }
  }

  prepare<Parameters extends unknown[], Row = unknown>(
    sql: string,
  ): Database.Statement<Parameters, Row> {
    return this.run(() => this.#database.prepare<Parameters, Row>(sql));
  }

  /** Runs `work` in one transaction that holds the write lock from its start. */
  write<T>(work: () => T): T {
    return this.run(() => this.#database.transaction(work).immediate());
  }

  /**
   * As write, but on the disk only a moment after it returns: until then a crash of the machine, not
   * of the process, undoes it. What is written later is never on the disk without it.
   */
  writeSoon<T>(work: () => T): T {
    this.#database.pragma('synchronous = NORMAL');
    try {
      return this.write(work);
    } finally {
      this.#database.pragma('synchronous = FULL');
      syncSoon(`${this.#path}-wal`);
    }
  }

  /** Runs `work` so that all it reads is of one moment. */
  read<T>(work: () => T): T {
    return this.run(() => this.#database.transaction(work).deferred());
  }

  close(): void {
    this.#database.close();
  }

  damaged(why: string): TarnError {
    const { what, hint } = this.#schema;
    return new TarnError('corrupt', `the ${what} '${this.#path}' is damaged: ${why}`, { hint });
  }

  #open(mode: 'existing' | 'create'): Database.Database {
    const database = new Database(this.#path, { timeout: BUSY_WAIT_MS_MAX });
    try {
      database.pragma('synchronous = FULL');
      if (mode === 'create') this.#createTables(database);
      this.#checkKind(database);
      if (this.#schema.checkedOnOpening) this.#checkPages(database);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #createTables(database: Database.Database): void {
    const { applicationId, version, tables } = this.#schema;
    const isEmpty = (): boolean =>
      database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
    if (!isEmpty()) return;
    keepWriteAheadLog(database, BUSY_WAIT_MS_MAX);
    database
      .transaction(() => {
        if (!isEmpty()) return;
        database.pragma(`application_id = ${applicationId}`);
        database.pragma(`user_version = ${version}`);
        database.exec(tables);
      })
      .immediate();
  }

  #checkKind(database: Database.Database): void {
    const { what, applicationId, version, oldest = 1 } = this.#schema;
    const found = database.pragma('application_id', { simple: true });
    if (found !== applicationId) throw this.damaged(`it holds no ${what} of tarn`);
    const written = database.pragma('user_version', { simple: true }) as number;
    if (written > version) {
      throw new TarnError(
        'unsupported',
        `the ${what} '${this.#path}' has the version ${written}, this tarn reads up to ${version}`,
        { hint: 'update tarn on this machine' },
      );
    }
    if (written < oldest) {
      throw new TarnError(
        'unsupported',
        `the ${what} '${this.#path}' was made by a pre-release of tarn: it has the version ${written}, this tarn reads from ${oldest} on`,
        { hint: this.#schema.hint },
      );
    }
  }

  #checkPages(database: Database.Database): void {
    const findings = database.pragma('quick_check(1)', { simple: true });
    if (findings !== 'ok') throw this.damaged(String(findings));
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof Database.SqliteError)) return error;
    const { code, message } = error;
    if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
      return this.damaged(message);
    }
    const [kind, hint] = FAULTS[code.split('_', 2).join('_')] ?? ['io'];
    return new TarnError(kind, `the ${this.#schema.what} '${this.#path}': ${message}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** A disk that fails here fails the next write, which waits for it. */
function syncSoon(path: string): void {
  open(path, 'r', (missing, fd) => {
    if (missing === null) fsync(fd, () => close(fd, () => undefined));
  });
}

const FAULTS: Readonly<Record<string, readonly [kind: TarnError['kind'], hint?: string]>> = {
  SQLITE_BUSY: ['busy', 'another process is writing for long; run the command again'],
  SQLITE_FULL: ['no-space', 'free some space on that disk and run the command again'],
  SQLITE_READONLY: ['denied', 'give this user the right to write to that file and its folder'],
  SQLITE_CANTOPEN: ['denied', 'give this user the right to write to that file and its folder'],
  SQLITE_PERM: ['denied', 'give this user the right to write to that file and its folder'],
};
