import type { CommitId, NodeId } from '../model/ids.js';
import { WHOLE_SPAN } from '../model/span.js';
import type { Head, Prepared } from '../repo/publish.js';
import type { Edit } from '../tree/edit.js';
import { editTree } from '../tree/write.js';
import { faultPoint } from '../util/fault-point.js';
import type { Saves } from '../util/saves.js';
import type { CommitOptions } from './commit.js';
import { commitTo } from './commit.js';
import type { LiveHead } from './live-head.js';
import type { StagedBranch } from './settle.js';

export interface EditsCommit extends Omit<CommitOptions, 'paths'> {
  readonly edits: readonly Edit[];
  /** The head that the edits are of. */
  readonly onto: CommitId;
  /** Of the contents that the edits name. */
  readonly saves: Saves;
}

export interface CommittedEdits {
  readonly onto: CommitId;
  readonly id: CommitId;
  readonly tree: NodeId;
  /** In which the edits are staged. */
  readonly version: number;
}

const OTHERWISE = { kind: 'otherwise' } as const;

/**
 * Stages edits of a branch on which nothing else is staged, and commits them, as stageEdits and
 * commitStaged do; but contents, tree and commit are on their way at once. They are staged when all of
 * it is durable, and then the branch moves. They stay staged until clearCommitted: so whoever still has
 * them after a crash, and stages them again, does so on the head that they were made on.
 *
 * Undefined where that cannot be: something is staged, the branch is not at `onto`, or the edits change
 * nothing. Whether they were staged cannot be told then; to stage them again is no change.
 * @throws TarnError denied (the branch's rules), invalid, not-found, no-space, io, aborted, and what
 *   the saves throw; nothing is committed then
 */
export async function commitEdits(
  { repository, staging, branch: name }: StagedBranch,
  live: LiveHead,
  { edits, onto, saves, message, author, metadata = {}, dateMs, signal }: EditsCommit,
): Promise<CommittedEdits | undefined> {
  const { version, clearings, tree: stagedTree } = staging.state(name);
  if (stagedTree !== undefined || staging.hasMoreRows(name, 0)) return undefined;
  let committed: NodeId | undefined;
  const stage = (tree: NodeId): typeof OTHERWISE | undefined => {
    faultPoint('edits-staged');
    const seen = { commit: onto, clearings, version };
    const staged = { tree, base: onto };
    const outcome = staging.setTree(name, seen, staged, { versionMax: version });
    return outcome === 'stale' ? OTHERWISE : undefined;
  };
  const prepare = async ({ id, commit }: Head): Promise<Prepared<typeof OTHERWISE>> => {
    const otherwise = { kind: 'stop', value: OTHERWISE } as const;
    if (id !== onto) {
      live.noteOthers();
      return otherwise;
    }
    const nodes = repository.nodes.savedBy(saves);
    const { id: tree } = await editTree(nodes, commit.tree, [edits], signal);
    if (tree === commit.tree) return otherwise;
    committed = tree;
    const about = { parents: [id], author, dateMs: dateMs ?? Date.now(), message, metadata };
    return { kind: 'commit', commit: { tree, ...about }, stage: () => stage(tree) };
  };
  const publication = {
    ...commitTo(name, author, metadata),
    ...(live.areOthersAtWork ? {} : { assumed: onto }),
    saves,
    prepare,
  } as const;
  const outcome = await repository.publish<typeof OTHERWISE>(publication, signal);
  if (outcome.kind === 'otherwise' || committed === undefined) return undefined;
  live.noteAt(outcome.id, clearings + 1);
  return { onto, id: outcome.id, tree: committed, version: version + 1 };
}

/** Takes what was committed out of staging. */
export function clearCommitted(
  { staging, branch: name }: StagedBranch,
  live: LiveHead,
  { onto, id, version }: Omit<CommittedEdits, 'tree'>,
): void {
  staging.clear(name, [WHOLE_SPAN], version, { moved: { from: onto, to: id } });
  live.noteAt(id, staging.state(name).clearings);
}
