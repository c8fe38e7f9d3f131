import type { Stats } from 'node:fs';
import { lstatSync } from 'node:fs';
import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import type { View } from '../../repo/view.js';
import { asTarnError, TarnError } from '../../util/errors.js';
import type { OwnPlaces } from './own-places.js';
import { realSource } from './own-places.js';
import type { PutInput } from './put.js';
import type { DiskPath } from './walk.js';
import { brokenRule, NOT_HELD } from './walk.js';

/** A source and where it goes. */
export interface PutTarget {
  readonly kind: 'file' | 'symlink' | 'directory';
  readonly path: DiskPath;
  /** Of the file; of a directory, empty or ending with `/`. */
  readonly key: Key;
}

/**
 * Where each source goes, by the rules of PutInput, with nothing read of any source yet.
 * @throws TarnError not-found, is-directory, invalid, denied
 */
export async function targetsOf(
  { sources, prefix, recursive }: Pick<PutInput, 'sources' | 'prefix' | 'recursive'>,
  view: View,
  own: OwnPlaces,
  signal: AbortSignal,
): Promise<PutTarget[]> {
  const kinds = sources.map((source) => kindOf(source, recursive));
  const into = sources.length > 1 || (kinds[0] !== 'directory' && (await isDirectory()));
  async function isDirectory(): Promise<boolean> {
    if (prefix === '' || prefix.endsWith('/')) return true;
    const below = await view.totals(`${prefix}/` as Key, signal);
    return below.entries > 0;
  }
  return sources.map((source, i) => {
    const kind = kinds[i] as PutTarget['kind'];
    const path = realSource(source, kind);
    own.refuse(path);
    const name = into ? path.slice(path.lastIndexOf('/') + 1) : '';
    const key = `${into ? asDirectory(prefix) : prefix}${name}` as Key;
    const target = { kind, path, key: kind === 'directory' ? asDirectory(key) : key };
    const rule = brokenRule(target.key);
    if (rule !== undefined) {
      throw new TarnError('invalid', `'${source}' cannot be put at '${keyToText(key)}': ${rule}`);
    }
    return target;
  });
}

function asDirectory(key: Key): Key {
  return key === '' || key.endsWith('/') ? key : (`${key}/` as Key);
}

function kindOf(source: string, recursive: boolean): PutTarget['kind'] {
  let stats: Stats;
  try {
    stats = lstatSync(source);
  } catch (error) {
    throw asTarnError(error, `looking at the source '${source}'`);
  }
  if (stats.isFile()) return 'file';
  if (stats.isSymbolicLink()) return 'symlink';
  if (!stats.isDirectory()) {
    throw new TarnError('invalid', `'${source}' cannot be put: ${NOT_HELD}`);
  }
  if (recursive) return 'directory';
  throw new TarnError('is-directory', `'${source}' is a directory`, {
    hint: 'put it with all it holds with -r',
  });
}
