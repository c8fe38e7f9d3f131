import type { Entry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { isInSpans, WHOLE_SPAN } from '../model/span.js';
import type { Repository } from '../repo/repository.js';
import { mergeTrees } from '../tree/merge.js';
import type { Tree } from '../tree/tree.js';
import type { Edit } from '../tree/edit.js';
import { editTree } from '../tree/write.js';
import { throwIfAborted } from '../util/abort.js';
import { isPromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import type { Saves } from '../util/saves.js';
import type { StagedRow, StagedTree, Staging, StagingState } from './staging.js';

/** Conflicting paths that are named. */
const CONFLICTS_MAX = 20;
const BATCH_EDITS = 1_000;

/** A branch that changes are staged on. */
export interface StagedBranch {
  readonly repository: Repository;
  readonly staging: Staging;
  /** Or a private workspace on one. */
  readonly branch: string;
}

export interface SettleOptions {
  /** Only what is staged here; everything without it. */
  readonly spans?: readonly Span[];
  /** Paths that the caller is about to decide anew: nothing conflicts there. */
  readonly decided?: readonly Span[];
  /** Without them the tree is durable when it is settled. */
  readonly saves?: Saves;
  readonly signal?: AbortSignal | undefined;
}

/** What is staged on a branch, as a tree. */
export interface Settled {
  readonly tree: NodeId;
  /** Read before the rows were: what is newer is not in the tree. */
  readonly state: StagingState;
  readonly hasChanges: boolean;
}

/** A head to settle on. */
export interface SettleHead {
  readonly id: CommitId;
  readonly tree: NodeId;
}

/**
 * Writes the tree that `head` becomes with what is staged: the staged tree and, on top, the rows.
 *
 * Each change was made on the head of its time, its base. Where the head has moved since, the
 * change is still good if the head left its path as it was in the base, or has made the same change.
 * @throws TarnError conflict, naming the paths; not-found, corrupt, no-space, io, aborted
 */
export async function settle(
  repository: Repository,
  staging: Staging,
  branch: string,
  head: SettleHead,
  options: SettleOptions = {},
): Promise<Settled> {
  const { spans = [WHOLE_SPAN], decided = [], saves, signal } = options;
  const nodes = saves === undefined ? repository.nodes : repository.nodes.savedBy(saves);
  const bases = new Bases(repository, signal);
  for (;;) {
    const state = staging.state(branch);
    const isDecided = (key: Key): boolean => isInSpans(decided, key);
    const under = new Under(repository, staging, branch, isDecided, signal);
    const underTree = await under.onto(head, state.tree, spans);
    const rows = new RowEdits(head, bases, isDecided, branch, signal);
    const edits = rows.edits(rowsOf(staging, branch, spans, state.version));
    const { id } = await editTree(nodes, underTree, edits, signal);
    const hasChanges = state.tree !== undefined || rows.count > 0;
    // Rows that left while they were read are in a tree or a commit that this one lacks.
    if (staging.state(branch).clearings === state.clearings) return { tree: id, state, hasChanges };
  }
}

/**
 * What stays of the staged tree when the spans are given up, or are in a commit.
 * @param made that commit, and the head that it was made on
 */
export async function leftOf(
  repository: Repository,
  staged: StagedTree | undefined,
  spans: readonly Span[],
  made?: { readonly onto: CommitId; readonly id: CommitId; readonly tree: NodeId },
  signal?: AbortSignal,
): Promise<StagedTree | undefined> {
  if (staged === undefined || spans.some(({ from, to }) => from === '' && to === undefined)) {
    return undefined;
  }
  const isMadeHere = made?.onto === staged.base;
  const base = isMadeHere ? made.id : staged.base;
  const tree = isMadeHere ? made.tree : (await repository.readCommit(staged.base, signal)).tree;
  const graft = { tree, source: '' as Key, target: '' as Key };
  const edits = spans.map((span): Edit => ({ kind: 'replace', span, with: graft }));
  const left = await editTree(repository.nodes, staged.tree, [edits], signal);
  return left.id === tree ? undefined : { tree: left.id, base };
}

/** Undefined when it throws a conflict. */
export async function unlessConflict<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TarnError && error.kind === 'conflict') return undefined;
    throw error;
  }
}

function* rowsOf(
  staging: Staging,
  branch: string,
  spans: readonly Span[],
  versionMax: number,
): Iterable<StagedRow> {
  for (const span of spans) yield* staging.rows(branch, span, versionMax);
}

/** Brings the staged tree to a head. */
class Under {
  readonly #repository: Repository;
  readonly #isOver: (key: Key) => boolean;
  readonly #branch: string;
  readonly #signal: AbortSignal | undefined;

  constructor(
    repository: Repository,
    staging: Staging,
    branch: string,
    isDecided: (key: Key) => boolean,
    signal: AbortSignal | undefined,
  ) {
    this.#repository = repository;
    this.#branch = branch;
    this.#signal = signal;
    // A row is looked at by itself, whatever lies under it.
    this.#isOver = (key) => isDecided(key) || staging.hasRow(branch, key);
  }

