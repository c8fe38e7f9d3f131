import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { storagePlace } from '../../repo/storage.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { Home } from '../home.js';
import { SPOOL_DIRECTORY } from '../home-path.js';
import type { DiskPath } from './walk.js';
import { diskPath, pathText } from './walk.js';

/**
 * Where tarn keeps its own files: the home, and the storage of every repository that the home knows.
 * No put opens a file there: a process that closes any descriptor of a file drops all its POSIX locks
 * on it, so that one read of a database would take its locks from everyone in the daemon.
 */
export class OwnPlaces {
  /** Real paths. */
  readonly directories: ReadonlySet<DiskPath>;
  readonly #spool: DiskPath;

  constructor(home: Home) {
    const storages = home.repositories().flatMap(({ storage }) => {
      const place = storagePlace(storage);
      return place.kind === 'local' ? [place.directory] : [];
    });
    this.directories = new Set([home.path, ...storages].map(realPathIfThere));
    this.#spool = `${realPathIfThere(home.path)}/${SPOOL_DIRECTORY}` as DiskPath;
  }

  /** @throws TarnError invalid when the real path is at or below one of them */
  refuse(path: DiskPath): void {
    if (isAtOrBelow(path, this.#spool)) return;
    for (const directory of this.directories) {
      if (!isAtOrBelow(path, directory)) continue;
      throw new TarnError(
        'invalid',
        `'${pathText(path)}' cannot be taken in: tarn keeps its own files in '${pathText(directory)}'`,
        { hint: 'copy it to another place and name that' },
      );
    }
  }
}

/**
 * The path without symlinks in it; one that it names is not followed.
 * @throws TarnError not-found, denied
 */
export function realSource(source: string, kind: 'file' | 'symlink' | 'directory'): DiskPath {
  try {
    if (kind !== 'symlink') return realPath(source);
    const parent = realPath(dirname(source));
    return `${parent === '/' ? '' : parent}/${diskPath(basename(source))}` as DiskPath;
  } catch (error) {
    throw asTarnError(error, `looking at the source '${source}'`);
  }
}

function realPath(path: string): DiskPath {
  return realpathSync.native(path, 'latin1') as DiskPath;
}

/** A storage whose disk is not there holds nothing to keep away from. */
function realPathIfThere(path: string): DiskPath {
  try {
    return realPath(path);
  } catch {
    return diskPath(path);
  }
}

function isAtOrBelow(path: DiskPath, directory: DiskPath): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}
