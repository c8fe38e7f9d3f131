import type Database from 'better-sqlite3';
import type { Hash, PackId } from '../model/ids.js';
import { TarnError } from '../util/errors.js';
import { guarded, openRebuildable } from './sqlite.js';

const VERSION = 1;
const SCHEMA = `
  CREATE TABLE packs (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE contents (
    hash BLOB PRIMARY KEY,
    pack INTEGER NOT NULL,
    offset INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;
/** Hashes looked up by one statement. */
const BATCH = 64;
/**
 * Contents held back until they are written together: their keys are random, so that a small
 * transaction would touch almost as many pages of the file as a large one.
 */
const PENDING_MAX = 50_000;

type FoundRow = [hash: Buffer, pack: number, offset: number];

interface AddedContent {
  readonly hash: Hash;
  readonly offset: number;
}

interface FoundContent {
  readonly pack: PackId;
  readonly packBytes: number;
  readonly offset: number;
}

/** The content index of one repository (repo/content-index.ts) in a SQLite file. */
export class SqliteContentIndex {
  readonly #path: string;
  readonly #database: Database.Database;
  readonly #find: Database.Statement<Buffer[], FoundRow>;
  readonly #any: Database.Statement<[], unknown>;
  readonly #packId: Database.Statement<[Buffer], { id: number }>;
  readonly #pack: Database.Statement<[number], { hash: Buffer; bytes: number }>;
  readonly #addPack: Database.Statement<[Buffer, number]>;
  readonly #addContent: Database.Statement<[Buffer, number | bigint, number]>;
  readonly #dropContents: Database.Statement<[number]>;
  readonly #dropPack: Database.Statement<[number]>;
  /** Not in the file yet. */
  readonly #pending = new Map<Hash, FoundContent>();
  readonly #pendingPacks = new Map<PackId, number>();

  constructor(path: string) {
    this.#path = path;
    const database = openRebuildable(path, VERSION, SCHEMA);
    this.#database = database;
    const places = Array<string>(BATCH).fill('?').join(',');
    const find = `SELECT hash, pack, offset FROM contents WHERE hash IN (${places})`;
    this.#find = database.prepare<Buffer[], FoundRow>(find).raw();
    this.#any = database.prepare('SELECT 1 FROM contents LIMIT 1');
    this.#packId = database.prepare('SELECT id FROM packs WHERE hash = ?');
    this.#pack = database.prepare('SELECT hash, bytes FROM packs WHERE id = ?');
    this.#addPack = database.prepare('INSERT INTO packs (hash, bytes) VALUES (?, ?)');
    this.#addContent = database.prepare('INSERT OR IGNORE INTO contents VALUES (?, ?, ?)');
    this.#dropContents = database.prepare('DELETE FROM contents WHERE pack = ?');
    this.#dropPack = database.prepare('DELETE FROM packs WHERE id = ?');
  }

  find(hashes: readonly Hash[]): Map<Hash, FoundContent> {
    const found = new Map<Hash, FoundContent>();
    const missing: Hash[] = [];
    for (const hash of hashes) {
      const pending = this.#pending.get(hash);
      if (pending === undefined) missing.push(hash);
      else found.set(hash, pending);
    }
    guarded(this.#path, () => this.#findStored(missing, found));
    return found;
  }

  add(pack: PackId, packBytes: number, contents: readonly AddedContent[]): void {
    this.#pendingPacks.set(pack, packBytes);
    for (const { hash, offset } of contents) this.#pending.set(hash, { pack, packBytes, offset });
    if (this.#pending.size >= PENDING_MAX) this.flush();
  }

  /** Writes what was added. What a killed process did not write is found in the packs again. */
  flush(): void {
    if (this.#pendingPacks.size === 0) return;
    guarded(this.#path, () => this.#database.transaction(() => this.#writePending()).immediate());
    this.#pending.clear();
    this.#pendingPacks.clear();
  }

  drop(pack: PackId): void {
    this.flush();
    guarded(this.#path, () =>
      this.#database
        .transaction(() => {
          const row = this.#packId.get(Buffer.from(pack, 'hex'));
          if (row === undefined) return;
          this.#dropContents.run(row.id);
          this.#dropPack.run(row.id);
        })
        .immediate(),
    );
  }

  has(pack: PackId): boolean {
    if (this.#pendingPacks.has(pack)) return true;
    return guarded(this.#path, () => this.#packId.get(Buffer.from(pack, 'hex')) !== undefined);
  }

  close(): void {
    try {
      this.flush();
    } catch (error) {
      // Closing often follows a fault, a full disk say; what was held back is in the packs.
      if (!(error instanceof TarnError)) throw error;
    } finally {
      this.#database.close();
    }
  }

  #findStored(hashes: readonly Hash[], found: Map<Hash, FoundContent>): void {
    if (this.#any.get() === undefined) return;
    const packs = new Map<number, { pack: PackId; packBytes: number }>();
    for (let start = 0; start < hashes.length; start += BATCH) {
      for (const [hash, packRow, offset] of this.#find.all(...batchOf(hashes, start))) {
        let place = packs.get(packRow);
        if (place === undefined) {
          const row = this.#pack.get(packRow);
          if (row === undefined) continue;
          place = { pack: row.hash.toString('hex') as PackId, packBytes: row.bytes };
          packs.set(packRow, place);
        }
        found.set(hash.toString('hex') as Hash, { ...place, offset });
      }
    }
  }

  #writePending(): void {
    const ids = new Map<PackId, number | bigint>();
    for (const [pack, packBytes] of this.#pendingPacks) {
      const hash = Buffer.from(pack, 'hex');
      const known = this.#packId.get(hash);
      ids.set(pack, known?.id ?? this.#addPack.run(hash, packBytes).lastInsertRowid);
    }
    // In the order of keys each page of the table is touched once.
    for (const hash of [...this.#pending.keys()].sort()) {
      const place = this.#pending.get(hash);
      if (place === undefined) continue;
      this.#addContent.run(Buffer.from(hash, 'hex'), ids.get(place.pack) ?? 0, place.offset);
    }
  }
}

/** Binary hashes from `start`, filled up to a whole batch with the last one. */
function batchOf(hashes: readonly Hash[], start: number): Buffer[] {
  const batch: Buffer[] = [];
  for (let i = start; i < start + BATCH; i += 1) {
    const hash = hashes[i];
    batch.push(hash === undefined ? (batch.at(-1) ?? Buffer.alloc(0)) : Buffer.from(hash, 'hex'));
  }
  return batch;
}
