import type { KeyedEntry } from '../model/entry.js';
import type { CommitId, NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import type { Head } from '../repo/publish.js';
import type { Repository } from '../repo/repository.js';
import type { FrozenView, View } from '../repo/view.js';
import { editTree } from '../tree/write.js';
import { isPromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import type { Change } from './changes.js';
import { changesOn } from './changes.js';
import type { HeadAt } from './live-head.js';
import { LiveHead } from './live-head.js';
import { isSameEntry } from '../model/same-entry.js';
import { spanOfKey, spansOfPaths, WHOLE_SPAN } from '../model/span.js';
import { splitPrefix, StagedEdits } from './staged-edits.js';
import { coveringPrefix, StagedView } from './staged-view.js';
import type { StagedBase, StagedWrite, Staging } from './staging.js';

export interface CommitOptions {
  readonly message: string;
  readonly author: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970 UTC; now without it. */
  readonly dateMs?: number;
  /** Only what is staged at or below these paths; everything without it. */
  readonly paths?: readonly Key[];
  readonly signal?: AbortSignal;
}

/** A branch and the changes staged on it, which are durable but private until committed. */
export class Workspace {
  readonly branch: string;
  readonly #repository: Repository;
  readonly #staging: Staging;
  readonly #live: LiveHead;

  /** @param staging of this repository; several workspaces share it */
  constructor(repository: Repository, staging: Staging, branch: string) {
    this.branch = branch;
    this.#repository = repository;
    this.#staging = staging;
    this.#live = new LiveHead(repository, staging, branch);
  }

  /**
   * The branch as it looks with what is staged; stays up to date as that changes.
   * @throws TarnError not-found when there is no such branch
   */
  async view(signal?: AbortSignal): Promise<View> {
    const { view } = await this.#live.load(signal);
    return new StagedView({ ...view.source, ref: this.branch }, this.#live);
  }

  /**
   * What the view shows, written as a tree. It is nobody's: it lives as long as nothing is collected.
   * @throws TarnError not-found (the branch), no-space, io, aborted
   */
  async tree(signal?: AbortSignal): Promise<NodeId> {
    for (;;) {
      const { view, clearings } = await this.#live.load(signal);
      const { version: versionMax } = this.#staging.state(this.branch);
      const selection = { branch: this.branch, spans: [WHOLE_SPAN], versionMax };
      const staged = new StagedEdits(this.#repository, this.#staging, selection, signal).asStaged();
      const { tree } = view.source.commit;
      const { id } = await editTree(this.#repository.nodes, tree, staged, signal);
      if (this.#staging.state(this.branch).clearings === clearings) return id;
    }
  }

  /** What a commit would change, in order of paths; the cost follows what is staged. */
  async *changes(signal?: AbortSignal): AsyncIterable<Change> {
    const { view } = await this.#live.load(signal);
    yield* changesOn(
      view,
      this.#live.removedPrefixes(),
      (from, to) => this.#staging.rows(this.branch, { from, to }),
      signal,
    );
  }

  /**
   * Stages entries, all of them or none; their contents must be durable. An entry that is as the
   * head has it is no change.
   * @throws TarnError not-found (the branch), no-space, busy, io
   */
  async stage(entries: readonly KeyedEntry[], signal?: AbortSignal): Promise<void> {
    await this.#write(signal, async (head) => {
      const removed = this.#live.removedPrefixes();
      const writes: StagedWrite[] = [];
      for (const { key, entry } of entries) {
        const found = head.view.get(key, signal);
        const before = isPromise(found) ? await found : found;
        const restores = isSameEntry(before, entry) && coveringPrefix(removed, key) === undefined;
        writes.push({ kind: restores ? 'restore' : 'put', key, entry });
      }
      return writes;
    });
  }

  /**
   * Removes one path. Again, when it was removed already and the branch has moved since, it says that
   * what is there now shall go too.
   * @throws TarnError not-found when nothing is there
   */
  async remove(key: Key, signal?: AbortSignal): Promise<void> {
    const view = await this.view(signal);
    if ((await view.get(key, signal)) === undefined) {
      const { rows, head } = await this.#live.page(spanOfKey(key), signal);
      const there = await head.get(key, signal);
      if (there === undefined || !isStale(rows[0], head)) throw this.#missing(key);
    }
    await this.#write(signal, async () => [{ kind: 'remove', key }]);
  }

  /**
   * Removes all that begins with `prefix`, a directory with its final `/` or everything, as remove
   * does; one row of staging however much that is.
   * @throws TarnError not-found when nothing is there, invalid
   */
  async removePrefix(prefix: Key, signal?: AbortSignal): Promise<void> {
    if (prefix !== '' && !prefix.endsWith('/')) {
      throw new TarnError('invalid', `'${keyToText(prefix)}' does not end with '/'`);
    }
    const view = await this.view(signal);
    if ((await view.totals(prefix, signal)).entries === 0) {
      const { view: head } = await this.#live.load(signal);
      const there = await head.totals(prefix, signal);
      const row = this.#live.removedPrefixes().find((removed) => removed.prefix === prefix);
      if (there.entries === 0 || !isStale(row, head)) throw this.#missing(prefix);
    }
    await this.#retry(signal, (base) => this.#staging.removePrefix(this.branch, base, prefix));
  }

  /** Grows with every change that is staged. */
  get version(): number {
    return this.#staging.state(this.branch).version;
  }

  /** Gives up everything staged on the branch until it had that version; all without it. */
  discard(versionMax?: number): void {
    this.#staging.discard(this.branch, versionMax);
  }

  /**
   * Commits what is staged onto the branch's head, wherever that is by then.
   * @throws TarnError nothing-to-commit, conflict (lists the paths; nothing is lost), invalid,
   *   not-found, no-space, io, aborted
   */
  async commit(options: CommitOptions): Promise<CommitId> {
    const { message, author, metadata = {}, dateMs, paths, signal } = options;
    const spans = paths === undefined ? [WHOLE_SPAN] : spansOfPaths(paths);
    const split = splitPrefix(spans, this.#staging.removedPrefixes(this.branch));
    if (split !== undefined) {
      throw new TarnError(
        'invalid',
        `the directory '${keyToText(split)}' was removed as a whole and can only be committed so`,
        { hint: `commit with --path '${keyToText(split)}', or without --path` },
      );
    }
    let versionMax = 0;
    let parent: CommitId;
    const saveTree = async (head: Head): Promise<NodeId> => {
      parent = head.id;
      versionMax = this.#staging.state(this.branch).version;
      const selection = { branch: this.branch, spans, versionMax };
      const edits = new StagedEdits(this.#repository, this.#staging, selection, signal);
      const { tree } = head.commit;
      const { id } = await editTree(this.#repository.nodes, tree, edits.onto(head.id), signal);
      if (id !== tree) return id;
      if (edits.count > 0) this.#staging.clear(this.branch, spans, versionMax);
      throw new TarnError(
        'nothing-to-commit',
        `nothing is staged on branch '${this.branch}'${paths === undefined ? '' : ' at these paths'}`,
        {
          hint: "stage files with 'tarn put' or 'tarn rm', and see them with 'tarn status'",
        },
      );
    };
    const { id } = await this.#repository.publish(
      {
        branch: this.branch,
        by: author,
        kind: 'commit',
        why: 'commit',
        metadata,
        prepare: async (head) => {
          const tree = await saveTree(head);
          const date = dateMs ?? Date.now();
          const parents = [head.id];
          return {
            kind: 'commit',
            commit: { tree, parents, author, dateMs: date, message, metadata },
          };
        },
        clearStaging: async (id) =>
          this.#staging.clear(this.branch, spans, versionMax, { from: parent, to: id }),
      },
      signal,
    );
    return id;
  }

  async #write(
    signal: AbortSignal | undefined,
    writesOn: (head: HeadAt) => Promise<readonly StagedWrite[]>,
  ): Promise<void> {
    await this.#retry(signal, async (base, head) =>
      this.#staging.write(this.branch, base, await writesOn(head)),
    );
  }

  /** Again on the new head while commits clear staging in between: each retry is one commit. */
  async #retry(
    signal: AbortSignal | undefined,
    write: (base: StagedBase, head: HeadAt) => 'done' | 'stale' | Promise<'done' | 'stale'>,
  ): Promise<void> {
    for (;;) {
      const head = await this.#live.load(signal);
      const base = { commit: head.view.source.commitId, clearings: head.clearings };
      if ((await write(base, head)) === 'done') return;
    }
  }

  #missing(key: Key): TarnError {
    const path = keyToText(key);
    return new TarnError('not-found', `there is nothing at '${path}' on branch '${this.branch}'`, {
      hint: `see 'tarn ls ${this.#repository.name}/${this.branch}'`,
    });
  }
}

/** Whether a removal was staged before the branch came to `head`. */
function isStale(row: { readonly base: CommitId } | undefined, head: FrozenView): boolean {
  return row !== undefined && row.base !== head.source.commitId;
}
