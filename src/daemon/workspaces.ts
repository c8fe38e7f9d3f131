import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CommitId } from '../model/ids.js';
import { branchOfWorkspace, isPrivate } from '../model/workspace-name.js';
import type { FileCalls } from '../overlay/bytes/file-calls.js';
import type { CommitRequest } from '../overlay/live-workspace.js';
import { LiveWorkspace } from '../overlay/live-workspace.js';
import type { Kept } from '../overlay/staging/edits.js';
import { asTarnError, TarnError } from '../util/errors.js';
import type { Inode } from '../vfs/filesystem.js';
import type { Home } from '../workspace/home.js';
import type { JobThreads } from '../workspace/jobs/threads.js';
import type { FollowedBranches } from './followed-branches.js';
import { LOOK_MS, LOOKS_OF_BUCKET } from './followed-branches.js';
import type { DaemonJobs } from './jobs.js';
import type { Log } from './log.js';
import type { Repositories } from './repositories.js';

/** How often it is looked whether files that are waited for were closed. */
const WAIT_MS = 100;

export interface WorkspacesOptions {
  readonly home: Home;
  readonly repositories: Repositories;
  readonly threads: JobThreads<DaemonJobs>;
  readonly log: Log;
  /** Read-only mounts of branches, which show what was committed here too. */
  readonly followed: FollowedBranches;
  /** Nodes without names that programs still have open on a branch, from an earlier daemon. */
  readonly unnamed?: (repository: string, branch: string) => ReadonlyMap<Inode, string>;
  /** For staged files, where there are any. */
  readonly calls: () => FileCalls | undefined;
}

interface Held {
  readonly repository: string;
  /** Or a private workspace on one. */
  readonly branch: string;
  readonly opening: Promise<LiveWorkspace>;
  mounts: number;
  isLooking: boolean;
  looks: number;
}

/**
 * The branches that programs change through mounts. One is opened by the first mount that writes, or
 * by the first command on a branch of which an earlier daemon has left changes.
 */
