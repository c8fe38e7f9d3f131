import type { Stats } from 'node:fs';
import { lstatSync } from 'node:fs';
import { asTarnError, TarnError } from '../util/errors.js';

/**
 * Whoever can put a socket into this directory can answer for the daemon, or read what is asked of
 * it: so it must be a real directory of this user's that nobody else may enter.
 * @throws TarnError denied; not-found when there is none
 */
export function checkPrivateDirectory(path: string): void {
  const stats = statDirectory(path);
  const isOwn = stats.uid === process.getuid?.();
  if (stats.isDirectory() && isOwn && (stats.mode & 0o077) === 0) return;
  throw new TarnError('denied', `'${path}' is not a directory private to this user`, {
    hint: isOwn
      ? `it must be a directory, no link: 'chmod 700 ${path}', or remove it`
      : "it is another user's: choose another place with TARN_HOME or XDG_RUNTIME_DIR",
  });
}

function statDirectory(path: string): Stats {
  try {
    return lstatSync(path);
  } catch (error) {
    throw asTarnError(error, `looking at '${path}'`);
  }
}
