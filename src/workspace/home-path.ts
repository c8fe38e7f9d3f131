import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** Below the home, where the command line leaves what came through a pipe, to be put. */
export const SPOOL_DIRECTORY = 'spool';

/**
 * The home directory that this environment chooses: TARN_HOME, else `tarn` in XDG_DATA_HOME, else
 * `~/.local/share/tarn`.
 */
export function homePath(environment: NodeJS.ProcessEnv = process.env): string {
  const chosen = environment['TARN_HOME'];
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  const data = environment['XDG_DATA_HOME'];
  if (data !== undefined && isAbsolute(data)) return join(data, 'tarn');
  return join(homedir(), '.local', 'share', 'tarn');
}
