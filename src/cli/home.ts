import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * TARN_HOME, or `tarn` in the user's data directory. Absolute and, once it exists, by its real name,
 * so that all its names lead to one daemon.
 */
export function homeDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const chosen = chosenDirectory(env);
  try {
    return realpathSync.native(chosen);
  } catch {
    // It does not exist yet.
    return chosen;
  }
}

function chosenDirectory(env: NodeJS.ProcessEnv): string {
  const named = env['TARN_HOME'];
  if (named !== undefined && named !== '') return resolve(named);
  const data = env['XDG_DATA_HOME'];
  const base = data !== undefined && data !== '' ? data : join(homedir(), '.local', 'share');
  return join(resolve(base), 'tarn');
}
