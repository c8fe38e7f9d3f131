import { renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { RESERVED } from '../keys.js';
import { etagOf } from './write-file.js';

const LOCK_WAIT_MS_MAX = 10_000;

/**
 * Moves `from` to `to` if the file there has the etag; false when it has not. Atomic among all
 * processes that replace conditionally: POSIX has no such rename, so a lock guards it that the
 * kernel releases when its holder dies.
 */
export function replaceIfMatch(root: string, from: string, to: string, etag: string): boolean {
  const lock = new Database(join(root, RESERVED, 'replace.lock'), { timeout: LOCK_WAIT_MS_MAX });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    const found = statSync(to, { bigint: true, throwIfNoEntry: false });
    if (found === undefined || etagOf(found.ino, found.size, found.mtimeNs) !== etag) return false;
    renameSync(from, to);
    return true;
  } finally {
    lock.close();
  }
}
