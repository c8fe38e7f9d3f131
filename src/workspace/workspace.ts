import type { KeyedEntry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { spanOfKey, spanOfPrefix, spansOfPaths, WHOLE_SPAN } from '../model/span.js';
import { branchOfWorkspace } from '../model/workspace-name.js';
import type { Repository } from '../repo/repository.js';
import type { View } from '../repo/view.js';
import { mergeTrees } from '../tree/merge.js';
import type { Edit } from '../tree/edit.js';
import { buildTree, editTree } from '../tree/write.js';
import { isPromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { faultPoint } from '../util/fault-point.js';
import type { Change } from './changes.js';
import { changesOn } from './changes.js';
import type { CommitOptions } from './commit.js';
import { commitStaged } from './commit.js';
import type { CommittedEdits, EditsCommit } from './commit-edits.js';
import { clearCommitted, commitEdits } from './commit-edits.js';
import type { StagedConflict } from './conflicts.js';
import { decision, stagedConflicts } from './conflicts.js';
import type { HeadAt } from './live-head.js';
import { baseOf, LiveHead } from './live-head.js';
import { presentOf } from './present.js';
import type { SettleHead, StagedBranch } from './settle.js';
import { leftOf, settle, unlessConflict } from './settle.js';
import { stageEdits } from './stage-edits.js';
import { StagedView } from './staged-view.js';
import type { StagedWrite, Staging } from './staging.js';
import type { TransferOptions } from './transfer.js';
import { checkApart, checkPrefix, decidedBy, editsOf, sourceAt, targetOf } from './transfer.js';

/** Rows of a branch that are staged before they are folded into its staged tree. */
const FOLD_ROWS = 2_000;

export interface WorkspaceOptions {
  /** Instead of FOLD_ROWS. */
  readonly foldRows?: number;
}

/** What a branch with all that is staged on it shows at a moment. */
export interface WorkspaceBase {
  /** The branch's last commit. */
  readonly head: CommitId;
  readonly tree: NodeId;
  /** Of what is staged. */
  readonly version: number;
}

/**
 * A branch and the changes staged on it, which are durable but private until committed.
 *
 * Single paths are staged as rows. What changes many paths at once (a folder that is removed, moved,
 * copied or imported, or more than FOLD_ROWS rows) goes into one staged tree below the rows, so that
 * the branch with all that is staged is read like any commit, and a commit of it is short.
 */
export class Workspace {
  /** As staging has it; that of its branch, or of a private one. */
  readonly name: string;
  readonly branch: string;
  readonly #repository: Repository;
  readonly #staging: Staging;
  readonly #live: LiveHead;
  readonly #foldRows: number;
  /** The head on which rows conflict, so that they stay rows. */
  #unfoldedOn: CommitId | undefined;

  /** @param staging of this repository; several workspaces share it */
  constructor(
    repository: Repository,
    staging: Staging,
    name: string,
    { foldRows = FOLD_ROWS }: WorkspaceOptions = {},
  ) {
    this.name = name;
    this.branch = branchOfWorkspace(name);
    this.#repository = repository;
    this.#staging = staging;
    this.#live = new LiveHead(repository, staging, name);
    this.#foldRows = foldRows;
  }

  /**
   * The branch as it looks with what is staged; stays up to date as that changes.
   * @throws TarnError not-found when there is no such branch
   */
  async view(signal?: AbortSignal): Promise<View> {
    const { head } = await this.#live.load(signal);
    return new StagedView({ ...head.source, ref: this.branch }, this.#live);
  }

  /**
   * What the view shows, written as a tree. It is nobody's: it lives as long as nothing is collected.
   * @throws TarnError not-found (the branch), no-space, io, aborted
   */
  async tree(signal?: AbortSignal): Promise<NodeId> {
    for (;;) {
      const at = await this.#live.load(signal);
      const tree = await this.#treeOn(at, signal);
      if (this.#live.state().clearings === at.state.clearings) return tree;
    }
  }

  /**
   * What a commit would change, behind the path `after`, in order of paths; the cost follows what is
   * staged.
   */
  async *changes({ after, signal }: { after?: Key; signal?: AbortSignal } = {}): AsyncGenerator<
    Change,
    void,
    undefined
  > {
    const view = await this.view(signal);
    yield* changesOn({ nodes: this.#repository.nodes, live: this.#live, view }, after, signal);
  }

  /**
   * Stages entries, all of them or none; their contents must be durable. An entry that is there
   * already is no change.
   * @param head as Layers.load
   * @throws TarnError not-found (the branch), no-space, busy, io
   */
  async stage(
    entries: readonly KeyedEntry[],
    signal?: AbortSignal,
    head?: CommitId,
  ): Promise<void> {
    if (entries.length > this.#foldRows && (await this.#putFolded(entries, signal, head))) return;
    const write = async (at: HeadAt): Promise<'done' | 'stale'> => {
      const writes: StagedWrite[] = [];
      for (const { key, entry } of entries) {
        const found = at.under.get(key, signal);
        const before = isPromise(found) ? await found : found;
        const isThere = !isOld(at) && isSameEntry(before, entry);
        writes.push({ kind: isThere ? 'restore' : 'put', key, entry });
      }
      return this.#staging.write(this.name, baseOf(at), writes);
    };
    await this.#retry(signal, write, head);
    await this.#fold(signal, head);
  }

  /**
   * Removes paths, all of them or none. Again, when one was removed already and the branch has moved
   * since, it says that what is there now shall go too.
   * @throws TarnError not-found when nothing is at one of them
   */
  async remove(keys: readonly Key[], signal?: AbortSignal): Promise<void> {
    const present = await this.present(keys, signal);
    for (const key of keys) if (!present.has(key)) await this.#checkStale(key, signal);
    if (keys.length > this.#foldRows && (await this.#removeFolded(keys, signal))) return;
    const writes = keys.map((key) => ({ kind: 'remove', key }) as const);
    await this.#retry(signal, (at) => this.#staging.write(this.name, baseOf(at), writes));
    await this.#fold(signal);
  }

  /** Those of the paths that the view shows. @throws TarnError not-found (the branch) */
  present(keys: readonly Key[], signal?: AbortSignal): Promise<Set<Key>> {
    return presentOf(this.#live, keys, signal);
  }

  /**
   * Removes all that begins with `prefix`, a directory with its final `/` or everything, as remove
   * does; the cost does not depend on how much that is.
   * @throws TarnError not-found when nothing is there, invalid; conflict when the branch has moved
   *   and what is staged elsewhere conflicts with that
   */
  async removePrefix(prefix: Key, signal?: AbortSignal): Promise<void> {
    checkPrefix(prefix);
    const view = await this.view(signal);
    if ((await view.totals(prefix, signal)).entries === 0) {
      const at = await this.#live.load(signal);
      const there = await at.head.totals(prefix, signal);
      if (there.entries === 0 || !isOld(at)) throw this.#missing(prefix);
    }
    const span = spanOfPrefix(prefix);
    await this.#rewrite([span], signal, () => [{ kind: 'replace', span }]);
  }

  /**
   * Gives a file or a directory another path: `to`, or its own name in `to` when this ends with `/`
   * or is the root. No bytes are read. Resolves to the number of entries.
   * @throws TarnError not-found, exists, is-directory, not-directory, invalid; conflict as
   *   removePrefix
   */
  async move(from: Key, to: Key, options: TransferOptions = {}): Promise<number> {
    return this.#transfer('move', undefined, from, to, options);
  }

  /**
   * As move, and leaves what is copied where it is.
   * @param source a view whose entries are copied, and its tree; the workspace's own without it
   */
  async copy(
    from: Key,
    to: Key,
    options: TransferOptions & { source?: { view: View; tree: NodeId } } = {},
  ): Promise<number> {
    return this.#transfer('copy', options.source, from, to, options);
  }

  /**
   * Stages what the tree has below `prefix`, at the same paths: besides what is there, of which
   * equal paths are overwritten ('add'), or instead of it. The nodes of the tree must be durable.
   * @throws TarnError not-found (the branch), invalid; conflict as removePrefix
   */
  async graft(
    prefix: Key,
    tree: NodeId,
    mode: 'add' | 'replace',
    signal?: AbortSignal,
  ): Promise<void> {
    checkPrefix(prefix);
    const { nodes } = this.#repository;
    const span = spanOfPrefix(prefix);
    const replaced: Edit = {
      kind: 'replace',
      span,
      with: { tree, source: prefix, target: prefix },
    };
    const decided = mode === 'replace' ? [span] : [];
    await this.#rewrite(decided, signal, async (ours) => {
      const there = await this.#repository.openTree(ours, signal);
      const isFree = (await there.totalsOf(prefix, signal)).entries === 0;
      if (mode === 'replace' || isFree) {
        return (await editTree(nodes, ours, [[replaced]], signal)).id;
      }
      const { id: base } = await buildTree(nodes, [], signal);
      const prefer = (): 'theirs' => 'theirs';
      const sides = { base, ours, theirs: tree, span, prefer, mayNest: true };
      const outcome = await mergeTrees(nodes, sides, signal);
      if (outcome.kind === 'merged') return outcome.tree.id;
      throw new TarnError('internal', 'a merge that decides every conflict has left some');
    });
  }

  /**
   * Stages edits of the tree of base(); see stage-edits.ts.
   * @param onto the head of that base
   * @param head as Layers.load
   * @throws TarnError not-found (the branch), conflict, no-space, io, aborted
   */
  async stageEdits(
    edits: readonly Edit[],
    onto: CommitId,
    signal?: AbortSignal,
    head?: CommitId,
  ): Promise<void> {
    await this.#retry(signal, (at) => stageEdits(this.#target, at, edits, onto, signal), head);
    await this.#fold(signal, head);
  }

  /**
   * What the view shows now as a durable tree, with the branch's last commit.
   * @param head as Layers.load
   * @throws TarnError as tree
   */
  async base(signal?: AbortSignal, head?: CommitId): Promise<WorkspaceBase> {
    for (;;) {
      const at = await this.#live.load(signal, head);
      const tree = await this.#treeOn(at, signal);
      const { version, clearings } = this.#live.state();
      if (version !== at.state.version || clearings !== at.state.clearings) continue;
      return { head: at.head.source.commitId, tree, version };
    }
  }

  /**
   * What is staged and conflicts with what the branch has now, in order of paths.
   * @throws TarnError not-found (the branch)
   */
  async conflicts(signal?: AbortSignal): Promise<StagedConflict[]> {
    return stagedConflicts(this.#target, headOf(await this.#live.load(signal)), signal);
  }

  /**
   * Decides a conflict for what is staged at the path, or for what the branch has now.
   * @throws TarnError not-found when nothing conflicts there
   */
  async resolve(key: Key, side: 'ours' | 'theirs', signal?: AbortSignal): Promise<void> {
    await this.#retry(signal, async (at) => {
      const write = await decision(this.#target, headOf(at), key, side, signal);
      return this.#staging.write(this.name, baseOf(at), [write]);
    });
  }

  /** Grows with every change that is staged. */
  get version(): number {
    return this.#staging.state(this.name).version;
  }

  /** Gives up everything staged on the branch until it had that version; all without it. */
  discard(versionMax?: number): void {
    this.#staging.discard(this.name, versionMax);
  }

  /**
   * Gives up what is staged at or below these paths. Resolves to whether there was anything.
   * @throws TarnError not-found (the branch), no-space, io
   */
  async reset(paths: readonly Key[], signal?: AbortSignal): Promise<boolean> {
    const spans = spansOfPaths(paths);
    let found = false;
    await this.#retry(signal, async (at) => {
      const { tree } = at.state;
      const left = await leftOf(this.#repository, tree, spans, undefined, signal);
      const rows = spans.map(({ from, to }) => this.#staging.page(this.name, from, to).rows);
      found = left?.tree !== tree?.tree || rows.some(({ length }) => length > 0);
      return this.#staging.setTree(this.name, baseOf(at), left, { spans });
    });
    return found;
  }

  /** Commits what is staged, as commitStaged does. */
  async commit(options: CommitOptions): Promise<CommitId> {
    return commitStaged(this.#target, this.#live, options);
  }

  /** Stages edits and commits them where nothing else is staged, as commitEdits does. */
  async commitEdits(options: EditsCommit): Promise<CommittedEdits | undefined> {
    return commitEdits(this.#target, this.#live, options);
  }

  /** Takes them out of staging when nobody would stage them again. */
  clearCommitted(edits: Omit<CommittedEdits, 'tree'>): void {
    clearCommitted(this.#target, this.#live, edits);
  }

  get #target(): StagedBranch {
    return { repository: this.#repository, staging: this.#staging, branch: this.name };
  }

  async #transfer(
    kind: 'move' | 'copy',
    other: { readonly view: View; readonly tree: NodeId } | undefined,
    from: Key,
    to: Key,
    options: TransferOptions,
  ): Promise<number> {
    const { signal } = options;
    for (;;) {
      const at = await this.#live.load(signal);
      const view = await this.view(signal);
      const found = await sourceAt(other?.view ?? view, from, signal);
      const target = await targetOf(view, found, to, options);
      if (found.kind === 'file') {
        const { key, entry } = found;
        if (other === undefined) checkApart(kind, key, target);
        const writes: StagedWrite[] = [{ kind: 'put', key: target, entry }];
        if (kind === 'move') writes.push({ kind: 'remove', key });
        const base = { ...baseOf(at), version: at.state.version };
        if (this.#staging.write(this.name, base, writes) === 'done') return 1;
        continue;
      }
      const { prefix: source, entries } = found;
      if (other === undefined) checkApart(kind, source, target);
      const transfer = { kind, source, target };
      const change = (tree: NodeId): readonly Edit[] => editsOf(transfer, other?.tree ?? tree);
      const rewriting = { decided: decidedBy(target), onlyAsSeen: true, signal };
      if ((await this.#rewriteOn(at, change, rewriting)) === 'done') return entries;
    }
  }

  #rewrite(
    decided: readonly Span[],
    signal: AbortSignal | undefined,
    change: TreeRewrite,
    head?: CommitId,
  ): Promise<'done'> {
    return this.#retry(signal, (at) => this.#rewriteOn(at, change, { decided, signal }), head);
  }

  /**
   * Makes all that is staged, with a change on top, the staged tree on the branch's head.
   * @param options.decided what the change decides anew
   * @param options.onlyAsSeen 'stale' also when anything was staged since
   */
  async #rewriteOn(
    at: HeadAt,
    change: TreeRewrite,
    options: {
      decided: readonly Span[];
      onlyAsSeen?: boolean;
      signal: AbortSignal | undefined;
    },
  ): Promise<'done' | 'stale'> {
    const { signal, onlyAsSeen = false } = options;
    const [repository, staging] = [this.#repository, this.#staging];
    const head = headOf(at);
    const { tree: before, state } = await settle(repository, staging, this.name, head, options);
    if (state.clearings !== at.state.clearings) return 'stale';
    if (onlyAsSeen && state.version !== at.state.version) return 'stale';
    const changed = change(before);
    const tree =
      changed instanceof Promise
        ? await changed
        : (await editTree(repository.nodes, before, [changed], signal)).id;
    faultPoint('staging-folded');
    const staged = tree === head.tree ? undefined : { tree, base: head.id };
    const outcome = staging.setTree(this.name, baseOf(at), staged, { versionMax: state.version });
    if (outcome === 'done') this.#live.noteFolded(at);
    return outcome;
  }

  /** Makes many rows part of the staged tree; not while they conflict with the branch. */
  async #fold(signal: AbortSignal | undefined, known?: CommitId): Promise<void> {
    if (!this.#staging.hasMoreRows(this.name, this.#foldRows)) return;
    const { head } = await this.#live.load(signal, known);
    const { commitId } = head.source;
    if (this.#unfoldedOn === commitId) return;
    const done = await unlessConflict(() => this.#rewrite([], signal, () => [], commitId));
    if (done === undefined) this.#unfoldedOn = commitId;
  }

  /** Without a row for each; undefined where what is staged elsewhere conflicts with the branch. */
  #removeFolded(
    keys: readonly Key[],
    signal: AbortSignal | undefined,
  ): Promise<'done' | undefined> {
    const sorted = [...new Set(keys)].sort();
    const edits = sorted.map((key): Edit => ({ kind: 'remove', key }));
    return unlessConflict(() => this.#rewrite(sorted.map(spanOfKey), signal, () => edits));
  }

  /** As #removeFolded; of entries of one path the last one stays. */
  #putFolded(
    entries: readonly KeyedEntry[],
    signal: AbortSignal | undefined,
    head: CommitId | undefined,
  ): Promise<'done' | undefined> {
    const byKey = new Map(entries.map(({ key, entry }) => [key, entry]));
    const sorted = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1));
    const edits = sorted.map(([key, entry]): Edit => ({ kind: 'put', key, entry }));
    const decided = sorted.map(([key]) => spanOfKey(key));
    return unlessConflict(() => this.#rewrite(decided, signal, () => edits, head));
  }

  /** What is not there can be removed only as what another commit may bring back. */
  async #checkStale(key: Key, signal: AbortSignal | undefined): Promise<void> {
    const { rows, head, state } = await this.#live.page(spanOfKey(key), signal);
    const there = await head.get(key, signal);
    const isStale = (rows[0] ?? state.tree)?.base !== head.source.commitId;
    if (there === undefined || !isStale) throw this.#missing(key);
  }

  async #treeOn({ underTree, state }: HeadAt, signal: AbortSignal | undefined): Promise<NodeId> {
    const edits = this.#rowEdits(state.version);
    return (await editTree(this.#repository.nodes, underTree, edits, signal)).id;
  }

  *#rowEdits(versionMax: number): Iterable<readonly Edit[]> {
    for (const { key, entry } of this.#staging.rows(this.name, WHOLE_SPAN, versionMax)) {
      yield [entry === undefined ? { kind: 'remove', key } : { kind: 'put', key, entry }];
    }
  }

  /** Again on the new head while rows leave staging in between: each retry is one commit or fold. */
  async #retry(
    signal: AbortSignal | undefined,
    write: (at: HeadAt) => 'done' | 'stale' | Promise<'done' | 'stale'>,
    head?: CommitId,
  ): Promise<'done'> {
    for (;;) {
      if ((await write(await this.#live.load(signal, head))) === 'done') return 'done';
    }
  }

  #missing(key: Key): TarnError {
    const path = keyToText(key);
    return new TarnError('not-found', `there is nothing at '${path}' on branch '${this.name}'`, {
      hint: `see 'tarn ls ${this.#repository.name}/${this.branch}'`,
    });
  }
}

/** Edits of the tree of what is staged, or the tree that it becomes. */
type TreeRewrite = (tree: NodeId) => readonly Edit[] | Promise<NodeId>;

function headOf({ head: { source } }: HeadAt): SettleHead {
  return { id: source.commitId, tree: source.commit.tree };
}

/** The staged tree was made on another head: what it has there may conflict. */
function isOld({ head, state }: HeadAt): boolean {
  return state.tree !== undefined && state.tree.base !== head.source.commitId;
}
