import type { DifferenceKind } from '../../history/difference.js';
import type { GraphLines } from '../../history/graph.js';
import type { DifferenceCounts } from '../../history/stat.js';
import type { CommitRow, Nothing, Operation, Page, Place } from './terms.js';

/** Reading what happened: each streams, and runs in a job thread. */
export interface HistoryOperations {
  diff: Operation<DiffArguments & { namesOnly: boolean }, DiffRow, DiffResult>;
  'diff.stat': Operation<DiffArguments & { depth: number }, DiffStatRow, DiffResult>;
  log: Operation<LogArguments, LogRow, Nothing>;
  show: Operation<{ repository: string; ref: string }, never, ShowResult>;
  'cat-commit': Operation<{ repository: string; ref: string }, never, CommitRow>;
  blame: Operation<Place & Page, BlameRow, { commit: string }>;
  'bisect.candidates': Operation<
    { repository: string; good: string; bad: string },
    CommitRow,
    { good: string; bad: string }
  >;
}

export interface DiffArguments extends Page {
  readonly repository: string;
  /** A ref expression; for what is staged a branch, and no `to`. */
  readonly from: string;
  readonly to?: string;
  /** Compare with where the two histories parted, not with `from` itself. */
  readonly sinceParted: boolean;
  /** Only what lies at or below these; all when empty. */
  readonly paths: readonly string[];
  readonly renames: boolean;
}

export interface DiffRow {
  /** Of a renamed file: where it is now. */
  readonly path: string;
  readonly change: DifferenceKind;
  readonly from?: string;
  readonly before?: DiffSide;
  readonly after?: DiffSide;
}

export interface DiffSide {
  readonly kind: 'file' | 'symlink';
  readonly size: number;
  readonly mtime: string;
  readonly mode: string;
  readonly content?: string;
  readonly target?: string;
}

export interface DiffStatRow {
  /** Empty for the root. */
  readonly folder: string;
  readonly counts: DifferenceCounts;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface DiffResult {
  readonly before: string;
  /** Absent for what is staged. */
  readonly after?: string;
  readonly counts: DifferenceCounts;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** 'too-many': more differs than renames are looked for in. */
  readonly renames: 'found' | 'off' | 'too-many';
  readonly more: boolean;
}

export interface LogArguments extends Page {
  readonly repository: string;
  readonly ref: string;
  /** Commits that changed something at or below one of these; all when empty. */
  readonly paths: readonly string[];
  readonly author?: string;
  readonly grep?: string;
  /** Milliseconds since 1970 UTC. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** `KEY` or `KEY=VALUE`. */
  readonly metadata: readonly string[];
  readonly merges?: 'only' | 'none';
  readonly firstParent: boolean;
  readonly graph: boolean;
}

export interface LogRow extends CommitRow {
  readonly graph?: GraphLines;
}

export interface ShowResult extends CommitRow {
  readonly entries: number;
  readonly bytes: number;
  readonly branches: readonly string[];
  readonly tags: readonly string[];
  /** Against the first parent; absent for a first commit. */
  readonly changes?: {
    readonly counts: DifferenceCounts;
    readonly bytesBefore: number;
    readonly bytesAfter: number;
    /** Counting ended before all changes were counted. */
    readonly more: boolean;
  };
}

export interface BlameRow {
  readonly path: string;
  readonly size: number;
  readonly commit: string;
  readonly author: string;
  readonly date: string;
  /** First line of the message. */
  readonly subject: string;
}
