import type { Commit } from '../model/commit.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { RefStore } from '../store/ref-store.js';
import { TarnError } from '../util/errors.js';
import { faultPoint } from '../util/fault-point.js';
import type { CommitStore } from './commit-store.js';

/**
 * The order of durability, which nothing may break:
 *
 *   bytes → tree nodes → commit → ref → clear staging
 *
 * Each step is durable before the next begins. Bytes come first because a change is staged only
 * when its content is durable. So a crash leaves objects that nobody names, or staged changes that
 * the head has already (committing those again is no change), but never a ref to something that is
 * missing and never a lost change.
 *
 * A branch that moved meanwhile loses no work either: everything is computed again from its new
 * head, a bounded number of times.
 */
export interface Publication {
  readonly branch: string;
  readonly by: string;
  /** For the ref's history. */
  readonly why: string;
  /** Resolves once all nodes of the tree to commit on top of `head` are durable. */
  saveTree(head: Head): Promise<NodeId>;
  /** The commit of that tree. */
  describe(tree: NodeId, head: Head): Commit;
  /** Drops what the commit now holds from staging. */
  clearStaging(id: CommitId): Promise<void>;
}

/** Where a branch is. */
export interface Head {
  readonly id: CommitId;
  readonly commit: Commit;
}

const ATTEMPTS_MAX = 50;

/**
 * @throws TarnError not-found when there is no such branch, conflict when it moved too often, and
 *   what the publication's own steps throw; then nothing is published
 */
export async function publish(
  { refs, commits }: { readonly refs: RefStore; readonly commits: CommitStore },
  publication: Publication,
  signal?: AbortSignal,
): Promise<CommitId> {
  const { branch, by, why } = publication;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await readHead(refs, commits, branch, signal);
    faultPoint('commit-start');
    const tree = await publication.saveTree(head);
    faultPoint('commit-tree-saved');
    const id = await commits.save(publication.describe(tree, head), signal);
    faultPoint('commit-saved');
    const change = { kind: 'branch', name: branch, expected: head.id, next: id, by, why } as const;
    if ((await refs.compareAndSwap({ ...change, atMs: Date.now() }, signal)) === 'moved') continue;
    faultPoint('commit-ref-moved');
    await publication.clearStaging(id);
    faultPoint('commit-staging-cleared');
    return id;
  }
  throw new TarnError(
    'conflict',
    `branch '${branch}' moved ${ATTEMPTS_MAX} times during a commit`,
    {
      hint: 'nothing is lost: commit again when fewer others are committing to this branch',
    },
  );
}

async function readHead(
  refs: RefStore,
  commits: CommitStore,
  branch: string,
  signal: AbortSignal | undefined,
): Promise<Head> {
  const id = await refs.get('branch', branch, signal);
  if (id === undefined) throw new TarnError('not-found', `there is no branch '${branch}'`);
  return { id, commit: await commits.read(id, signal) };
}
