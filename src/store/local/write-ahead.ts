import Database from 'better-sqlite3';

/** Longest pause between two tries. */
const PAUSE_MS_MAX = 20;

/**
 * Makes the database keep a write-ahead log, for good. Two that do so to a new file at the same time
 * hold one another up, which SQLite ends at once instead of waiting: the thread waits here instead.
 * @param waitMsMax of all tries
 * @throws SqliteError SQLITE_BUSY when others are in the way for longer
 */
export function keepWriteAheadLog(database: Database.Database, waitMsMax: number): void {
  const deadlineMs = performance.now() + waitMsMax;
  for (;;) {
    try {
      database.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      const isBusy = error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY';
      if (!isBusy || performance.now() > deadlineMs) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.random() * PAUSE_MS_MAX);
  }
}
