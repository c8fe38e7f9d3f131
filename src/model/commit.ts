import type { CommitId, NodeId } from './ids.js';

/** One frozen moment. Canonical bytes and their limits: repo/FORMAT.md. */
export interface Commit {
  readonly tree: NodeId;
  /** In order; the first is the branch that was committed to. Empty for the first commit. */
  readonly parents: readonly CommitId[];
  /** Who, as free text on one line. */
  readonly author: string;
  /** Milliseconds since 1970 UTC. */
  readonly dateMs: number;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}
