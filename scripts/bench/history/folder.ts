import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { directoryOf, FILES_IN_DIRECTORY, pathOf } from './layout.js';

/** Makes the first `files` files of the layout below `folder`, no two alike. */
export function makeFolder(folder: string, files: number): void {
  for (let index = 0; index < files; index++) {
    if (index % FILES_IN_DIRECTORY === 0) {
      mkdirSync(join(folder, directoryOf(index)), { recursive: true });
    }
    writeFileSync(join(folder, pathOf(index)), `frame ${index}\n`);
  }
}

/** Makes the given files below `folder`, with contents of this `round`. */
export function makeChanged(folder: string, paths: readonly string[], round: number): void {
  for (const path of paths) {
    const file = join(folder, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, `${path} in round ${round}\n`);
  }
}
