import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { WHOLE_SPAN } from '../model/span.js';
import type { Repository } from '../repo/repository.js';
import type { FrozenView } from '../repo/view.js';
import { ReadTally } from '../store/traffic.js';
import type { TreeChange } from '../tree/diff.js';
import { diffTrees } from '../tree/diff.js';
import { FollowingFilesystem } from '../vfs/following-filesystem.js';
import type { Log } from './log.js';
import type { Repositories } from './repositories.js';

/** How often it is looked whether someone else has committed to a branch that a mount shows. */
export const LOOK_MS = 1_000;
/** In a bucket, where each look is a request, once in so many times. */
export const LOOKS_OF_BUCKET = 5;

/** A branch that one mount follows. */
export class FollowedBranch {
  readonly branch: string;
  readonly filesystem: FollowingFilesystem;
  /** Counts what is read of files. */
  readonly tally: ReadTally;
  readonly #repository: Repository;
  #head: CommitId;
  /** The tree that the kernel knows: an older one while it could not be told of the newest. */
  #told: NodeId;
  #isGone = false;
  /** One look after the other; never rejects. */
  #queue: Promise<unknown> = Promise.resolve();

  /** @param view of the branch's newest commit */
  constructor(repository: Repository, branch: string, view: FrozenView, tally: ReadTally) {
    this.branch = branch;
    this.tally = tally;
    this.filesystem = new FollowingFilesystem(view);
    this.#repository = repository;
    this.#head = view.source.commitId;
    this.#told = view.source.commit.tree;
  }

  get repository(): string {
    return this.#repository.name;
  }

  /** Looking at it is a request. */
  get isFar(): boolean {
    return this.#repository.objects.localPath === undefined;
  }

  /** The commit that is shown. */
  get head(): CommitId {
    return this.#head;
  }

  /** The branch is not there any more, so the mount stays at the last commit that it had. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /**
   * Shows the newest commit; kernels have been told of all that differs when it resolves.
   * @throws TarnError corrupt, io; it is to be tried again then
   */
  refresh(): Promise<void> {
    const turn = this.#queue.then(() => this.#refresh());
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #refresh(): Promise<void> {
    const { refs, nodes } = this.#repository;
    const head = await refs.get('branch', this.branch);
    this.#isGone = head === undefined;
    if (head === undefined) return;
    const view = await this.#repository.commitView(this.branch, head, undefined, this.tally);
    const { tree } = view.source.commit;
    if (head === this.#head && tree === this.#told) return;
    this.#head = head;
    await this.filesystem.follow(view, keysOf(diffTrees(nodes, this.#told, tree, WHOLE_SPAN)));
    this.#told = tree;
  }
}

/** The branches that read-only mounts follow. */
export class FollowedBranches {
  readonly #repositories: Repositories;
  readonly #log: Log;
  readonly #followed = new Set<FollowedBranch>();
  readonly #looking = new Set<FollowedBranch>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(repositories: Repositories, log: Log) {
    this.#repositories = repositories;
    this.#log = log;
  }

  /** For one mount; to be given back by `end`. @throws TarnError not-found, corrupt, io */
  async begin(repository: string, branch: string, signal: AbortSignal): Promise<FollowedBranch> {
    const opened = await this.#repositories.open(repository);
    const { commitId } = await opened.resolve(`${branch}@`, signal);
    const tally = new ReadTally(this.#repositories.traffic(repository).reads);
    const view = await opened.commitView(branch, commitId, signal, tally);
    const followed = new FollowedBranch(opened, branch, view, tally);
    this.#followed.add(followed);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return followed;
  }

  end(followed: FollowedBranch): void {
    this.#followed.delete(followed);
    if (this.#followed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** After work on a branch; never rejects, as the work is done and the next look tries again. */
  async refresh(repository: string, branch: string): Promise<void> {
    for (const each of this.#followed) {
      if (each.repository === repository && each.branch === branch) await this.#refresh(each);
    }
  }

  #look(): void {
    this.#looks += 1;
    for (const followed of this.#followed) {
      if (this.#looking.has(followed)) continue;
      if (followed.isFar && this.#looks % LOOKS_OF_BUCKET !== 0) continue;
      this.#looking.add(followed);
      void this.#refresh(followed).finally(() => this.#looking.delete(followed));
    }
  }

  async #refresh(followed: FollowedBranch): Promise<void> {
    const { repository, branch } = followed;
    try {
      await followed.refresh();
    } catch (error) {
      // A mount that has ended lets its repository be closed.
      if (!this.#followed.has(followed)) return;
      this.#log.fault('following the branch', error, { repository, branch });
    }
  }
}

async function* keysOf(batches: AsyncIterable<readonly TreeChange[]>): AsyncGenerator<Key> {
  for await (const batch of batches) for (const { key } of batch) yield key;
}
