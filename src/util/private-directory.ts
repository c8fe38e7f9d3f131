import type { Stats } from 'node:fs';
import { lstatSync } from 'node:fs';
import { asTarnError, TarnError } from './errors.js';

/**
 * Whoever can put files into this directory can answer for the daemon, or for what was read: so it
 * must be a real directory of this user's that nobody else may enter.
 * @param variables that name another place
 * @throws TarnError denied; not-found when there is none
 */
export function checkPrivateDirectory(
  path: string,
  variables = 'TARN_HOME or XDG_RUNTIME_DIR',
): void {
  const stats = statDirectory(path);
  const isOwn = stats.uid === process.getuid?.();
  if (stats.isDirectory() && isOwn && (stats.mode & 0o077) === 0) return;
  throw new TarnError('denied', `'${path}' is not a directory private to this user`, {
    hint: isOwn
      ? `it must be a directory, no link: 'chmod 700 ${path}', or remove it`
      : `it is another user's: choose another place with ${variables}`,
  });
}

function statDirectory(path: string): Stats {
  try {
    return lstatSync(path);
  } catch (error) {
    throw asTarnError(error, `looking at '${path}'`);
  }
}
