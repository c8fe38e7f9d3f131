import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { Nodes } from '../tree/nodes.js';

/** What reading a history needs of a repository. */
export interface HistorySource {
  readonly nodes: Nodes;
  /** @throws TarnError not-found, corrupt, unsupported, io, aborted */
  readCommit(id: CommitId, signal?: AbortSignal): Promise<Commit>;
}
