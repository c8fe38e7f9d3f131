import type { Key } from '../../model/path.js';
import type { JobTarget } from './job.js';
import type { Note } from './notes.js';

export interface PutInput extends JobTarget {
  readonly branch: string;
  /**
   * Absolute real paths. A single directory is put with what is below it directly below `prefix`;
   * of several sources each keeps its own name there, and so does a file when `prefix` is a
   * directory (it ends with `/`, is empty, or the branch has a directory of that name). Otherwise
   * `prefix` names the file.
   */
  readonly sources: readonly string[];
  readonly prefix: Key;
  /** Without it a directory is refused. */
  readonly recursive: boolean;
}

export interface PutResult {
  /** Files staged, or found to be as they are on the branch. */
  readonly files: number;
  readonly symlinks: number;
  /** Directories that needed a marker: they are empty or have unusual rights. */
  readonly directories: number;
  readonly bytes: number;
  /** What a repository does not hold: sockets, devices, pipes; at most NOTES_MAX of them listed. */
  readonly skipped: readonly Note[];
  readonly skippedCount: number;
  /** What could not be read or named; everything else is staged. At most NOTES_MAX listed. */
  readonly failures: readonly Note[];
  readonly failureCount: number;
}
