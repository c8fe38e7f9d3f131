import type { Commit } from '../model/commit.js';
import type { CommitId } from '../model/ids.js';
import type { Head } from '../repo/publish.js';
import type { Repository } from '../repo/repository.js';
import { TarnError } from '../util/errors.js';
import { BaseTrees } from './base-tree.js';
import { mergeBases } from './merge-base.js';
import type { BringOptions, Outcome, Plan } from './outcome.js';
import { carryOut } from './outcome.js';
import { threeWay } from './three-way.js';

export interface MergeOptions extends BringOptions {
  /** Any ref expression. Of a branch what is committed is merged. */
  readonly source: string;
  /** "Merge SOURCE into BRANCH" without it. */
  readonly message?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Only the changes are taken: the commit has the branch's head as its one parent. */
  readonly isSquash?: boolean;
  /** Where the branch's head leads to the source, the branch moves there without a commit. */
  readonly mayFastForward?: boolean;
}

/**
 * Merges a commit into a branch: all that changed on the way to it since the last moment that both
 * had in common (history/base-tree.ts says which where there are several). The new commit has the
 * branch's head as first parent and the merged commit as second. Works on what is committed: what is
 * staged on the branch stays staged, and is checked when it is committed. When the branch moves
 * meanwhile the merge is made again on its new head.
 * @throws TarnError not-found (a ref, or histories that share no commit), invalid (a branch into
 *   itself, a commit that breaks a limit), denied, conflict when the branch moved too often, no-space,
 *   io, aborted
 */
export async function merge(repository: Repository, options: MergeOptions): Promise<Outcome> {
  const { branch, source, isSquash = false, metadata = {}, signal } = options;
  const resolved = await repository.resolve(source, signal);
  if (resolved.branch === branch) {
    throw new TarnError('invalid', `branch '${branch}' cannot be merged into itself`, {
      hint: 'name another branch, a tag or a commit to merge into it',
    });
  }
  const verb = isSquash ? 'Squash' : 'Merge';
  const { commitId } = resolved;
  const message = options.message ?? `${verb} ${source} into ${branch}`;
  return carryOut(repository, {
    ...options,
    kind: 'merge',
    why: `merge ${source}`,
    ...(options.mayFastForward === true ? {} : { metadata }),
    plan: (head) => planMerge(repository, { ...options, message, metadata }, commitId, head),
  });
}

async function planMerge(
  repository: Repository,
  options: MergeOptions & Pick<Commit, 'message' | 'metadata'>,
  source: CommitId,
  head: Head,
): Promise<Plan> {
  const { isSquash = false, mayFastForward = false, signal } = options;
  const read = (id: CommitId): Promise<Commit> => repository.readCommit(id, signal);
  const [first, ...more] = await mergeBases(read, head.id, source, signal);
  if (first === undefined) throw unrelated(options, head.id, source);
  if (first === source) return { kind: 'nothing', head: head.id };
  if (first === head.id && mayFastForward && !isSquash) return { kind: 'fast-forward', id: source };
  const sides = {
    base: await new BaseTrees(repository, signal).of([first, ...more]),
    ours: head.commit.tree,
    theirs: (await read(source)).tree,
  };
  const outcome = await threeWay(repository.nodes, sides, options);
  if (outcome.kind === 'conflicts') return { ...outcome, onto: head.id, source };
  const { tree, settled } = outcome;
  if (isSquash && tree === head.commit.tree) return { kind: 'nothing', head: head.id };
  const { author, message, metadata } = options;
  const parents = isSquash ? [head.id] : [head.id, source];
  const commit = { tree, parents, author, dateMs: Date.now(), message, metadata };
  return { kind: 'commits', chain: [commit], settled, skipped: 0 };
}

function unrelated({ branch, source }: MergeOptions, head: CommitId, commit: CommitId): TarnError {
  return new TarnError(
    'not-found',
    `'${source}' (${commit.slice(0, 12)}) and branch '${branch}' (${head.slice(0, 12)}) have no commit in common, so that nothing says what changed`,
    { hint: `bring the files over with 'tarn cp', or the commits with 'tarn cherry-pick'` },
  );
}
