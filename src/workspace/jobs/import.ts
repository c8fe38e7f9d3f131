import type { Key } from '../../model/path.js';
import { parseGlob } from '../../util/glob.js';
import type { JobTarget } from './job.js';
import type { Note } from './notes.js';

/** Which files are wanted, by their size in bytes and when they were changed last; both ends are. */
export interface FileLimits {
  readonly bytesMin?: number;
  readonly bytesMax?: number;
  /** Milliseconds since 1970 UTC, as the other. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface ImportInput extends JobTarget, FileLimits {
  readonly branch: string;
  /**
   * Absolute path of a folder or a file, where symbolic links are followed; or for the job
   * `import-objects` the URL of a bucket with a prefix or a key, and how the bucket is reached.
   */
  readonly source: string;
  /**
   * Where what is below the folder goes; for a file its path, or the directory that it goes into
   * (as of a put of one file).
   */
  readonly prefix: Key;
  /** Reads every file once and records the ids of the contents. */
  readonly isVerified: boolean;
  /** Only looks at what there is. */
  readonly isDryRun: boolean;
  /**
   * Patterns (util/glob.ts) of paths below the folder: what matches one of `include`, everything
   * when that is empty, and none of `exclude`.
   */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export interface ImportObjectsInput extends ImportInput {
  /** Lists from the start although an interrupted import could be gone on with. */
  readonly isAnew: boolean;
}

export interface ImportResult {
  /** What was imported: `file://` and the real path, or the URL of a bucket without its options. */
  readonly url: string;
  readonly files: number;
  readonly symlinks: number;
  /** Directories that needed a marker: they are empty or have unusual rights. */
  readonly directories: number;
  /** In the files; none of them is copied. */
  readonly bytes: number;
  /** What is no file: sockets, devices, pipes, tarn's own places; at most NOTES_MAX listed. */
  readonly skipped: readonly Note[];
  readonly skippedCount: number;
  /** What could not be looked at or named; everything else is staged. At most NOTES_MAX listed. */
  readonly failures: readonly Note[];
  readonly failureCount: number;
  /** Objects that must be restored before they can be read, by storage class. */
  readonly archived?: Readonly<Record<string, number>>;
  /** What an interrupted import had listed before, which is part of the above. */
  readonly wentOnAfter?: { readonly files: number; readonly atMs: number };
}

/** Undefined when everything is wanted. @throws TarnError invalid */
export function wantsOf({
  include,
  exclude,
}: Pick<ImportInput, 'include' | 'exclude'>): ((path: string) => boolean) | undefined {
  if (include.length + exclude.length === 0) return undefined;
  const [wanted, unwanted] = [include.map(parseGlob), exclude.map(parseGlob)];
  return (path) => {
    if (wanted.length > 0 && !wanted.some((matches) => matches(path))) return false;
    return !unwanted.some((matches) => matches(path));
  };
}

/** Undefined when files of any size and time are wanted. */
export function wantsFileOf({
  bytesMin = 0,
  bytesMax = Infinity,
  sinceMs = -Infinity,
  untilMs = Infinity,
}: FileLimits): ((size: number, mtimeMs: number) => boolean) | undefined {
  const isAny = bytesMin === 0 && bytesMax === Infinity;
  if (isAny && sinceMs === -Infinity && untilMs === Infinity) return undefined;
  return (size, mtimeMs) =>
    size >= bytesMin && size <= bytesMax && mtimeMs >= sinceMs && mtimeMs <= untilMs;
}
