import type { Entry } from '../model/entry.js';
import type { CommitId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import type { Repository } from '../repo/repository.js';
import type { Tree } from '../tree/tree.js';
import type { Edit } from '../tree/edit.js';
import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { spanOfPrefix } from '../model/span.js';
import type { RemovedPrefix, Staging } from './staging.js';

/** Conflicting paths that are collected before a commit gives up. */
const CONFLICTS_MAX = 20;
const BATCH_EDITS = 1_000;

export interface StagedSelection {
  readonly branch: string;
  readonly spans: readonly Span[];
  /** Rows staged later are left out. */
  readonly versionMax: number;
}

/**
 * The edits that turn the head's tree into what is staged, in key order, as editTree takes them.
 *
 * A change was made on the head of its time, its base. Where the head has moved since, the change
 * is still good if the head left its path as it was in the base, or has made the same change.
 * @throws TarnError conflict, listing the paths, before the last batch; nothing is lost by it
 */
export class StagedEdits {
  readonly #repository: Repository;
  readonly #staging: Staging;
  readonly #selection: StagedSelection;
  readonly #signal: AbortSignal | undefined;
  readonly #trees = new Map<CommitId, Tree>();
  readonly #conflicts: Key[] = [];
  /** Edits given out. */
  count = 0;

  constructor(
    repository: Repository,
    staging: Staging,
    selection: StagedSelection,
    signal?: AbortSignal,
  ) {
    this.#repository = repository;
    this.#staging = staging;
    this.#selection = selection;
    this.#signal = signal;
  }

  async *onto(head: CommitId): AsyncIterable<readonly Edit[]> {
    const headTree = await this.#treeOf(head);
    let batch: Edit[] = [];
    for (const { edit, base } of this.#inOrder()) {
      if (base !== head) await this.#check(edit, headTree, await this.#treeOf(base));
      batch.push(edit);
      this.count += 1;
      if (batch.length < BATCH_EDITS) continue;
      throwIfAborted(this.#signal);
      yield batch;
      batch = [];
    }
    if (this.#conflicts.length > 0) throw this.#conflict();
    if (batch.length > 0) yield batch;
  }

  /** Without a look at what the head has there. */
  *asStaged(): Iterable<readonly Edit[]> {
    for (const { edit } of this.#inOrder()) yield [edit];
  }

  *#inOrder(): Iterable<{ edit: Edit; base: CommitId }> {
    const { branch, spans, versionMax } = this.#selection;
    const removed = this.#staging.removedPrefixes(branch, versionMax);
    for (const span of spans) {
      let from = span.from;
      for (const { prefix, base } of removed) {
        if (!selects(span, prefix)) continue;
        yield* this.#rows({ from, to: prefix });
        yield { edit: { kind: 'replace', span: spanOfPrefix(prefix) }, base };
        from = prefix;
      }
      yield* this.#rows({ from, to: span.to });
    }
  }

  *#rows(span: Span): Iterable<{ edit: Edit; base: CommitId }> {
    const { branch, versionMax } = this.#selection;
    for (const { key, entry, base } of this.#staging.rows(branch, span, versionMax)) {
      const edit: Edit =
        entry === undefined ? { kind: 'remove', key } : { kind: 'put', key, entry };
      yield { edit, base };
    }
  }

  async #check(edit: Edit, head: Tree, base: Tree): Promise<void> {
    if (head.id === base.id) return;
    if (edit.kind === 'replace') return this.#checkSpan(edit.span, head, base);
    const now = await head.get(edit.key, this.#signal);
    const then = await base.get(edit.key, this.#signal);
    const staged = edit.kind === 'put' ? edit.entry : undefined;
    if (!isSameEntry(now, then) && !isSameEntry(now, staged)) this.#note(edit.key);
  }

  /** Whatever the head has there must be what was there when it was removed. */
  async #checkSpan(span: Span, head: Tree, base: Tree): Promise<void> {
    const cursor = head.cursor(this.#signal);
    let found = await cursor.seek(span.from);
    while (found && (span.to === undefined || cursor.key < span.to)) {
      const then: Entry | undefined = await base.get(cursor.key, this.#signal);
      if (!isSameEntry(cursor.entry(), then)) this.#note(cursor.key);
      found = await cursor.next();
    }
  }

  #note(key: Key): void {
    this.#conflicts.push(key);
    if (this.#conflicts.length > CONFLICTS_MAX) throw this.#conflict();
  }

  #conflict(): TarnError {
    const named = this.#conflicts.slice(0, CONFLICTS_MAX).map((key) => `'${keyToText(key)}'`);
    const more = this.#conflicts.length > CONFLICTS_MAX ? ' and more' : '';
    return new TarnError(
      'conflict',
      `branch '${this.#selection.branch}' was changed by another commit at paths that are staged here: ${named.join(', ')}${more}`,
      {
        hint: 'nothing is lost: look at what the branch has now (branch@), and put or remove these paths again to have your version',
      },
    );
  }

  async #treeOf(id: CommitId): Promise<Tree> {
    let tree = this.#trees.get(id);
    if (tree === undefined) {
      const commit = await this.#repository.readCommit(id, this.#signal);
      tree = await this.#repository.openTree(commit.tree, this.#signal);
      this.#trees.set(id, tree);
    }
    return tree;
  }
}

function selects(span: Span, prefix: Key): boolean {
  return prefix >= span.from && (span.to === undefined || prefix < span.to);
}

/** The removed prefix that goes beyond a span it covers: it can only be committed as a whole. */
export function splitPrefix(
  spans: readonly Span[],
  removed: readonly RemovedPrefix[],
): Key | undefined {
  return removed.find(({ prefix }) =>
    spans.some(({ from }) => from.startsWith(prefix) && from !== prefix),
  )?.prefix;
}
