import type { Commit } from '../model/commit.js';
import { commitIdOf, encodeCommit } from '../model/commit-format.js';
import type { Entry, SymlinkEntry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import type { Repository } from '../repo/repository.js';
import { mergeTrees } from '../tree/merge.js';
import { buildTree, editTree } from '../tree/write.js';
import { TarnError } from '../util/errors.js';
import { mergeBases } from './merge-base.js';

/**
 * What two commits last had in common, as one tree, where it may be several commits (a criss-cross:
 * each side merged the other). The rule: those commits are merged with each other, by this same
 * rule, and that is the base. Where they conflict with each other there is no version that both
 * sides started from, and the base has one there that equals no other: whatever the sides have at
 * such a path, unless it is the same, is a conflict. So no edit is taken for the older of two.
 */
export class BaseTrees {
  readonly #repository: Repository;
  readonly #signal: AbortSignal | undefined;
  /** Merges of bases: commits that are not saved anywhere. */
  readonly #made = new Map<CommitId, Commit>();

  constructor(repository: Repository, signal?: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
  }

  /**
   * The tree of `bases`, as mergeBases gave them.
   * @throws TarnError not-found, corrupt, unsupported, no-space, io, aborted
   */
  async of(bases: readonly [CommitId, ...CommitId[]]): Promise<NodeId> {
    const [newest, ...older] = bases;
    let id = newest;
    for (const other of older) id = await this.#merge(id, other);
    return (await this.#read(id)).tree;
  }

  async #merge(a: CommitId, b: CommitId): Promise<CommitId> {
    const [ours, theirs] = [await this.#read(a), await this.#read(b)];
    const tree = ours.tree === theirs.tree ? ours.tree : await this.#mergeTrees(a, b);
    const commit: Commit = {
      tree,
      parents: [a, b],
      author: 'tarn',
      dateMs: Math.max(ours.dateMs, theirs.dateMs),
      message: 'base of a merge',
      metadata: {},
    };
    const id = commitIdOf(encodeCommit(commit));
    this.#made.set(id, commit);
    return id;
  }

  async #mergeTrees(a: CommitId, b: CommitId): Promise<NodeId> {
    const { nodes } = this.#repository;
    const signal = this.#signal;
    const [first, ...more] = await mergeBases(this.#read, a, b, signal);
    const base = first === undefined ? await this.#empty() : await this.of([first, ...more]);
    const unclear: Key[] = [];
    const prefer = (key: Key): 'ours' => {
      unclear.push(key);
      return 'ours';
    };
    const [ours, theirs] = [(await this.#read(a)).tree, (await this.#read(b)).tree];
    const merged = await mergeTrees(nodes, { base, ours, theirs, prefer }, signal);
    if (merged.kind === 'conflicts') {
      throw new TarnError('internal', 'a merge of bases left conflicts');
    }
    if (unclear.length === 0) return merged.tree.id;
    const edits = [...new Set(unclear)]
      .sort((x, y) => (x < y ? -1 : 1))
      .map((key) => ({ kind: 'put', key, entry: NO_COMMON_VERSION }) as const);
    return (await editTree(nodes, merged.tree.id, [edits], signal)).id;
  }

  async #empty(): Promise<NodeId> {
    return (await buildTree(this.#repository.nodes, [])).id;
  }

  readonly #read = async (id: CommitId): Promise<Commit> =>
    this.#made.get(id) ?? this.#repository.readCommit(id, this.#signal);
}

/** Stands in a base for "none": a link whose target nobody has by chance. */
const NO_COMMON_VERSION: SymlinkEntry = {
  kind: 'symlink',
  target: 'tarn:no-common-version:5f0c2b7de0a94f6c8d1e3b92a7461d58',
  mode: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
};

export function isNoCommonVersion(entry: Entry | undefined): boolean {
  return entry?.kind === 'symlink' && entry.target === NO_COMMON_VERSION.target;
}
