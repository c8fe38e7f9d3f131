import type { FileLimits, ImportResult } from '../../workspace/jobs/import.js';
import type { Operation } from './terms.js';

export interface ImportOperations {
  import: Operation<ImportArguments, never, ImportResult>;
}

export interface ImportArguments extends FileLimits {
  readonly repository: string;
  readonly branch: string;
  /** Where to; of a folder what is below it comes below this. */
  readonly path: string;
  /** Absolute path of a folder or file on this machine; or the URL of a bucket with a prefix or key. */
  readonly source: string;
  readonly verify: boolean;
  readonly dryRun: boolean;
  /** Patterns of paths below the folder (util/glob.ts). */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Lists a bucket from the start although an interrupted import could be gone on with. */
  readonly anew: boolean;
}
