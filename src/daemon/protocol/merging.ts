import type { Operation } from './terms.js';

export interface MergingOperations {
  merge: Operation<MergeArguments, ConflictRow, BringResult>;
  revert: Operation<RevertArguments, ConflictRow, BringResult>;
  'cherry-pick': Operation<CherryPickArguments, ConflictRow, BringResult>;
  /** Never empty. */
  'merge-base': Operation<MergeBaseArguments, never, { bases: readonly string[] }>;
}

/** What all have that bring changes of other commits to a branch. */
export interface BringArguments {
  readonly repository: string;
  readonly branch: string;
  readonly author: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** `src` or `dst`, with `:PATTERN` behind it for some paths; of several the last counts. */
  readonly prefer: readonly string[];
  readonly dryRun: boolean;
}

export interface MergeArguments extends BringArguments {
  /** A ref expression. */
  readonly source: string;
  readonly message?: string;
  readonly squash: boolean;
  readonly fastForward: boolean;
}

export interface RevertArguments extends BringArguments {
  /** A ref expression. */
  readonly commit: string;
  readonly mainline?: number;
  readonly message?: string;
}

export interface CherryPickArguments extends BringArguments {
  /** Ref expressions, in the order in which they are applied. */
  readonly commits: readonly string[];
  readonly mainline?: number;
}

export interface MergeBaseArguments {
  readonly repository: string;
  readonly a: string;
  readonly b: string;
}

/** A path that both sides changed; a version is absent where the path is. */
export interface ConflictRow {
  readonly path: string;
  readonly base?: Version;
  /** On the branch, the dst of --prefer. */
  readonly ours?: Version;
  /** What is brought in, the src of --prefer. */
  readonly theirs?: Version;
  /** The sides have several bases which differ here. */
  readonly baseUnclear?: true;
}

export interface Version {
  readonly kind: 'file' | 'symlink';
  readonly size: number;
  readonly mode: string;
  readonly mtime: string;
  readonly content?: string;
  readonly target?: string;
}

export interface BringResult {
  readonly repository: string;
  readonly branch: string;
  /** `conflicts` leave everything as it was; `nothing` means that the branch has it all. */
  readonly result: 'done' | 'nothing' | 'conflicts';
  readonly dryRun: boolean;
  /** The branch's head before, which it still is unless the result is `done`. */
  readonly onto: string;
  /** The branch's new head; absent on a dry run that makes a commit. */
  readonly commit?: string;
  readonly fastForward?: boolean;
  /** Commits made, and left out because they change nothing. */
  readonly commits?: number;
  readonly skipped?: number;
  /** Conflicts that a preference decided. */
  readonly settled?: number;
  readonly before?: { readonly entries: number; readonly bytes: number };
  readonly after?: { readonly entries: number; readonly bytes: number };
  /** Paths; absent together where they are more than 1,000. */
  readonly added?: number;
  readonly changed?: number;
  readonly removed?: number;
  /** How many there are; at most 10,000 are listed. */
  readonly conflicts?: number;
  /** The commit whose changes conflict. */
  readonly source?: string;
  /** The source is a branch with staged changes, which are not merged. */
  readonly leavesStaged?: true;
}
