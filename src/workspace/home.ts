import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { isPrivate, privateWorkspace } from '../model/workspace-name.js';
import type { DurableSchema } from '../store/local/durable-database.js';
import { DurableDatabase } from '../store/local/durable-database.js';
import { asTarnError, TarnError } from '../util/errors.js';

const SCHEMA: DurableSchema = {
  what: 'list of repositories',
  applicationId: 0x7461726d,
  version: 1,
  checkedOnOpening: true,
  hint: "restore this file from a copy; or delete it and make each repository known again with 'tarn repo add PLACE' (the default place is repositories/NAME beside this file): none of their contents are in it",
  tables: `
    CREATE TABLE repositories (
      name TEXT PRIMARY KEY,
      storage TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};

export interface KnownRepository {
  readonly name: string;
  /** A directory or a URL. */
  readonly storage: string;
}

/**
 * Where one user's tarn keeps what is not part of a repository: the list of repositories, staged
 * changes, caches, the daemon's socket and log. Private to its owner.
 */
export class Home {
  readonly path: string;
  readonly #database: DurableDatabase;

  private constructor(path: string, database: DurableDatabase) {
    this.path = path;
    this.#database = database;
  }

  /**
   * Opens the home directory, made with mode 0700 where there is none.
   * @throws TarnError denied when others could write to it, invalid, corrupt, io
   */
  static open(path: string): Home {
    makePrivateDirectory(path);
    mkdirSync(join(path, 'workspaces'), { recursive: true, mode: 0o700 });
    return new Home(path, new DurableDatabase(join(path, 'repositories.db'), SCHEMA, 'create'));
  }

  /** @throws TarnError exists */
  addRepository(repository: KnownRepository): void {
    const { name, storage } = repository;
    const insert = this.#database.prepare<[string, string]>(
      'INSERT OR IGNORE INTO repositories VALUES (?, ?)',
    );
    if (this.#database.run(() => insert.run(name, storage)).changes === 1) return;
    throw new TarnError('exists', `there is a repository '${name}' already`, {
      hint: `choose another name, or see it with 'tarn repo show ${name}'`,
    });
  }

  /** @throws TarnError not-found */
  repository(name: string): KnownRepository {
    const find = this.#database.prepare<[string], KnownRepository>(
      'SELECT name, storage FROM repositories WHERE name = ?',
    );
    const found = this.#database.run(() => find.get(name));
    if (found !== undefined) return found;
    throw new TarnError('not-found', `there is no repository '${name}'`, {
      hint: `see 'tarn repo list', or make it with 'tarn repo create ${name}'`,
    });
  }

  /** In order of names. */
  repositories(): KnownRepository[] {
    const all = this.#database.prepare<[], KnownRepository>(
      'SELECT name, storage FROM repositories ORDER BY name',
    );
    return this.#database.run(() => all.all());
  }

  /**
   * Forgets a repository, with what is staged on its branches and cached of it; its storage stays.
   * Nothing may have its workspaces open. An unknown one is no error.
   */
  removeRepository(name: string): void {
    const remove = this.#database.prepare<[string]>('DELETE FROM repositories WHERE name = ?');
    for (const file of [this.stagingFile(name), this.contentIndexFile(name)]) {
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
    }
    rmSync(join(this.path, 'workspaces', name), { recursive: true, force: true });
    this.#database.run(() => remove.run(name));
  }

  /** Where a repository goes for which the user names no storage. */
  defaultStorage(name: string): string {
    return join(this.path, 'repositories', name);
  }

  stagingFile(repository: string): string {
    return join(this.path, 'workspaces', `${repository}.db`);
  }

  /** Of what programs change in the workspace through mounts: a journal, and staged files beside it. */
  overlayFolder(repository: string, workspace: string): string {
    return join(this.path, 'workspaces', repository, workspace);
  }

  /** Names of the private workspaces of a repository, in order. */
  privateWorkspaces(repository: string): string[] {
    const folder = join(this.path, 'workspaces', repository);
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter(isPrivate).sort();
  }

  /**
   * Makes a private workspace on the branch; resolves to its name.
   * @throws TarnError no-space, denied, io
   */
  makePrivateWorkspace(repository: string, branch: string): string {
    mkdirSync(join(this.path, 'workspaces', repository), { recursive: true, mode: 0o700 });
    for (let number = 1; ; number += 1) {
      const name = privateWorkspace(branch, number);
      try {
        mkdirSync(this.overlayFolder(repository, name), { mode: 0o700 });
        return name;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
        throw asTarnError(error, 'making a private workspace');
      }
    }
  }

  /** Of imports from buckets that were interrupted. No branch has such a name. */
  importsFolder(repository: string): string {
    return join(this.path, 'workspaces', repository, '.imports');
  }

  contentIndexFile(repository: string): string {
    return join(this.path, 'cache', `contents-${repository}.db`);
  }

  /** What was read of buckets. */
  objectCacheFolder(): string {
    return join(this.path, 'cache', 'objects');
  }

  /** What is known of uploads under way (OpenBucketOptions.uploads). */
  uploadsFolder(): string {
    return join(this.path, 'cache', 'uploads');
  }

  verifiedStampsFile(): string {
    return join(this.path, 'cache', 'verified.db');
  }

  close(): void {
    this.#database.close();
  }
}

export interface HomeLock {
  release(): void;
}

/**
 * Takes the lock that only one daemon of a home can have. The kernel holds it, so that it ends with
 * the process, however that dies.
 * @throws TarnError busy when another process has it
 */
export function lockHome(path: string): HomeLock {
  makePrivateDirectory(path);
  let database: Database.Database | undefined;
  try {
    database = new Database(join(path, 'daemon.lock'), { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new TarnError('busy', `another daemon serves the home '${path}'`, {
        hint: "see it with 'tarn daemon status', or stop it with 'tarn daemon stop'",
      });
    }
    throw asTarnError(error, `locking the home '${path}'`);
  }
  const held = database;
  return { release: () => void held.close() };
}

function makePrivateDirectory(path: string): void {
  try {
    const made = mkdirSync(path, { recursive: true, mode: 0o700 });
    if (made !== undefined) chmodSync(path, 0o700);
  } catch (error) {
    throw asTarnError(error, `making the home directory '${path}'`);
  }
  const stats = lstatSync(path);
  if (!stats.isDirectory()) {
    throw new TarnError('not-directory', `the home '${path}' is not a directory`, {
      hint: 'set TARN_HOME to a directory of your own',
    });
  }
  if ((stats.mode & 0o022) !== 0) {
    throw new TarnError('denied', `others may write to the home directory '${path}'`, {
      hint: `take that right away with: chmod 700 '${path}'`,
    });
  }
  const user = process.getuid?.();
  if (user !== undefined && stats.uid !== user && user !== 0) {
    throw new TarnError('denied', `the home directory '${path}' belongs to another user`, {
      hint: 'set TARN_HOME to a directory of your own',
    });
  }
}
