import type { MaybePromise } from '../util/async.js';
import type { Commit } from '../model/commit.js';
import type { FrozenCursor, ViewCursor } from '../model/cursor.js';
import type { Entry, KeyedEntry, Totals } from '../model/entry.js';
import type { CommitId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import type { Content } from './content.js';

export type { EntryAttributes, FrozenCursor, ViewCursor } from '../model/cursor.js';

/**
 * The upper waist: the read side of a moment. Every door speaks only to this, so that no two doors
 * can disagree about what a moment contains. Directories are not stored: a door derives them from
 * keys with a cursor that seeks over whole prefixes.
 */
export interface View {
  readonly source: ViewSource;
  get(key: Key, signal?: AbortSignal): MaybePromise<Entry | undefined>;
  cursor(signal?: AbortSignal): ViewCursor;
  /** Entries and bytes whose key starts with `prefix`. */
  totals(prefix: Key, signal?: AbortSignal): MaybePromise<Totals>;
  /** @throws TarnError invalid for a symlink */
  open(key: Key, entry: Entry): MaybePromise<Content>;
}

export interface ViewSource {
  readonly repository: string;
  /** As the user named it. */
  readonly ref: string;
  /** The commit seen, or for a workspace the one it is based on. */
  readonly commitId: CommitId;
  readonly commit: Commit;
}

/** A view that never changes. */
export interface FrozenView extends View {
  cursor(signal?: AbortSignal): FrozenCursor;
  /** How many keys are less than `key`. */
  rank(key: Key, signal?: AbortSignal): MaybePromise<number>;
  /** The entry at `ordinal`, undefined past the end. */
  select(ordinal: number, signal?: AbortSignal): MaybePromise<KeyedEntry | undefined>;
}
