import type { CommitId } from '../model/ids.js';

/**
 * Refs: the only mutable thing in a repository. They change by compare-and-swap alone. A branch and
 * a tag never share a name. Each implementation runs test/suites/ref-store.ts.
 */
export interface RefStore {
  get(kind: RefKind, name: string, signal?: AbortSignal): Promise<CommitId | undefined>;
  /** In byte order of names, after `after`. */
  list(kind: RefKind, options?: { after?: string; signal?: AbortSignal }): AsyncIterable<Ref>;
  /**
   * Sets, creates (`expected` undefined) or deletes (`next` undefined) one ref, durably, and records
   * the change in the ref's history in the same step. 'moved' means the ref was not `expected`.
   * @throws TarnError exists when a ref is created under a name that the other kind has; corrupt,
   *   no-space, busy, io
   */
  compareAndSwap(change: RefChange, signal?: AbortSignal): Promise<'done' | 'moved'>;
  /** Newest first. */
  history(kind: RefKind, name: string, signal?: AbortSignal): AsyncIterable<RefChange>;
  close(): Promise<void>;
}

export type RefKind = 'branch' | 'tag';

export interface Ref {
  readonly kind: RefKind;
  readonly name: string;
  readonly commit: CommitId;
}

export interface RefChange {
  readonly kind: RefKind;
  readonly name: string;
  readonly expected: CommitId | undefined;
  readonly next: CommitId | undefined;
  /** Who, as in a commit's author. */
  readonly by: string;
  /** Milliseconds since 1970 UTC. */
  readonly atMs: number;
  /** What moved it: `commit`, `branch create`, … */
  readonly why: string;
}
