import type { Entry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import { spanOfKey } from '../model/span.js';
import type { Repository } from '../repo/repository.js';
import type { Edit } from '../tree/edit.js';
import { editTree } from '../tree/write.js';
import { isPromise } from '../util/async.js';
import { faultPoint } from '../util/fault-point.js';
import type { HeadAt } from './live-head.js';
import { baseOf } from './live-head.js';
import type { StagedBranch } from './settle.js';
import { settle, unlessConflict } from './settle.js';
import type { StagedWrite } from './staging.js';

/** Edits of single paths that are staged as rows; more of them become part of the staged tree. */
const ROWS_MAX = 500;

type PathEdit = Exclude<Edit, { readonly kind: 'replace' }>;

/**
 * Stages edits of what the branch showed, with what was staged on it, when its head was `onto`.
 * Where the branch has moved since, they count as made then, so that the commit finds what conflicts.
 *
 * A path that is staged already and conflicts with `onto` goes on doing so: who writes to a file again
 * need not have seen what another commit made of it. Workspace.stage and remove decide it.
 * @returns 'stale' when it must be tried again
 * @throws TarnError conflict, where whole directories change while what is staged elsewhere conflicts
 */
export async function stageEdits(
  target: StagedBranch,
  at: HeadAt,
  edits: readonly Edit[],
  onto: CommitId,
  signal: AbortSignal | undefined,
): Promise<'done' | 'stale'> {
  if (edits.length === 0) return 'done';
  const single = edits.filter((edit) => edit.kind !== 'replace');
  const areSingle = single.length === edits.length;
  if (areSingle && edits.length <= ROWS_MAX) return stageRows(target, at, single, onto, signal);
  const work = (): Promise<'done' | 'stale'> => stageTree(target, at, edits, onto, signal);
  if (!areSingle) return work();
  return (await unlessConflict(work)) ?? stageRows(target, at, single, onto, signal);
}

async function stageTree(
  { repository, staging, branch }: StagedBranch,
  at: HeadAt,
  edits: readonly Edit[],
  onto: CommitId,
  signal: AbortSignal | undefined,
): Promise<'done' | 'stale'> {
  const head = { id: onto, tree: (await repository.readCommit(onto, signal)).tree };
  const { tree: before, state } = await settle(repository, staging, branch, head, { signal });
  if (state.clearings !== at.state.clearings) return 'stale';
  const { id: tree } = await editTree(repository.nodes, before, [edits], signal);
  faultPoint('edits-staged');
  const staged = tree === head.tree ? undefined : { tree, base: onto };
  return staging.setTree(branch, baseOf(at), staged, { versionMax: state.version });
}

async function stageRows(
  target: StagedBranch,
  at: HeadAt,
  edits: readonly PathEdit[],
  onto: CommitId,
  signal: AbortSignal | undefined,
): Promise<'done' | 'stale'> {
  const made = new MadeOn(target, at, onto, signal);
  const writes: StagedWrite[] = [];
  for (const edit of edits) {
    const { key } = edit;
    const entry = edit.kind === 'put' ? edit.entry : undefined;
    const row = target.staging.page(target.branch, key, spanOfKey(key).to).rows[0];
    const found = at.under.get(key, signal);
    const below = isPromise(found) ? await found : found;
    if (row === undefined && isSameEntry(below, entry)) continue;
    const madeOn = await made.of(key, row?.base);
    writes.push(
      entry === undefined ? { kind: 'remove', key, madeOn } : { kind: 'put', key, entry, madeOn },
    );
  }
  return target.staging.write(target.branch, { ...baseOf(at), version: at.state.version }, writes);
}

/** On which head the change of a path counts as made. */
class MadeOn {
  readonly #repository: Repository;
  readonly #at: HeadAt;
  readonly #onto: CommitId;
  readonly #signal: AbortSignal | undefined;
  readonly #trees = new Map<CommitId, NodeId>();

  constructor(
    { repository }: StagedBranch,
    at: HeadAt,
    onto: CommitId,
    signal: AbortSignal | undefined,
  ) {
    this.#repository = repository;
    this.#at = at;
    this.#onto = onto;
    this.#signal = signal;
  }

  /** @param base of the row that is at the path */
  async of(key: Key, base: CommitId | undefined): Promise<CommitId> {
    const before = base ?? (await this.#baseOfTree(key));
    if (before === undefined || before === this.#onto) return this.#onto;
    const [then, now] = [await this.#entry(before, key), await this.#entry(this.#onto, key)];
    return isSameEntry(then, now) ? this.#onto : before;
  }

  /** Of the staged tree, where it changes the path. */
  async #baseOfTree(key: Key): Promise<CommitId | undefined> {
    const { tree } = this.#at.state;
    if (tree === undefined || tree.base === this.#onto) return undefined;
    const staged = await this.#entryAt(tree.tree, key);
    return isSameEntry(staged, await this.#entry(tree.base, key)) ? undefined : tree.base;
  }

  async #entry(commit: CommitId, key: Key): Promise<Entry | undefined> {
    let tree = this.#trees.get(commit);
    if (tree === undefined) {
      tree = (await this.#repository.readCommit(commit, this.#signal)).tree;
      this.#trees.set(commit, tree);
    }
    return this.#entryAt(tree, key);
  }

  async #entryAt(id: NodeId, key: Key): Promise<Entry | undefined> {
    const tree = await this.#repository.openTree(id, this.#signal);
    const found = tree.get(key, this.#signal);
    return isPromise(found) ? await found : found;
  }
}
