import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Lab } from '../lab.js';
import { bestOf } from '../large-log.js';
import type { Measurement } from '../report.js';
import { Desk } from './desk.js';

const ROUNDS = 3;

/** Inserts into a database of SQLite, each a transaction of its own, with a log (WAL). */
export async function inserts(lab: Lab, count: number): Promise<Measurement[]> {
  await lab.tarn('repo', 'create', 'database');
  const desk = await Desk.open(lab, 'database');
  const measure = (synchronous: string, rows: number) => async (folder: string) => {
    const file = join(folder, 'labels.db');
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
    await lab.run('sync');
    const seconds = await lab.time(async () => insert(file, synchronous, rows));
    return rows / seconds;
  };
  const normal = await bestOf(ROUNDS, desk.plain, desk.mounted, measure('normal', count));
  const full = await bestOf(ROUNDS, desk.plain, desk.mounted, measure('full', count / 20));
  const results = [
    await desk.line('SQLite inserts, WAL, synchronous=NORMAL', 'rows/s', normal, 0.8),
    await desk.line('SQLite inserts, WAL, synchronous=FULL', 'rows/s', full, 0.8),
    await desk.stallLine('SQLite inserts'),
  ];
  await desk.close();
  return results;
}

function insert(file: string, synchronous: string, count: number): void {
  const database = new Database(file);
  try {
    database.pragma('journal_mode = wal');
    database.pragma(`synchronous = ${synchronous}`);
    database.exec('CREATE TABLE labels (frame INTEGER PRIMARY KEY, body TEXT)');
    const add = database.prepare('INSERT INTO labels (body) VALUES (?)');
    for (let row = 0; row < count; row += 1) add.run(`label ${row} `.repeat(20));
  } finally {
    database.close();
  }
}
