/** What the operations of every area are made of. */

export interface Operation<A, R, D> {
  readonly args: A;
  readonly row: R;
  readonly result: D;
}

export type NoArguments = Record<never, never>;
export type Nothing = Record<never, never>;

/** A place in a repository; `path` may be empty (the root) and may end with `/`. */
export interface Place {
  readonly repository: string;
  readonly ref: string;
  readonly path: string;
}

/** Part of a listing: what follows `after`, at most `limit` rows. */
export interface Page {
  readonly limit?: number;
  readonly after?: string;
}

export interface CommitRow {
  readonly commit: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: string;
  readonly date: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}
