import { mkdirSync } from 'node:fs';
import type { CommitId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { WHOLE_SPAN } from '../model/span.js';
import type { Repository } from '../repo/repository.js';
import type { FrozenView } from '../repo/view.js';
import type { TreeChange } from '../tree/diff.js';
import { diffTrees } from '../tree/diff.js';
import type { Inode } from '../vfs/filesystem.js';
import type { CommitOptions } from '../workspace/commit.js';
import type { CommittedEdits } from '../workspace/commit-edits.js';
import type { WorkspaceBase } from '../workspace/workspace.js';
import type { FileCalls } from './bytes/file-calls.js';
import type { ListRow } from './jobs/list-job.js';
import type { OverlayInput } from './jobs/planned.js';
import type { OverlayThreads } from './jobs/registry.js';
import type { Staged, StageInput, StageRow } from './jobs/stage-job.js';
import { Overlay } from './overlay.js';
import type { Absorbed } from './snapshot.js';
import { Hydrator } from './hydrator.js';
import { BackgroundStore } from './staging/background-store.js';
import type { Kept } from './staging/edits.js';
import type { Plan } from './staging/plan.js';
import { planOf } from './staging/plan.js';
import { StagedPart } from './staging/staged-part.js';
import type { StatusEnd } from '../workspace/jobs/status-job.js';

export interface LiveWorkspaceOptions {
  readonly repository: Repository;
  /** Or the name of a private workspace. */
  readonly branch: string;
  /** Of the journal and the staged files; made where the branch is there. */
  readonly folder: string;
  readonly threads: OverlayThreads;
  /** Calls that Node lacks; without them slower ones do. */
  readonly calls?: FileCalls;
  /** As OverlayOptions. */
  readonly unnamed?: ReadonlyMap<Inode, string>;
  /** Of what goes on in the background. */
  readonly onFault: (error: unknown) => void;
}

export interface StageOptions {
  /** Files that are open for writing are taken as of one instant; without it they stay as they were. */
  readonly takesOpen: boolean;
  readonly signal?: AbortSignal;
}

/** What is to be said of a commit. */
export type CommitRequest = Omit<CommitOptions, 'signal'>;

/**
 * A branch that programs change through mounts: its overlay, how that is staged, and how it follows
 * what others do to the branch. One in a process for each workspace.
 */
export class LiveWorkspace {
  readonly overlay: Overlay;
  readonly branch: string;
  readonly #options: LiveWorkspaceOptions;
  readonly #background: BackgroundStore;
  readonly #hydrator: Hydrator;
  #base: WorkspaceBase;
  /** Staging and rebasing, one after the other; never rejects. */
  #queue: Promise<unknown> = Promise.resolve();

  /** @throws TarnError not-found (the branch), corrupt, unsupported, no-space, denied, io */
  static async open(options: LiveWorkspaceOptions, signal?: AbortSignal): Promise<LiveWorkspace> {
    const base = await baseNow(options, signal);
    const view = await viewOf(options, base, signal);
    const { folder, calls, unnamed, repository, threads } = options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const overlay = Overlay.open(folder, view, {
      ...(calls === undefined ? {} : { calls }),
      ...(unnamed === undefined ? {} : { unnamed }),
      checkpointer: (path, before) =>
        threads.run('journal-checkpoint', { repository: repository.name, path, before }, {}),
    });
    return new LiveWorkspace(options, overlay, base);
  }

  private constructor(options: LiveWorkspaceOptions, overlay: Overlay, base: WorkspaceBase) {
    this.branch = options.branch;
    this.overlay = overlay;
    this.#options = options;
    this.#base = base;
    overlay.baseName = base.tree;
    const { repository, folder, threads, onFault } = options;
    this.#background = new BackgroundStore(overlay, {
      repository: repository.name,
      folder,
      threads,
      onFault,
    });
    this.#hydrator = new Hydrator(overlay, onFault);
  }

  /** The branch's commit that mounts show, with changes on top. */
  get head(): WorkspaceBase['head'] {
    return this.#base.head;
  }

  /**
   * Stages what programs have changed up to now; resolves to what of it is not staged.
   * @throws TarnError as Workspace.stageEdits; nothing is lost then
   */
  stage(options: StageOptions): Promise<readonly Kept[]> {
    return this.#inTurn(async () => (await this.#stage(options)).kept);
  }

  /**
   * Stages, and commits that: at once where nothing else is staged, and has `work` do it otherwise.
   * Nothing else is staged meanwhile: it would lie on what is being committed, and seem to conflict with
   * the commit. The commit is shown when it resolves.
   * @throws TarnError as stage, and what `work` throws; nothing is lost then
   */
  commit(
    options: StageOptions,
    { paths, ...request }: CommitRequest,
    work: () => Promise<CommitId>,
  ): Promise<{ readonly kept: readonly Kept[]; readonly id: CommitId }> {
    return this.#inTurn(async () => {
      const staged = await this.#stage(options, paths === undefined ? request : undefined);
      const { kept, committed, isAbsorbed } = staged;
      const id = committed?.id ?? (await work());
      // What is still in the overlay stays staged as well: it was made on the head before the commit.
      const cleared = isAbsorbed ? committed : undefined;
      // A commit is made whatever becomes of this, which the next one to look at the branch repeats.
      await this.#refresh(undefined, id, cleared).catch(() => undefined);
      return { kept, id };
    });
  }

  /**
   * Shows what the branch and its staging are by now. What programs have changed meanwhile is staged
   * first where the branch has moved, so that a conflict with that is found.
   * @throws TarnError not-found (the branch), and what stage throws
   */
  refresh(signal?: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#refresh(signal));
  }

  /** What the next commit would change, without storing anything. @throws TarnError not-found, io */
  list(
    options: {
      readonly limit?: number;
      readonly after?: Key;
      readonly signal: AbortSignal;
    },
    onRows: (rows: readonly ListRow[]) => Promise<void> | void,
  ): Promise<StatusEnd> {
    const { signal, ...page } = options;
    return this.#inTurn(async () => {
      const snapshot = this.overlay.snapshot();
      try {
        const input = this.#input(await planOf(snapshot, this.overlay.files));
        const { threads } = this.#options;
        return await threads.run('list-changes', { ...input, ...page }, { onRows, signal });
      } finally {
        snapshot.end();
      }
    });
  }

  /** Neither staged nor changed is anything. */
  get isClean(): boolean {
    const { base, isEmpty } = this.overlay;
    return isEmpty && this.#base.tree === base.view.source.commit.tree;
  }

  /** The base stays what it is until `work` has settled. */
  waitFor(work: Promise<unknown>): void {
    const settled = work.catch(() => undefined);
    this.#queue = this.#queue.then(() => settled);
  }

  /** Paths of files that programs have open for writing. */
  get openFiles(): number {
    return [...this.overlay.files.written()].length;
  }

  /** Nothing may use it any more. */
  async close(): Promise<void> {
    await this.#hydrator.close();
    await this.#background.close();
    await this.#queue;
    await this.overlay.close();
  }

  /** @param options as BaseInput */
  async #refresh(
    signal: AbortSignal | undefined,
    head?: CommitId,
    committed?: CommittedEdits,
  ): Promise<void> {
    const now = await baseNow(this.#options, signal, head, committed);
    const [hasMoved, isSame] = [now.head !== this.#base.head, now.tree === this.#base.tree];
    if (isSame && !hasMoved) return;
    // Where all is as it was shown, as after a commit of it, nothing can conflict.
    if (hasMoved && !isSame && !this.overlay.isEmpty) {
      await this.#stage({ takesOpen: true, ...(signal === undefined ? {} : { signal }) });
    } else {
      await this.#rebase({ now, shown: this.#base.tree }, undefined, signal);
    }
  }

  #stage(options: StageOptions, commit?: StageInput['commit']): Promise<StagedOverlay> {
    if (this.overlay.isEmpty) return Promise.resolve({ kept: [], isAbsorbed: true });
    // Copying bytes looks like a change to whoever reads them.
    const work = () => this.#hydrator.pausedFor(() => this.#stageNow(options, commit));
    // To store twice what is being stored costs little where it lies on this machine.
    if (this.#options.repository.objects.localPath !== undefined) return work();
    return this.#background.pausedFor(work, options.signal);
  }

  async #stageNow(
    { takesOpen, signal }: StageOptions,
    commit: StageInput['commit'],
  ): Promise<StagedOverlay> {
    const { files } = this.overlay;
    const snapshot = this.overlay.snapshot();
    const writers = files.noteWriters();
    try {
      const plan = await planOf(snapshot, files);
      const staged = new StagedPart(plan);
      const options = {
        onRows: (rows: readonly StageRow[]) => staged.take(rows),
        ...(signal === undefined ? {} : { signal }),
      };
      const about = commit === undefined ? {} : { commit };
      const input = { ...this.#input(plan), takesOpen, ...about };
      const done = await this.#options.threads.run('stage-changes', input, options);
      const { committed } = done;
      let isAbsorbed = false;
      try {
        await files.lookForMaps(staged.files());
        await this.#rebase(done, { snapshot, ...staged.absorbed(writers.nodes) }, signal);
        isAbsorbed = true;
      } catch (error) {
        if (committed === undefined) throw error;
      }
      return { kept: staged.kept, committed, isAbsorbed };
    } finally {
      writers.end();
      snapshot.end();
    }
  }

  async #rebase(
    { now, shown }: Staged,
    absorbed: Absorbed | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const view = await viewOf(this.#options, now, signal);
    const told = this.overlay.beginTelling();
    try {
      this.overlay.rebase(view, absorbed);
      this.#base = now;
      this.overlay.baseName = now.tree;
      if (shown === now.tree) return;
      // From here on it is done, and whoever gave up waiting must not keep kernels from hearing of it.
      const { nodes } = this.#options.repository;
      await this.overlay.follow(keysOf(diffTrees(nodes, shown, now.tree, WHOLE_SPAN)), NEVER);
    } finally {
      told();
    }
  }

  #input(plan: Plan): OverlayInput {
    const { repository, branch, folder } = this.#options;
    const { head, tree } = this.#base;
    return { repository: repository.name, branch, folder, head, tree, plan: plan.batches };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}

interface StagedOverlay {
  readonly kept: readonly Kept[];
  /** Whether nothing of it is in the overlay any more. */
  readonly isAbsorbed: boolean;
  /** Where it was committed at once. */
  readonly committed?: CommittedEdits | undefined;
}

const NEVER = new AbortController().signal;

async function* keysOf(batches: AsyncIterable<readonly TreeChange[]>): AsyncGenerator<Key> {
  for await (const batch of batches) for (const { key } of batch) yield key;
}

async function baseNow(
  { repository, branch, threads }: LiveWorkspaceOptions,
  signal: AbortSignal | undefined,
  head?: CommitId,
  committed?: CommittedEdits,
): Promise<WorkspaceBase> {
  const after = committed === undefined ? {} : { committed };
  const known = head === undefined ? {} : { head };
  const input = { repository: repository.name, branch, ...known, ...after };
  return threads.run('workspace-base', input, signal === undefined ? {} : { signal });
}

async function viewOf(
  { repository, branch }: LiveWorkspaceOptions,
  { head, tree }: WorkspaceBase,
  signal: AbortSignal | undefined,
): Promise<FrozenView> {
  const { source } = await repository.commitView(branch, head, signal);
  return repository.treeView(source, tree, signal);
}
