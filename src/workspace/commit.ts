import type { CommitId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { spansOfPaths, WHOLE_SPAN } from '../model/span.js';
import { branchOfWorkspace } from '../model/workspace-name.js';
import type { Head, Prepared, Publication } from '../repo/publish.js';
import { TarnError } from '../util/errors.js';
import type { Saves } from '../util/saves.js';
import type { LiveHead } from './live-head.js';
import type { SettleHead, Settled, StagedBranch } from './settle.js';
import { leftOf, settle } from './settle.js';

export interface CommitOptions {
  readonly message: string;
  readonly author: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970 UTC; now without it. */
  readonly dateMs?: number;
  /** Only what is staged at or below these paths; everything without it. */
  readonly paths?: readonly Key[];
  readonly signal?: AbortSignal;
}

/**
 * Commits what is staged onto the branch's head, wherever that is by then.
 * @throws TarnError nothing-to-commit, conflict (lists the paths; nothing is lost), denied (the
 *   branch's rules), invalid, not-found, no-space, io, aborted
 */
export async function commitStaged(
  { repository, staging, branch: name }: StagedBranch,
  live: LiveHead,
  options: CommitOptions,
): Promise<CommitId> {
  const { message, author, metadata = {}, dateMs, paths, signal } = options;
  const spans = paths === undefined ? [WHOLE_SPAN] : spansOfPaths(paths);
  let last: { readonly head: SettleHead; readonly settled: Settled } | undefined;
  const clear = async (id?: CommitId): Promise<void> => {
    if (last === undefined) return;
    const { head, settled } = last;
    const { version, clearings, tree } = settled.state;
    const made = id && { onto: head.id, id, tree: settled.tree };
    const left = await leftOf(repository, tree, spans, made, signal);
    const moved = id && { from: head.id, to: id };
    staging.clear(name, spans, version, { left, ...(moved ? { moved } : {}) });
    if (id !== undefined) live.noteAt(id, clearings + 1);
  };
  const prepare = async (onto: Head, saves: Saves): Promise<Prepared<never>> => {
    const head = { id: onto.id, tree: onto.commit.tree };
    const settled = await settle(repository, staging, name, head, { spans, saves, signal });
    last = { head, settled };
    const { tree } = settled;
    if (tree === head.tree) {
      if (settled.hasChanges && onto.isAssumed !== true) await clear();
      throw nothing(name, paths);
    }
    const date = dateMs ?? Date.now();
    const commit = { tree, parents: [head.id], author, dateMs: date, message, metadata };
    return { kind: 'commit', commit };
  };
  const { assumed } = live;
  const publication = {
    ...commitTo(name, author, metadata),
    ...(assumed === undefined ? {} : { assumed }),
    prepare,
    clearStaging: clear,
  } as const;
  const { id, onto } = await repository.publish(publication, signal);
  if (assumed !== undefined && onto !== assumed) live.noteOthers();
  return id;
}

/** What every commit of a workspace says of itself to the branch. */
export function commitTo(
  name: string,
  by: string,
  metadata: Readonly<Record<string, string>>,
): Pick<Publication, 'branch' | 'by' | 'kind' | 'why' | 'metadata'> {
  return { branch: branchOfWorkspace(name), by, kind: 'commit', why: 'commit', metadata };
}

function nothing(name: string, paths: readonly Key[] | undefined): TarnError {
  const where = paths === undefined ? '' : ' at these paths';
  return new TarnError('nothing-to-commit', `nothing is staged on branch '${name}'${where}`, {
    hint: "stage files with 'tarn put' or 'tarn rm', and see them with 'tarn status'",
  });
}