  async onto(
    head: SettleHead,
    staged: StagedTree | undefined,
    spans: readonly Span[],
  ): Promise<NodeId> {
    if (staged === undefined) return head.tree;
    const isWhole = spans.some(({ from, to }) => from === '' && to === undefined);
    if (isWhole && staged.base === head.id) return staged.tree;
    const { tree: base } = await this.#repository.readCommit(staged.base, this.#signal);
    let ours = head.tree;
    for (const span of spans) ours = await this.#merge(base, ours, staged.tree, span);
    return ours;
  }

  async #merge(base: NodeId, ours: NodeId, theirs: NodeId, span: Span): Promise<NodeId> {
    const prefer = (key: Key): 'theirs' | undefined => (this.#isOver(key) ? 'theirs' : undefined);
    const input = { base, ours, theirs, span, prefer, mayNest: true };
    const outcome = await mergeTrees(this.#repository.nodes, input, this.#signal);
    if (outcome.kind === 'merged') return outcome.tree.id;
    const keys = outcome.conflicts.slice(0, CONFLICTS_MAX).map(({ key }) => key);
    throw conflict(this.#branch, keys, outcome.count > keys.length);
  }
}

/** The edits of rows, each looked at where the head is no longer its base. */
class RowEdits {
  readonly #head: SettleHead;
  readonly #bases: Bases;
  readonly #isDecided: (key: Key) => boolean;
  readonly #branch: string;
  readonly #signal: AbortSignal | undefined;
  readonly #conflicts: Key[] = [];
  count = 0;

  constructor(
    head: SettleHead,
    bases: Bases,
    isDecided: (key: Key) => boolean,
    branch: string,
    signal: AbortSignal | undefined,
  ) {
    this.#head = head;
    this.#bases = bases;
    this.#isDecided = isDecided;
    this.#branch = branch;
    this.#signal = signal;
  }

  /** @throws TarnError conflict, before the last batch */
  async *edits(rows: Iterable<StagedRow>): AsyncIterable<readonly Edit[]> {
    let batch: Edit[] = [];
    for (const row of rows) {
      if (row.base !== this.#head.id && !this.#isDecided(row.key)) await this.#check(row);
      const { key, entry } = row;
      batch.push(entry === undefined ? { kind: 'remove', key } : { kind: 'put', key, entry });
      this.count += 1;
      if (batch.length < BATCH_EDITS) continue;
      throwIfAborted(this.#signal);
      yield batch;
      batch = [];
    }
    if (this.#conflicts.length > 0) throw conflict(this.#branch, this.#conflicts, false);
    if (batch.length > 0) yield batch;
  }

  async #check({ key, entry, base }: StagedRow): Promise<void> {
    const then = await this.#bases.treeOf(base);
    const now = await this.#bases.open(this.#head.tree);
    if (then.id === now.id) return;
    const there = await entryAt(now, key, this.#signal);
    if (isSameEntry(there, entry)) return;
    if (isSameEntry(there, await entryAt(then, key, this.#signal))) return;
    if (this.#conflicts.length === CONFLICTS_MAX)
      throw conflict(this.#branch, this.#conflicts, true);
    this.#conflicts.push(key);
  }
}

async function entryAt(
  tree: Tree,
  key: Key,
  signal: AbortSignal | undefined,
): Promise<Entry | undefined> {
  const found = tree.get(key, signal);
  return isPromise(found) ? await found : found;
}

function conflict(branch: string, keys: readonly Key[], hasMore: boolean): TarnError {
  const named = keys.map((key) => `'${keyToText(key)}'`).join(', ');
  return new TarnError(
    'conflict',
    `branch '${branch}' was changed by another commit at paths that are staged here: ${named}${hasMore ? ' and more' : ''}`,
    {
      hint: "nothing is lost: see 'tarn conflicts', and decide each path with 'tarn resolve'",
    },
  );
}

/** Trees of the commits that changes were made on. */
class Bases {
  readonly #repository: Repository;
  readonly #signal: AbortSignal | undefined;
  readonly #commits = new Map<CommitId, NodeId>();
  readonly #trees = new Map<NodeId, Tree>();

  constructor(repository: Repository, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#signal = signal;
  }

  async treeOf(commit: CommitId): Promise<Tree> {
    let id = this.#commits.get(commit);
    if (id === undefined) {
      id = (await this.#repository.readCommit(commit, this.#signal)).tree;
      this.#commits.set(commit, id);
    }
    return this.open(id);
  }

  async open(id: NodeId): Promise<Tree> {
    let tree = this.#trees.get(id);
    if (tree === undefined) {
      tree = await this.#repository.openTree(id, this.#signal);
      this.#trees.set(id, tree);
    }
    return tree;
  }
}
