import type { Entry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import { WHOLE_SPAN } from '../model/span.js';
import type { Repository } from '../repo/repository.js';
import { CONFLICTS_LISTED_MAX, mergeTrees } from '../tree/merge.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import type { SettleHead, StagedBranch } from './settle.js';
import type { StagedTree, StagedWrite, Staging } from './staging.js';

/** A path that is staged, and that the branch has changed in another way since; absent where none. */
export interface StagedConflict {
  readonly key: Key;
  /** What it was when it was staged. */
  readonly base: Entry | undefined;
  /** What is staged. */
  readonly ours: Entry | undefined;
  /** What the branch has now. */
  readonly theirs: Entry | undefined;
}

/**
 * What keeps a commit onto `head` from being made, in order of paths; CONFLICTS_LISTED_MAX at most.
 * The same that settle() refuses.
 */
export async function stagedConflicts(
  target: StagedBranch,
  head: SettleHead,
  signal?: AbortSignal,
): Promise<StagedConflict[]> {
  const { staging, branch } = target;
  const finder = new Finder(target, head, signal);
  for (;;) {
    const state = staging.state(branch);
    const found = [...(await finder.inTree(state.tree)), ...(await finder.inRows(state.version))];
    if (staging.state(branch).clearings !== state.clearings) continue;
    found.sort((a, b) => (a.key < b.key ? -1 : 1));
    return found.slice(0, CONFLICTS_LISTED_MAX);
  }
}

/**
 * What to stage on `head` to decide a conflict for one of its sides.
 * @throws TarnError not-found when nothing conflicts there
 */
export async function decision(
  target: StagedBranch,
  head: SettleHead,
  key: Key,
  side: 'ours' | 'theirs',
  signal?: AbortSignal,
): Promise<StagedWrite> {
  const found = (await stagedConflicts(target, head, signal)).find((each) => each.key === key);
  if (found === undefined) {
    const place = `'${keyToText(key)}' on branch '${target.branch}'`;
    throw new TarnError('not-found', `nothing conflicts at ${place}`, {
      hint: `see 'tarn conflicts ${target.repository.name}/${target.branch}'`,
    });
  }
  const entry = found[side];
  return entry === undefined ? { kind: 'remove', key } : { kind: 'put', key, entry };
}

class Finder {
  readonly #repository: Repository;
  readonly #staging: Staging;
  readonly #branch: string;
  readonly #head: SettleHead;
  readonly #signal: AbortSignal | undefined;
  readonly #trees = new Map<CommitId, NodeId>();

  constructor(
    { repository, staging, branch }: StagedBranch,
    head: SettleHead,
    signal: AbortSignal | undefined,
  ) {
    this.#repository = repository;
    this.#staging = staging;
    this.#branch = branch;
    this.#head = head;
    this.#signal = signal;
  }

  async inTree(staged: StagedTree | undefined): Promise<StagedConflict[]> {
    if (staged === undefined || staged.base === this.#head.id) return [];
    const base = await this.#treeOf(staged.base);
    // A row is looked at by itself, whatever lies under it.
    const prefer = (key: Key): 'theirs' | undefined =>
      this.#staging.hasRow(this.#branch, key) ? 'theirs' : undefined;
    const input = { base, ours: this.#head.tree, theirs: staged.tree, prefer, mayNest: true };
    const outcome = await mergeTrees(this.#repository.nodes, input, this.#signal);
    if (outcome.kind === 'merged') return [];
    // A merge brings the staged tree in; who staged it calls it ours.
    return outcome.conflicts.map(({ key, base: before, ours, theirs }) => ({
      key,
      base: before,
      ours: theirs,
      theirs: ours,
    }));
  }

  async inRows(versionMax: number): Promise<StagedConflict[]> {
    const found: StagedConflict[] = [];
    for (const { key, entry, base } of this.#staging.rows(this.#branch, WHOLE_SPAN, versionMax)) {
      throwIfAborted(this.#signal);
      if (base === this.#head.id) continue;
      const then = await this.#entry(await this.#treeOf(base), key);
      const now = await this.#entry(this.#head.tree, key);
      if (isSameEntry(now, entry) || isSameEntry(now, then)) continue;
      found.push({ key, base: then, ours: entry, theirs: now });
      if (found.length === CONFLICTS_LISTED_MAX) break;
    }
    return found;
  }

  async #treeOf(commit: CommitId): Promise<NodeId> {
    const known = this.#trees.get(commit);
    if (known !== undefined) return known;
    const { tree } = await this.#repository.readCommit(commit, this.#signal);
    this.#trees.set(commit, tree);
    return tree;
  }

  async #entry(tree: NodeId, key: Key): Promise<Entry | undefined> {
    return (await this.#repository.openTree(tree, this.#signal)).get(key, this.#signal);
  }
}
