import type Database from 'better-sqlite3';
import type { Hash, PackId } from '../model/ids.js';
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

interface FoundRow {
  readonly hash: Buffer;
  readonly offset: number;
  readonly pack: Buffer;
  readonly bytes: number;
}

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
  readonly #addPack: Database.Statement<[Buffer, number]>;
  readonly #addContent: Database.Statement<[Buffer, number | bigint, number]>;
  readonly #dropContents: Database.Statement<[number]>;
  readonly #dropPack: Database.Statement<[number]>;

  constructor(path: string) {
    this.#path = path;
    this.#database = openRebuildable(path, VERSION, SCHEMA);
    const places = Array<string>(BATCH).fill('?').join(',');
    this.#find = this.#database.prepare(
      `SELECT c.hash, c.offset, p.hash AS pack, p.bytes FROM contents c
       JOIN packs p ON p.id = c.pack WHERE c.hash IN (${places})`,
    );
    this.#any = this.#database.prepare('SELECT 1 FROM contents LIMIT 1');
    this.#packId = this.#database.prepare('SELECT id FROM packs WHERE hash = ?');
    this.#addPack = this.#database.prepare('INSERT INTO packs (hash, bytes) VALUES (?, ?)');
    this.#addContent = this.#database.prepare('INSERT OR IGNORE INTO contents VALUES (?, ?, ?)');
    this.#dropContents = this.#database.prepare('DELETE FROM contents WHERE pack = ?');
    this.#dropPack = this.#database.prepare('DELETE FROM packs WHERE id = ?');
  }

  find(hashes: readonly Hash[]): Map<Hash, FoundContent> {
    return guarded(this.#path, () => {
      const found = new Map<Hash, FoundContent>();
      if (this.#any.get() === undefined) return found;
      const packs = new Map<string, PackId>();
      for (let start = 0; start < hashes.length; start += BATCH) {
        for (const row of this.#find.all(...batchOf(hashes, start))) {
          const raw = row.pack.toString('latin1');
          const pack = packs.get(raw) ?? (row.pack.toString('hex') as PackId);
          packs.set(raw, pack);
          const content = { pack, packBytes: row.bytes, offset: row.offset };
          found.set(row.hash.toString('hex') as Hash, content);
        }
      }
      return found;
    });
  }

  add(pack: PackId, packBytes: number, contents: readonly AddedContent[]): void {
    const hash = Buffer.from(pack, 'hex');
    // Random keys in order touch each page of the table once.
    const rows = contents.map((row) => ({ hash: Buffer.from(row.hash, 'hex'), at: row.offset }));
    rows.sort((a, b) => Buffer.compare(a.hash, b.hash));
    guarded(this.#path, () =>
      this.#database
        .transaction(() => {
          if (this.#packId.get(hash) !== undefined) return;
          const id = this.#addPack.run(hash, packBytes).lastInsertRowid;
          for (const row of rows) this.#addContent.run(row.hash, id, row.at);
        })
        .immediate(),
    );
  }

  drop(pack: PackId): void {
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
    return guarded(this.#path, () => this.#packId.get(Buffer.from(pack, 'hex')) !== undefined);
  }

  close(): void {
    this.#database.close();
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
