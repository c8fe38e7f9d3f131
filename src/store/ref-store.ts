import type { CommitId, Hash, SettingsId } from '../model/ids.js';

/**
 * Refs: the only mutable thing in a repository. They change by compare-and-swap alone, and each
 * change is recorded. A branch and a tag never share a name. Each implementation runs
 * test/suites/ref-store.ts.
 */
export interface RefStore {
  get<K extends RecordKind>(
    kind: K,
    name: string,
    signal?: AbortSignal,
  ): Promise<RefTarget<K> | undefined>;
  /** What a name of users' is, of which there is one of either kind at most. */
  find(name: string, signal?: AbortSignal): Promise<Ref | undefined>;
  /**
   * In byte order of names, after `after`. Each is as it was at some time during the listing, so one
   * that is renamed meanwhile may be told of by both of its names, or by none.
   */
  list(kind: RefKind, options?: { after?: string; signal?: AbortSignal }): AsyncIterable<Ref>;
  /**
   * Sets, creates (`expected` undefined) or deletes (`next` undefined) one ref, durably, and records
   * the change in the ref's history in the same step. 'moved' means the ref was not `expected`.
   * @throws TarnError exists when a ref is created under a name that the other kind has; corrupt,
   *   no-space, busy, io
   */
  compareAndSwap<K extends RecordKind>(
    change: RefChange<K>,
    signal?: AbortSignal,
  ): Promise<'done' | 'moved'>;
  /**
   * Gives a branch that is at `commit` another name: in one step, which the histories of both names
   * record. 'moved' means it was not there.
   * @throws TarnError exists when a branch or tag has the new name; corrupt, no-space, busy, io
   */
  rename(renaming: BranchRenaming, signal?: AbortSignal): Promise<'done' | 'moved'>;
  /** Newest first; only changes before the one numbered `before`. */
  history<K extends RecordKind>(
    kind: K,
    name: string,
    options?: { before?: number; signal?: AbortSignal },
  ): AsyncIterable<RecordedChange<K>>;
  /**
   * Where the ref was at that time, by its record. Where the name stood for nothing, and the next
   * that it stood for was a branch of another name, that branch is meant.
   */
  at<K extends RecordKind>(
    kind: K,
    name: string,
    atMs: number,
    signal?: AbortSignal,
  ): Promise<RefMoment<K>>;
  /** Only in a store where a ref is read by a request of its own. */
  attach?(attachments: Attachments): void;
  close(): Promise<void>;
}

/** What is kept with a ref of what it points to, so that who reads the one need not ask for the other. */
export interface Attachments {
  /** For a ref that is moved there, if anything; what is longer than ATTACHED_BYTES_MAX is left out. */
  of(kind: RecordKind, target: Hash): string | undefined;
  /** What a ref that was read has; the store has not judged it. */
  found(kind: RecordKind, target: Hash, attached: string): void;
}

export type RefKind = 'branch' | 'tag';
/** What is moved and recorded as refs are; the settings are a single one, without a name of users'. */
export type RecordKind = RefKind | 'settings';
export type RefTarget<K extends RecordKind> = K extends 'settings' ? SettingsId : CommitId;

export interface Ref {
  readonly kind: RefKind;
  readonly name: string;
  readonly commit: CommitId;
}

export interface RefChange<K extends RecordKind = RefKind> {
  readonly kind: K;
  readonly name: string;
  readonly expected: RefTarget<K> | undefined;
  readonly next: RefTarget<K> | undefined;
  /** Who, as in a commit's author. */
  readonly by: string;
  /**
   * Milliseconds since 1970 UTC. Recorded no earlier than the change of the name before it, so that
   * a clock that was put back never reorders the history.
   */
  readonly atMs: number;
  /** What moved it: `commit`, `branch create`, … */
  readonly why: string;
}

export interface BranchRenaming {
  readonly from: string;
  readonly to: string;
  readonly commit: CommitId;
  readonly by: string;
  readonly atMs: number;
}

/** The `why` of both sides of a renaming. */
export const RENAME = 'branch rename';

export interface RecordedChange<K extends RecordKind = RefKind> extends RefChange<K> {
  /**
   * Greater than that of every change before it of the same name, and for one record alone: numbers
   * of different names say nothing of which change came first.
   */
  readonly number: number;
  /** The other name, where the change is one side of a renaming. */
  readonly renamed?: string;
}

export type RefMoment<K extends RecordKind = RefKind> =
  | { readonly kind: 'at'; readonly target: RefTarget<K> }
  /** It had been deleted or renamed, by that change. */
  | { readonly kind: 'gone'; readonly change: RecordedChange<K> }
  /** The record begins later, or there is none. */
  | { readonly kind: 'unrecorded'; readonly first: RecordedChange<K> | undefined };
