import type { Repository } from '../repo/repository.js';
import type { BringOptions, Outcome } from './outcome.js';
import { carryOut } from './outcome.js';
import { chosenParent } from './parent.js';
import { threeWay } from './three-way.js';

export interface RevertOptions extends BringOptions {
  /** The commit to undo, as any ref expression. */
  readonly commit: string;
  /** Of a merge: number of the parent to go back to, from 1. */
  readonly mainline?: number;
  /** `Revert "…"` with the commit's first line and id without it. */
  readonly message?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** `src` is the undoing, `dst` the branch. */
}

/**
 * Undoes what one commit changed, as a new commit of the branch, and keeps all that came after it: a
 * merge whose base is the commit and whose other side is its parent.
 * @throws TarnError not-found, invalid (the first commit, a merge without mainline), denied,
 *   conflict when the branch moved too often, no-space, io, aborted
 */
export async function revert(repository: Repository, options: RevertOptions): Promise<Outcome> {
  const { author, mainline, metadata = {}, signal } = options;
  const { commitId, commit } = await repository.resolve(options.commit, signal);
  const parent = chosenParent('revert', commitId, commit, mainline);
  const { tree: before } = await repository.readCommit(parent, signal);
  const [subject = ''] = commit.message.split('\n');
  const message = options.message ?? `Revert "${subject}"\n\nThis reverts commit ${commitId}.`;
  return carryOut(repository, {
    ...options,
    kind: 'revert',
    why: `revert ${commitId.slice(0, 12)}`,
    metadata,
    plan: async (head) => {
      const sides = { base: commit.tree, ours: head.commit.tree, theirs: before };
      const outcome = await threeWay(repository.nodes, sides, options);
      if (outcome.kind === 'conflicts') return { ...outcome, onto: head.id, source: commitId };
      const { tree, settled } = outcome;
      if (tree === head.commit.tree) return { kind: 'nothing', head: head.id };
      const parents = [head.id];
      const made = { tree, parents, author, dateMs: Date.now(), message, metadata };
      return { kind: 'commits', chain: [made], settled, skipped: 0 };
    },
  });
}
