import { realpathSync } from 'node:fs';
import { homePath } from '../workspace/home-path.js';

/** The home directory, once it exists by its real name, so that all its names lead to one daemon. */
export function homeDirectory(): string {
  const chosen = homePath();
  try {
    return realpathSync.native(chosen);
  } catch {
    // It does not exist yet.
    return chosen;
  }
}
