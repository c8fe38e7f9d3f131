import type { Commit } from '../model/commit.js';
import { commitIdOf, encodeCommit } from '../model/commit-format.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Head } from '../repo/publish.js';
import type { Repository } from '../repo/repository.js';
import type { BringOptions, Outcome, Plan } from './outcome.js';
import { carryOut } from './outcome.js';
import { chosenParent } from './parent.js';
import { threeWay } from './three-way.js';

export interface CherryPickOptions extends BringOptions {
  /** Ref expressions, in the order in which they are applied. */
  readonly commits: readonly string[];
  /** Of the merges among them: number of the parent their changes are counted from, from 1. */
  readonly mainline?: number;
  /** Laid over the metadata of each commit. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** `src` is the commit that is picked, `dst` the branch. */
}

interface Pick {
  readonly id: CommitId;
  readonly commit: Commit;
  /** The tree that its changes are counted from. */
  readonly before: NodeId;
}

/**
 * Makes what each of some commits changed once more on a branch: one new commit for each, or none at
 * all when one of them conflicts. A new commit keeps the author, the message (with the id of the
 * commit it repeats) and the metadata, and has the present time as its date. Those that change
 * nothing on the branch are left out.
 * @throws TarnError not-found, invalid (a first commit, a merge without mainline), denied,
 *   conflict when the branch moved too often, no-space, io, aborted
 */
export async function cherryPick(
  repository: Repository,
  options: CherryPickOptions,
): Promise<Outcome> {
  const picks: Pick[] = [];
  for (const expression of options.commits) {
    const { commitId: id, commit } = await repository.resolve(expression, options.signal);
    const parent = chosenParent('cherry-pick', id, commit, options.mainline);
    const { tree: before } = await repository.readCommit(parent, options.signal);
    picks.push({ id, commit, before });
  }
  return carryOut(repository, {
    ...options,
    kind: 'cherry-pick',
    why: `cherry-pick ${picks.map(({ id }) => id.slice(0, 12)).join(' ')}`,
    plan: (head) => planPicks(repository, options, picks, head),
  });
}

async function planPicks(
  repository: Repository,
  options: CherryPickOptions,
  picks: readonly Pick[],
  head: Head,
): Promise<Plan> {
  const { metadata = {} } = options;
  const chain: Commit[] = [];
  let parent = head.id;
  let ours = head.commit.tree;
  let settled = 0;
  for (const { id, commit, before } of picks) {
    const sides = { base: before, ours, theirs: commit.tree };
    const outcome = await threeWay(repository.nodes, sides, options);
    if (outcome.kind === 'conflicts') return { ...outcome, onto: head.id, source: id };
    settled += outcome.settled;
    if (outcome.tree === ours) continue;
    ours = outcome.tree;
    const made: Commit = {
      tree: ours,
      parents: [parent],
      author: commit.author,
      dateMs: Date.now(),
      message: `${commit.message.trimEnd()}\n\n(cherry picked from commit ${id})`,
      metadata: { ...commit.metadata, ...metadata },
    };
    chain.push(made);
    parent = commitIdOf(encodeCommit(made));
  }
  const last = chain.pop();
  if (last === undefined) return { kind: 'nothing', head: head.id };
  const skipped = picks.length - chain.length - 1;
  return { kind: 'commits', chain: [...chain, last], settled, skipped };
}
