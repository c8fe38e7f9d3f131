import type { ChangeKind } from '../../model/change.js';
import type { ConflictRow } from './merging.js';
import type { Operation, Page } from './terms.js';

/** What stages on a branch, and what is staged. */
export interface StagingOperations {
  rm: Operation<RemoveArguments, never, { removed: number }>;
  mv: Operation<MoveArguments, never, { entries: number }>;
  cp: Operation<CopyArguments, never, { entries: number }>;
  reset: Operation<ResetArguments, never, { reset: boolean }>;
  'branch.reset': Operation<BranchResetArguments, never, BranchResetResult>;
  /** Ours is what is staged, theirs what the branch has now. */
  conflicts: Operation<
    { repository: string; branch: string },
    ConflictRow,
    { branch: string; conflicts: number }
  >;
  resolve: Operation<ResolveArguments, never, ResolveResult>;
  status: Operation<{ repository: string; branch: string } & Page, ChangeRow, StatusResult>;
}

export interface RemoveArguments {
  readonly repository: string;
  readonly branch: string;
  readonly paths: readonly string[];
  readonly recursive: boolean;
}

export interface MoveArguments {
  readonly repository: string;
  readonly branch: string;
  readonly from: string;
  /** Ends with `/`, or is empty, for "into". */
  readonly to: string;
  readonly force: boolean;
}

export interface CopyArguments {
  readonly repository: string;
  readonly branch: string;
  /** A ref expression, in the same repository: where `from` is. */
  readonly fromRef: string;
  readonly from: string;
  readonly to: string;
  readonly force: boolean;
}

export interface ResetArguments {
  readonly repository: string;
  readonly branch: string;
  /** Only what is staged at or below these; everything when empty. */
  readonly paths: readonly string[];
}

export interface ResolveArguments {
  readonly repository: string;
  readonly branch: string;
  readonly path: string;
  readonly side: 'ours' | 'theirs' | 'file';
  /** Absolute, real path of a file on this machine, for the side `file`. */
  readonly file?: string;
}

export interface ResolveResult {
  readonly branch: string;
  readonly path: string;
  readonly side: 'ours' | 'theirs' | 'file';
  /** How many other paths conflict still. */
  readonly left: number;
}

export interface BranchResetArguments {
  readonly repository: string;
  readonly branch: string;
  /** A ref expression. */
  readonly to: string;
  readonly by: string;
}

export interface BranchResetResult {
  readonly branch: string;
  /** The commit where the branch was. */
  readonly from: string;
  readonly to: string;
}

/** What is in mounts of a branch and does not go into its next commit. */
export interface LeftRow {
  /** Ends with `/` for a folder. */
  readonly path: string;
  /** `open`: a program writes it without a pause; the next commit has it once that ends. */
  readonly reason: 'special' | 'ignored' | 'open' | 'unfit';
  /** Completes "is not committed: …". */
  readonly why: string;
}

export interface ChangeRow {
  /** Ends with `/` for a removed folder that is told in one row. */
  readonly path: string;
  readonly change: ChangeKind;
  /** Of a removed folder: how many files and links it had. */
  readonly entries?: number;
  /** Bytes: of what is there now, or of what was removed. */
  readonly size: number;
  /** Bytes before, of what is there in another form. */
  readonly sizeBefore?: number;
}

/** The sums are of the rows that were given out; a changed type or metadata counts as changed. */
export interface StatusResult {
  readonly branch: string;
  readonly base: string;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** At most 1,000. */
  readonly left?: readonly LeftRow[];
  /** Changes are left behind the last one listed. */
  readonly more: boolean;
}
