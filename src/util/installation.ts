import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory that holds this installation: the nearest one above with a package.json. */
const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json')) || dirname(directory) === directory) {
    return directory;
  }
  return findRoot(dirname(directory));
}

/** Path of a file of the installation, wherever the code that asks was bundled into. */
export function installed(...parts: string[]): string {
  return join(ROOT, ...parts);
}
