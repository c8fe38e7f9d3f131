import { isUtf8 } from 'node:buffer';
import type { BigIntStats, Dirent } from 'node:fs';
import { lstatSync, readdirSync } from 'node:fs';
import type { Key } from '../../model/path.js';
import { PATH_BYTES_MAX } from '../../model/path.js';

/** A path on disk with one char for each byte, as a Key has it. */
export type DiskPath = string & { readonly __path: 'bytes' };

/** What a walk comes upon; `key` is where it goes. */
export type Found =
  | { readonly kind: 'file' | 'symlink'; readonly key: Key; readonly path: DiskPath }
  /** A directory that its files alone would not bring back: empty, or with unusual rights. */
  | { readonly kind: 'directory'; readonly key: Key; readonly stats: BigIntStats }
  | { readonly kind: 'skipped' | 'failed'; readonly path: DiskPath; readonly why: string };

const USUAL_DIRECTORY_MODE = 0o755n;
const REPLACEMENT = Buffer.from('\uFFFD', 'utf8').toString('latin1');
const IS_ASCII = /^[\x20-\x7e]*$/;

export function diskPath(text: string): DiskPath {
  return Buffer.from(text, 'utf8').toString('latin1') as DiskPath;
}

/** What the file system calls take: the very bytes, also where they are not UTF-8. */
export function forSystem(path: DiskPath): string | Buffer {
  return IS_ASCII.test(path) ? path : Buffer.from(path, 'latin1');
}

/** For messages. */
export function pathText(path: DiskPath): string {
  return IS_ASCII.test(path) ? path : Buffer.from(path, 'latin1').toString('utf8');
}

/** Whether it has the rights that a mount shows for a directory without a marker. */
export function isUsualDirectory({ mode }: BigIntStats): boolean {
  return (mode & 0o7777n) === USUAL_DIRECTORY_MODE;
}

/**
 * Everything below a directory in byte order of keys, so that packs hold neighbours together.
 * @param prefix key of the directory: empty, or ending with `/`
 * @param excluded directories that are not entered
 */
export function* walkDirectory(
  path: DiskPath,
  prefix: Key,
  excluded: ReadonlySet<DiskPath>,
): Iterable<Found> {
  if (excluded.has(path)) {
    yield { kind: 'skipped', path, why: 'tarn keeps its own files here' };
    return;
  }
  let children: Child[];
  let stats: BigIntStats;
  try {
    stats = lstatSync(forSystem(path), { bigint: true });
    children = childrenOf(path);
  } catch (error) {
    yield { kind: 'failed', path, why: why(error) };
    return;
  }
  if (prefix !== '' && (children.length === 0 || !isUsualDirectory(stats))) {
    yield { kind: 'directory', key: prefix, stats };
  }
  for (const { name, kind } of children) {
    const bare = kind === 'directory' ? name.slice(0, -1) : name;
    const childPath = `${path === '/' ? '' : path}/${bare}` as DiskPath;
    const key = `${prefix}${name}` as Key;
    const rule = brokenRule(key);
    if (rule !== undefined) yield { kind: 'failed', path: childPath, why: rule };
    else if (kind === 'directory') yield* walkDirectory(childPath, key, excluded);
    else if (kind === 'other') yield { kind: 'skipped', path: childPath, why: NOT_HELD };
    else yield { kind, key, path: childPath };
  }
}

export const NOT_HELD = 'it is a socket, a pipe or a device';

interface Child {
  /** Ends with `/` for a directory, so that names sort as keys do. */
  readonly name: string;
  readonly kind: 'file' | 'symlink' | 'directory' | 'other';
}

function childrenOf(path: DiskPath): Child[] {
  const options = { withFileTypes: true, encoding: 'latin1' } as const;
  const children = readdirSync(forSystem(path), options).map(childOf);
  return children.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function childOf(entry: Dirent): Child {
  if (entry.isFile()) return { name: entry.name, kind: 'file' };
  if (entry.isDirectory()) return { name: `${entry.name}/`, kind: 'directory' };
  return { name: entry.name, kind: entry.isSymbolicLink() ? 'symlink' : 'other' };
}

/** Why a key is none that the doors could name again; undefined when it is one. */
export function brokenRule(key: Key): string | undefined {
  if (key.length > PATH_BYTES_MAX) {
    return `its path in the repository would be ${key.length} bytes long, at most ${PATH_BYTES_MAX} are allowed`;
  }
  if (IS_ASCII.test(key)) return undefined;
  if (!isUtf8(Buffer.from(key, 'latin1'))) return 'its name is not valid UTF-8';
  if (key.includes(REPLACEMENT)) return 'its name holds U+FFFD, the mark of broken text';
  return undefined;
}

export function why(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
