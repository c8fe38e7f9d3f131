import type { CommitId, NodeId } from '../model/ids.js';
import type { Span } from '../model/span.js';
import { branchOfWorkspace } from '../model/workspace-name.js';
import type { Repository } from '../repo/repository.js';
import type { FrozenView } from '../repo/view.js';
import { mergeTrees } from '../tree/merge.js';
import { TarnError } from '../util/errors.js';
import type { StagedBase, StagedRow, StagedTree, Staging, StagingState } from './staging.js';

/** What staged rows lie upon, and what was counted before it was read. */
export interface HeadAt {
  /** The branch's last commit. */
  readonly head: FrozenView;
  /** With what the staged tree changes; the head itself where there is none. */
  readonly under: FrozenView;
  readonly underTree: NodeId;
  readonly state: StagingState;
}

/** Rows upon a tree upon a head, as a view and a list of changes read them. */
export interface Layers {
  /**
   * As of now. @throws TarnError not-found when the branch is gone
   * @param head where the caller knows the branch to have been when his command began, or takes it to be
   *   until a commit finds out: it is read only where that was not what was read here last, or rows
   *   were cleared since
   */
  load(signal?: AbortSignal, head?: CommitId): Promise<HeadAt>;
  /** The first rows of the span, with what they lie upon. */
  page(span: Span, signal?: AbortSignal): Promise<PageAt>;
}

export interface PageAt extends HeadAt {
  readonly rows: readonly StagedRow[];
  /** No more rows follow in the span. */
  readonly isLast: boolean;
}

/** Where others have moved a branch they will do so again for so long. */
const OTHERS_MS = 60_000;

/**
 * Reads what is staged on a branch together with the head that it lies on. A commit moves the head
 * and then clears staging, and rows that are folded into the staged tree leave at once; whoever
 * sees that rows were cleared reads the head anew, so that nothing is missing in between.
 */
export class LiveHead implements Layers {
  readonly #repository: Repository;
  readonly #staging: Staging;
  readonly #name: string;
  readonly #branch: string;
  #at: HeadAt | undefined;
  /** Where the branch was last, and what was counted before that. */
  #last: { readonly id: CommitId; readonly clearings: number } | undefined;
  #othersMovedMs = -Infinity;

  /** @param name of the workspace */
  constructor(repository: Repository, staging: Staging, name: string) {
    this.#repository = repository;
    this.#staging = staging;
    this.#name = name;
    this.#branch = branchOfWorkspace(name);
  }

  async load(signal?: AbortSignal, head?: CommitId): Promise<HeadAt> {
    const state = this.state();
    const id =
      head !== undefined && head === this.#lastAt(state) ? head : await this.#read(state, signal);
    this.noteAt(id, state.clearings);
    return this.#loadAt(id, state, signal);
  }

  /** The branch is at `id`, which it was not before `clearings` were counted. */
  noteAt(id: CommitId, clearings: number): void {
    this.#last = { id, clearings };
  }

  /** What was loaded is in the staged tree by now: that cleared rows, and the head is where it was. */
  noteFolded({ head, state }: HeadAt): void {
    const { commitId } = head.source;
    if (this.#lastAt(state) === commitId) this.noteAt(commitId, state.clearings + 1);
  }

  /** Others have moved the branch. */
  noteOthers(): void {
    this.#othersMovedMs = performance.now();
  }

  /**
   * Where the branch may still be: to be tried first by a commit, which finds out. Undefined where it
   * is likely that it is not.
   */
  get assumed(): CommitId | undefined {
    return this.areOthersAtWork ? undefined : this.#lastAt(this.state());
  }

  /** They have moved the branch of late. */
  get areOthersAtWork(): boolean {
    return performance.now() - this.#othersMovedMs < OTHERS_MS;
  }

  /** Where it was last, if no rows were cleared since. */
  #lastAt({ clearings }: StagingState): CommitId | undefined {
    return this.#last?.clearings === clearings ? this.#last.id : undefined;
  }

  async #read(state: StagingState, signal: AbortSignal | undefined): Promise<CommitId> {
    const id = await this.#repository.refs.get('branch', this.#branch, signal);
    if (id === undefined) {
      throw new TarnError(
        'not-found',
        `repository '${this.#repository.name}' has no branch '${this.#branch}'`,
        { hint: `see 'tarn branch list ${this.#repository.name}'` },
      );
    }
    const last = this.#lastAt(state);
    if (last !== undefined && last !== id) this.noteOthers();
    return id;
  }

  async #loadAt(
    id: CommitId,
    state: StagingState,
    signal: AbortSignal | undefined,
  ): Promise<HeadAt> {
    const known = this.#at;
    const isHead = known?.head.source.commitId === id;
    if (isHead && isSameTree(known.state.tree, state.tree)) {
      this.#at = { ...known, state };
      return this.#at;
    }
    const head = isHead ? known.head : await this.#repository.commitView(this.#branch, id, signal);
    const underTree = await this.#underTree(head, state.tree, signal);
    const under =
      underTree === head.source.commit.tree
        ? head
        : await this.#repository.treeView(head.source, underTree, signal);
    this.#at = { head, under, underTree, state };
    return this.#at;
  }

  /** Staged rows of the span, the first page of them, and what they lie on. */
  async page(
    span: Span,
    signal?: AbortSignal,
  ): Promise<HeadAt & { rows: StagedRow[]; isLast: boolean }> {
    let at = this.#at ?? (await this.load(signal));
    for (;;) {
      const { state, rows, isLast } = this.#staging.page(this.#name, span.from, span.to);
      if (state.clearings === at.state.clearings) return { ...at, rows, isLast };
      at = await this.load(signal);
    }
  }

  state(): StagingState {
    return this.#staging.state(this.#name);
  }

  /**
   * What a view shows of a staged tree whose base is no longer the head: what both changed is as it
   * was staged. Whether that may be committed is for the commit to say.
   */
  async #underTree(
    head: FrozenView,
    staged: StagedTree | undefined,
    signal: AbortSignal | undefined,
  ): Promise<NodeId> {
    const ours = head.source.commit.tree;
    if (staged === undefined) return ours;
    if (staged.base === head.source.commitId) return staged.tree;
    const { tree: base } = await this.#repository.readCommit(staged.base, signal);
    const prefer = (): 'theirs' => 'theirs';
    const sides = { base, ours, theirs: staged.tree, prefer, mayNest: true };
    const outcome = await mergeTrees(this.#repository.nodes, sides, signal);
    if (outcome.kind === 'merged') return outcome.tree.id;
    throw new TarnError('internal', 'a merge that decides every conflict has left some');
  }
}

/** For Staging's changes: that they are made on this. */
export function baseOf({ head, state }: HeadAt): StagedBase & { readonly commit: CommitId } {
  return { commit: head.source.commitId, clearings: state.clearings };
}

function isSameTree(a: StagedTree | undefined, b: StagedTree | undefined): boolean {
  return a?.tree === b?.tree && a?.base === b?.base;
}
