import type { Commit } from '../model/commit.js';
import type { FileEntry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { RefExpression } from '../model/refs.js';
import { parseRefExpression } from '../model/refs.js';
import { CachedStore } from '../cache/cached-store.js';
import { ForeignBuckets } from '../store/foreign-buckets.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ReadTally } from '../store/traffic.js';
import type { Ref, RefChange, RefKind, RefStore } from '../store/ref-store.js';
import { NodeCache, Nodes } from '../tree/nodes.js';
import { Tree } from '../tree/tree.js';
import { buildTree } from '../tree/write.js';
import { CommitStore } from './commit-store.js';
import { CommitView } from './commit-view.js';
import type { Content } from './content.js';
import { ContentReader } from './content-reader.js';
import type { VerifiedStamps } from './content-stamps.js';
import { Guards } from './guards.js';
import type { Publication, Published } from './publish.js';
import { publish } from './publish.js';
import type { BranchReset } from './refs.js';
import { createRef, deleteRef, renameBranch, resetBranch } from './refs.js';
import type { Resolved } from './resolve.js';
import { resolve } from './resolve.js';
import { SettingsStore } from './settings-store.js';
import type { Storage } from './storage-format.js';
import type { StorageOptions } from './storage.js';
import { createStorage, markComplete, openStorage } from './storage.js';
import { TreePackStore } from './tree-packs.js';
import type { FrozenView, ViewSource } from './view.js';

export interface RepositoryOptions extends StorageOptions {
  /** Shared by the repositories of a process; without it each has a small one of its own. */
  readonly nodeCache?: NodeCache;
  readonly stamps?: VerifiedStamps;
}

const OWN_CACHE_BYTES = 16_777_216;

/** A named history: commits, refs, and views of them. Safe to share among concurrent calls. */
export class Repository {
  readonly name: string;
  readonly objects: ObjectStore;
  readonly nodes: Nodes;
  readonly commits: CommitStore;
  readonly refs: RefStore;
  readonly settings: SettingsStore;
  readonly guards: Guards;
  /** Where imported objects lie. */
  readonly foreign: ForeignBuckets;
  readonly #contents: ContentReader;

  private constructor(name: string, storage: Storage, options: RepositoryOptions) {
    this.name = name;
    this.objects = storage.objects;
    this.refs = storage.refs;
    const cache = options.nodeCache ?? new NodeCache(OWN_CACHE_BYTES);
    this.nodes = new Nodes(new TreePackStore(this.objects), cache);
    this.commits = new CommitStore(this.objects);
    this.refs.attach?.(this.commits.attachments);
    this.settings = new SettingsStore(this.objects, this.refs);
    this.guards = new Guards(name, this.settings);
    const { offline: isOffline = false, traffic } = options;
    const counted = traffic === undefined ? {} : { metrics: traffic.bucket };
    this.foreign = new ForeignBuckets({ isOffline, ...counted });
    const keeper = keeperOf(this.objects, options);
    this.#contents = new ContentReader(this.objects, options.stamps, this.foreign, keeper);
  }

  /**
   * Makes a repository with a branch `main` that has an empty first commit. One whose creation was
   * interrupted is completed.
   * @param storage an absolute directory, a file:// URL or that of a bucket
   * @param by author of the first commit
   * @throws TarnError exists, unsupported, invalid, denied, no-space, io
   */
  static async create(
    name: string,
    storage: string,
    by: string,
    options: RepositoryOptions = {},
  ): Promise<Repository> {
    const repository = new Repository(name, await createStorage(storage, options), options);
    try {
      const { id: tree } = await buildTree(repository.nodes, []);
      const atMs = Date.now();
      const first: Commit = {
        tree,
        parents: [],
        author: by,
        dateMs: atMs,
        message: 'Create the repository',
        metadata: {},
      };
      const next = await repository.commits.save(first);
      const change: RefChange = {
        kind: 'branch',
        name: 'main',
        expected: undefined,
        next,
        by,
        atMs,
        why: 'repository create',
      };
      await repository.refs.compareAndSwap(change);
      await markComplete(repository.objects);
      return repository;
    } catch (error) {
      await repository.close();
      throw error;
    }
  }

  /** @throws TarnError not-found, corrupt (names the file), unsupported, denied, io */
  static async open(
    name: string,
    storage: string,
    options: RepositoryOptions = {},
  ): Promise<Repository> {
    return new Repository(name, await openStorage(storage, options), options);
  }

  /**
   * @throws TarnError not-found (also an ancestor that does not exist, and a time before the ref's
   *   record), ambiguous, invalid (not an expression, or a time in the future), corrupt, io, aborted
   */
  async resolve(expression: string | RefExpression, signal?: AbortSignal): Promise<Resolved> {
    const parsed = typeof expression === 'string' ? parseRefExpression(expression) : expression;
    return resolve(this, parsed, signal);
  }

  /** @throws TarnError not-found, corrupt, unsupported, io, aborted */
  readCommit(id: CommitId, signal?: AbortSignal): Promise<Commit> {
    return this.commits.read(id, signal);
  }

  /**
   * @param ref what the user called it, for messages and extended attributes
   * @param tally counts what is read of contents through the view
   */
  async commitView(
    ref: string,
    commitId: CommitId,
    signal?: AbortSignal,
    tally?: ReadTally,
  ): Promise<FrozenView> {
    const commit = await this.commits.read(commitId, signal);
    const tree = await this.openTree(commit.tree, signal);
    const source = { repository: this.name, ref, commitId, commit };
    return new CommitView(source, tree, this.#contents, tally);
  }

  /** A tree that is no commit's as a view of the same moment; any of its contents can be opened. */
  async treeView(source: ViewSource, tree: NodeId, signal?: AbortSignal): Promise<FrozenView> {
    return new CommitView(source, await this.openTree(tree, signal), this.#contents);
  }

  /** Opens the bytes of an entry of the repository, wherever it stands. @throws TarnError corrupt */
  openContent(entry: FileEntry): Content {
    return this.#contents.open(entry);
  }

  async openTree(id: NodeId, signal?: AbortSignal): Promise<Tree> {
    return Tree.open(this.nodes, id, signal);
  }

  /** Makes a commit the new head of a branch, in the order of durability (repo/publish.ts). */
  publish<Stop = never>(
    publication: Publication<Stop>,
    signal?: AbortSignal,
  ): Promise<Published | Stop> {
    return publish(this, publication, signal);
  }

  listRefs(kind: RefKind, options?: { after?: string; signal?: AbortSignal }): AsyncIterable<Ref> {
    return this.refs.list(kind, options);
  }

  /** @throws TarnError exists, invalid (the name), not-found (the commit) */
  async createRef(
    kind: RefKind,
    name: string,
    commit: CommitId,
    by: string,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.commits.read(commit, signal);
    await createRef(this.refs, kind, name, commit, by, signal);
  }

  /** Resolves to where it was. @throws TarnError not-found, denied (it is protected), conflict */
  async deleteRef(
    kind: RefKind,
    name: string,
    by: string,
    signal?: AbortSignal,
  ): Promise<CommitId> {
    if (kind === 'branch') await this.guards.checkBranch(name, 'deleted', signal);
    else await this.guards.checkTagDeletion(name, signal);
    return deleteRef(this.refs, kind, name, by, signal);
  }

  /**
   * In one step. What is staged on the branch is the workspace's to rename.
   * @throws TarnError not-found, exists, denied (it is protected), invalid, conflict
   */
  async renameBranch(from: string, to: string, by: string, signal?: AbortSignal): Promise<void> {
    await this.guards.checkBranch(from, 'renamed', signal);
    await renameBranch(this.refs, from, to, by, signal);
  }

  /**
   * Moves a branch that is at `from` to another commit of the repository.
   * @throws TarnError not-found (the branch or the commit), denied (it is protected), conflict when
   *   the branch is not at `from`
   */
  async resetBranch(reset: BranchReset, signal?: AbortSignal): Promise<void> {
    await this.guards.checkBranch(reset.branch, 'reset', signal);
    await this.commits.read(reset.to, signal);
    await resetBranch(this.refs, reset, signal);
  }

  async close(): Promise<void> {
    await this.foreign.close();
    await this.refs.close();
    await this.objects.close();
  }
}

/** What is read of imported objects is kept also where the repository itself lies on this machine. */
function keeperOf(
  objects: ObjectStore,
  { objectCache, traffic }: RepositoryOptions,
): Pick<ObjectStore, 'keep'> {
  if (objects.keep !== undefined || objectCache === undefined) return objects;
  return new CachedStore(objectCache, objects, traffic && { tally: traffic.reads });
}
