import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstatSync, opendirSync, readlinkSync } from 'node:fs';
import type { Entry, FileEntry, KeyedEntry, Pin } from '../../model/entry.js';
import { EMPTY_CONTENT } from '../../model/ids.js';
import { fileUrl, pinnedContentId } from '../../model/imported.js';
import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import type { Attributes } from './file-attributes.js';
import { attributesOf } from './file-attributes.js';
import { Notes } from './notes.js';
import type { DiskPath } from './walk.js';
import { brokenRule, forSystem, isUsualDirectory, NOT_HELD, pathText, why } from './walk.js';

/** Names that one call of the system reads: a folder of a million names is never held as objects. */
const NAMES_AT_ONCE = 1_024;
const BATCH_ENTRIES = 512;

/** What a walk is for; all of it counts what came by. */
export class ImportCounts {
  files = 0;
  symlinks = 0;
  directories = 0;
  bytes = 0;
  /** Path of the last file, or empty. */
  current = '' as DiskPath;
  readonly skipped = new Notes();
  readonly failures = new Notes();

  /** A file of this size, which was counted, could not be read. */
  fail(path: DiskPath, size: number, reason: string): void {
    this.files -= 1;
    this.bytes -= size;
    this.failures.add(path, reason);
  }
}

export interface WalkOptions {
  /** Whether a path below the folder is wanted, as text; all are without it. */
  readonly wants?: ((path: string) => boolean) | undefined;
  /** Whether a file that looks like this is wanted: bytes, milliseconds since 1970 UTC. */
  readonly wantsFile?: ((size: number, mtimeMs: number) => boolean) | undefined;
  /** Directories that are not entered, and why. */
  readonly excluded: ReadonlyMap<DiskPath, string>;
  readonly counts: ImportCounts;
}

/** Walks a folder that is imported: in order of keys, and without opening a file. */
export class ImportWalk {
  readonly #options: WalkOptions;
  /** Bytes of each key that stand for the folder. */
  readonly #prefixLength: number;
  #batch: KeyedEntry[] = [];

  constructor(prefix: Key, options: WalkOptions) {
    this.#prefixLength = prefix.length;
    this.#options = options;
  }

  /**
   * All that is below a directory, in batches.
   * @param key of the directory: empty, or ending with `/`
   */
  *all(path: DiskPath, key: Key): Generator<readonly KeyedEntry[]> {
    yield* this.#below(path, key);
    yield this.#batch;
  }

  *#below(path: DiskPath, key: Key): Generator<readonly KeyedEntry[]> {
    const { excluded, counts } = this.#options;
    const reason = excluded.get(path);
    if (reason !== undefined) return counts.skipped.add(path, reason);
    let stats: BigIntStats;
    let names: readonly string[];
    try {
      stats = lstatSync(forSystem(path), { bigint: true });
      names = sortedNames(path);
    } catch (error) {
      return counts.failures.add(path, why(error));
    }
    if (key !== '' && (names.length === 0 || !isUsualDirectory(stats)) && this.#wants(key)) {
      counts.directories += 1;
      this.#batch.push({ key, entry: emptyFile(attributesOf(stats)) });
    }
    const below = path === '/' ? '/' : `${path}/`;
    for (const name of names) {
      const childKey = `${key}${name}` as Key;
      const rule = brokenRule(childKey);
      if (rule !== undefined) counts.failures.add(`${below}${name}` as DiskPath, rule);
      else if (name.endsWith('/')) {
        yield* this.#below(`${below}${name.slice(0, -1)}` as DiskPath, childKey);
      } else if (this.#wants(childKey)) {
        const entry = this.entryOf(`${below}${name}` as DiskPath);
        if (entry !== undefined) this.#batch.push({ key: childKey, entry });
      }
      if (this.#batch.length >= BATCH_ENTRIES) {
        yield this.#batch;
        this.#batch = [];
      }
    }
  }

  /** Undefined when there is none; the counts say why. */
  entryOf(path: DiskPath): Entry | undefined {
    const { counts } = this.#options;
    try {
      const stats = lstatSync(forSystem(path), { bigint: true });
      if (stats.isFile()) {
        const { wantsFile } = this.#options;
        if (wantsFile?.(Number(stats.size), Number(stats.mtimeMs)) === false) return undefined;
        counts.files += 1;
        counts.bytes += Number(stats.size);
        counts.current = path;
        return importedFile(path, stats);
      }
      if (!stats.isSymbolicLink()) {
        counts.skipped.add(path, NOT_HELD);
        return undefined;
      }
      const target = readlinkSync(forSystem(path), 'buffer');
      if (isUtf8(target)) {
        counts.symlinks += 1;
        return { kind: 'symlink', target: target.toString(), ...attributesOf(stats) };
      }
      counts.failures.add(path, 'its target is not valid UTF-8');
    } catch (error) {
      counts.failures.add(path, why(error));
    }
    return undefined;
  }

  /** A directory is judged by its path without the final `/`. */
  #wants(key: Key): boolean {
    const { wants } = this.#options;
    if (wants === undefined) return true;
    return wants(
      keyToText(key.slice(this.#prefixLength, key.endsWith('/') ? -1 : undefined) as Key),
    );
  }
}

/** The entry of a file that looks like this, whose bytes nobody has read. */
export function importedFile(path: DiskPath, stats: BigIntStats): FileEntry {
  const attributes = attributesOf(stats);
  if (stats.size === 0n) return emptyFile(attributes);
  const { mtimeSec, mtimeNsec } = attributes;
  const pin: Pin = { kind: 'mtime', mtimeSec, mtimeNsec };
  const url = fileUrl(pathText(path));
  const size = Number(stats.size);
  const content = pinnedContentId(url, size, pin);
  return { kind: 'file', size, content, address: { kind: 'imported', url, pin }, ...attributes };
}

function emptyFile(attributes: Attributes): FileEntry {
  return {
    kind: 'file',
    size: 0,
    content: EMPTY_CONTENT,
    address: { kind: 'none' },
    ...attributes,
  };
}

/** Names of a directory with a `/` behind those of directories, in the order of their keys. */
function sortedNames(path: DiskPath): string[] {
  const options = { encoding: 'latin1', bufferSize: NAMES_AT_ONCE } as const;
  const directory = opendirSync(forSystem(path), options);
  const names: string[] = [];
  try {
    for (let each = directory.readSync(); each !== null; each = directory.readSync()) {
      names.push(each.isDirectory() ? `${each.name}/` : each.name);
    }
  } finally {
    directory.closeSync();
  }
  return names.sort();
}