export class Workspaces {
  readonly #options: WorkspacesOptions;
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WorkspacesOptions) {
    this.#options = options;
  }

  /**
   * For a mount; to be given back by `release`. It shows the branch as it is now, unless it stays as it
   * was for a mount that goes on.
   * @throws TarnError as LiveWorkspace.open
   */
  async hold(
    repository: string,
    branch: string,
    { goesOn, signal }: { readonly goesOn: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<LiveWorkspace> {
    const isNew = !this.#held.has(keyOf(repository, branch));
    const held = this.#open(repository, branch, signal);
    held.mounts += 1;
    this.#look();
    try {
      const live = await held.opening;
      if (!isNew && !goesOn) await live.refresh(signal);
      return live;
    } catch (error) {
      this.release(repository, branch);
      throw error;
    }
  }

  release(repository: string, branch: string): void {
    const held = this.#held.get(keyOf(repository, branch));
    if (held !== undefined) held.mounts -= 1;
  }

  /** The mounts that an earlier daemon has left go on by now, as far as they do. */
  async resumed(): Promise<void> {
    for (const { opening } of this.#held.values()) {
      const live = await opening.catch(() => undefined);
      live?.overlay.letGoOfUnnamed();
    }
  }

  /** The branch's, where programs change it or have done so; undefined where nobody ever did. */
  async live(repository: string, branch: string): Promise<LiveWorkspace | undefined> {
    const held = this.#held.get(keyOf(repository, branch));
    if (held !== undefined) return held.opening;
    const folder = this.#options.home.overlayFolder(repository, branch);
    if (existsSync(folder)) return this.#open(repository, branch, undefined).opening;
    if (!isPrivate(branch)) return undefined;
    throw new TarnError('not-found', `there is no private workspace '${repository}/${branch}'`, {
      hint: `see 'tarn workspace list ${repository}'`,
    });
  }

  /**
   * Stages what programs have changed on the branch, so that everybody sees it. What cannot be staged
   * while something else conflicts stays where it is until that is resolved: only a commit says so.
   */
  async stage(
    repository: string,
    branch: string,
    options: { readonly takesOpen: boolean; readonly signal: AbortSignal },
  ): Promise<readonly Kept[]> {
    const live = await this.live(repository, branch);
    try {
      return live === undefined ? [] : await live.stage(options);
    } catch (error) {
      if (asTarnError(error).kind !== 'conflict') throw error;
      return [];
    }
  }

  /**
   * Does work that changes the branch or its staging: what programs have changed is staged before, and
   * mounts show what came of it.
   */
  async changing<T>(
    repository: string,
    branch: string,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    await this.stage(repository, branch, { takesOpen: false, signal });
    return this.following(repository, branch, work);
  }

  /**
   * Stages what programs have changed, files that are open for writing as of one instant each, and
   * commits it, as LiveWorkspace.commit does.
   * @param options.wait until no file is, however long that takes
   */
  async committing(
    repository: string,
    branch: string,
    { wait, signal }: { readonly wait: boolean; readonly signal: AbortSignal },
    request: CommitRequest,
    work: () => Promise<CommitId>,
  ): Promise<{ readonly kept: readonly Kept[]; readonly id: CommitId }> {
    const live = await this.live(repository, branch);
    if (live === undefined) {
      return { kept: [], id: await this.following(repository, branch, work) };
    }
    while (wait && live.openFiles > 0) await delay(WAIT_MS, undefined, { signal });
    try {
      return await live.commit({ takesOpen: true, signal }, request, work);
    } catch (error) {
      await this.#follow(live, repository);
      throw error;
    } finally {
      await this.#showElsewhere(repository, branch);
    }
  }

  /** Does work after which mounts show what came of it. */
  async following<T>(repository: string, branch: string, work: () => Promise<T>): Promise<T> {
    const live = await this.live(repository, branch);
    try {
      return await work();
    } finally {
      if (live !== undefined) await this.#follow(live, repository);
      await this.#showElsewhere(repository, branch);
    }
  }

  /** What came of work on a workspace, in mounts of others on the same branch. */
  async #showElsewhere(repository: string, workspace: string): Promise<void> {
    await this.#options.followed.refresh(repository, branchOfWorkspace(workspace));
    for (const held of this.#held.values()) {
      if (held.mounts > 0 && isBeside(held, repository, workspace)) void this.#lookAt(held);
    }
    await this.dropClean(repository, workspace);
  }

  /**
   * Ends a private workspace that nothing is in and that is not mounted; any other stays. Resolves to
   * whether it is one that stays.
   */
  async dropClean(repository: string, workspace: string): Promise<boolean> {
    const held = this.#held.get(keyOf(repository, workspace));
    if (!isPrivate(workspace) || held === undefined || held.mounts > 0) return false;
    const live = await held.opening;
    if (!live.isClean || held.mounts > 0) return true;
    await this.#close(held);
    this.remove(repository, workspace);
    return false;
  }

  /**
   * Closes what is open of a branch, or of all of a repository.
   * @throws TarnError busy when it is mounted, or has private workspaces
   */
  async close(repository: string, branch?: string): Promise<void> {
    const privates = this.#options.home.privateWorkspaces(repository);
    const own = privates.find((name) => branchOfWorkspace(name) === branch);
    if (own !== undefined) {
      const name = `${repository}/${own}`;
      throw new TarnError('busy', `'${name}' is a private workspace on the branch`, {
        hint: `commit what is in it (tarn commit ${name}) or give it up (tarn reset ${name}), and unmount it`,
      });
    }
    for (const held of [...this.#held.values()]) {
      if (held.repository !== repository || (branch ?? held.branch) !== held.branch) continue;
      await this.#closeUnmounted(held);
    }
  }

  /**
   * Ends a private workspace whatever is in it.
   * @throws TarnError busy when it is mounted
   */
  async giveUp(repository: string, workspace: string): Promise<void> {
    const held = this.#held.get(keyOf(repository, workspace));
    if (held !== undefined) await this.#closeUnmounted(held);
    this.remove(repository, workspace);
  }

  /** What programs changed and nobody staged goes with the branch; it must be closed. */
  rename(repository: string, from: string, to: string): void {
    const { home } = this.#options;
    const [old, folder] = [
      home.overlayFolder(repository, from),
      home.overlayFolder(repository, to),
    ];
    if (!existsSync(old)) return;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
    renameSync(old, folder);
  }

  /** Gives up what programs changed on a branch that is gone; it must be closed. */
  remove(repository: string, branch: string): void {
    const folder = this.#options.home.overlayFolder(repository, branch);
    rmSync(folder, { recursive: true, force: true });
  }

  async closeAll(): Promise<void> {
    clearInterval(this.#timer);
    for (const held of [...this.#held.values()]) await this.#close(held);
  }

  #open(repository: string, branch: string, signal: AbortSignal | undefined): Held {
    const key = keyOf(repository, branch);
    const known = this.#held.get(key);
    if (known !== undefined) return known;
    const opening = this.#opened(repository, branch, signal);
    const held: Held = { repository, branch, opening, mounts: 0, isLooking: false, looks: 0 };
    this.#held.set(key, held);
    opening.catch(() => {
      if (this.#held.get(key) === held) this.#held.delete(key);
    });
    return held;
  }

  async #opened(
    repository: string,
    branch: string,
    signal: AbortSignal | undefined,
  ): Promise<LiveWorkspace> {
    const { home, repositories, threads, log } = this.#options;
    const calls = this.#options.calls();
    const unnamed = this.#options.unnamed?.(repository, branch);
    const options = {
      repository: await repositories.open(repository),
      branch,
      folder: home.overlayFolder(repository, branch),
      threads,
      ...(calls === undefined ? {} : { calls }),
      ...(unnamed === undefined ? {} : { unnamed }),
      onFault: (error: unknown) => log.fault('storing changes', error, { repository, branch }),
    };
    return LiveWorkspace.open(options, signal);
  }

  async #closeUnmounted(held: Held): Promise<void> {
    if (held.mounts > 0) {
      throw new TarnError('busy', `'${held.repository}/${held.branch}' is mounted for writing`, {
        hint: "see 'tarn mounts', and unmount it first",
      });
    }
    await this.#close(held);
  }

  async #close(held: Held): Promise<void> {
    this.#held.delete(keyOf(held.repository, held.branch));
    const live = await held.opening.catch(() => undefined);
    await live?.close();
  }

  #look(): void {
    this.#timer ??= setInterval(() => {
      for (const held of this.#held.values()) if (held.mounts > 0) void this.#lookAt(held);
    }, LOOK_MS).unref();
  }

  /** Never rejects. */
  async #lookAt(held: Held): Promise<void> {
    if (held.isLooking) return;
    held.isLooking = true;
    try {
      const live = await held.opening;
      const { refs, objects } = await this.#options.repositories.open(held.repository);
      held.looks += 1;
      if (objects.localPath === undefined && held.looks % LOOKS_OF_BUCKET !== 0) return;
      const head = await refs.get('branch', branchOfWorkspace(held.branch));
      if (head !== undefined && head !== live.head) await this.#follow(live, held.repository);
    } catch (error) {
      this.#note(error, held.repository, held.branch);
    } finally {
      held.isLooking = false;
    }
  }

  /** Never rejects: the work before it is done whatever becomes of this, which is tried again. */
  async #follow(live: LiveWorkspace, repository: string): Promise<void> {
    try {
      await live.refresh();
    } catch (error) {
      this.#note(error, repository, live.branch);
    }
  }

  #note(error: unknown, repository: string, branch: string): void {
    const { kind } = asTarnError(error);
    if (kind === 'not-found' || kind === 'conflict') return;
    this.#options.log.fault('following the branch', error, { repository, branch });
  }
}

/** Another workspace on the same branch. */
function isBeside(held: Held, repository: string, workspace: string): boolean {
  return (
    held.repository === repository &&
    held.branch !== workspace &&
    branchOfWorkspace(held.branch) === branchOfWorkspace(workspace)
  );
}

/** No name of a repository or branch has a `/`. */
function keyOf(repository: string, branch: string): string {
  return `${repository}/${branch}`;
}
