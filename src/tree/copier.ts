import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { Key } from '../model/path.js';
import { prefixEnd, ROOT_KEY } from '../model/path.js';
import { spanOfKey } from '../model/span.js';
import { FORM, RESTART_INTERVAL } from './format.js';
import type { LeafSums } from './leaf-item.js';
import { sumsOf } from './leaf-sums.js';
import { LeafWalker } from './leaf-walker.js';
import type { LeafNode } from './node.js';
import type { SubtreeCursor } from './subtree-cursor.js';
import type { TreeWriter } from './tree-writer.js';

/** Prefixes of keys: what is there, and what takes its place. */
export interface Renaming {
  readonly source: Key;
  readonly target: Key;
}

/** Fewer items are not worth a look at the whole leaf. */
const RUN_MIN = 8;

const SAME: Renaming = { source: ROOT_KEY, target: ROOT_KEY };

/**
 * Copies a tree, or what it has below a prefix, into one that is being written. Keys are those of
 * the written tree. Subtrees are copied unread where keys stay and where the writer takes them.
 *
 * One call at a time: a promise must settle before the next call.
 */
export class Copier {
  readonly #cursor: SubtreeCursor;
  readonly #writer: TreeWriter;
  readonly #renaming: Renaming;
  readonly #renames: boolean;
  /** Of the source tree, where the prefix ends. */
  readonly #end: Key | undefined;
  readonly #walker = new LeafWalker();
  /** The leaf that was last looked at for runs, and its sums. */
  #summed: LeafNode | undefined;
  #sums: LeafSums | undefined;

  constructor(cursor: SubtreeCursor, writer: TreeWriter, renaming: Renaming = SAME) {
    this.#cursor = cursor;
    this.#writer = writer;
    this.#renaming = renaming;
    this.#renames = renaming.source !== renaming.target;
    this.#end = prefixEnd(renaming.source);
    writer.watch(cursor);
  }

  /** Copies what comes before `limit`, or all that is left when that is undefined. */
  copyUntil(limit: Key | undefined): MaybePromise<void> {
    return this.#copy(limit === undefined ? this.#end : this.#sourceOf(limit), false);
  }

  /** Copies what is left, as the end of the written tree. */
  copyRest(): MaybePromise<void> {
    return this.#copy(this.#end, true);
  }

  /** Leaves out what comes before `low`, or all that is left when that is undefined. */
  dropUntil(low: Key | undefined): MaybePromise<void> {
    if (low === undefined) return this.#cursor.end();
    const { source, target } = this.#renaming;
    const isNameless = target === ROOT_KEY && source !== ROOT_KEY;
    const start = this.#sourceOf(low) ?? this.#end;
    if (start === undefined) return this.#cursor.end();
    if (isNameless && start === source) return this.#cursor.settle(spanOfKey(source).to as Key);
    return this.#cursor.settle(start);
  }

  /** Leaves out the entry of `key`, in front of which all was copied or left out. */
  drop(key: Key): MaybePromise<void> {
    if (this.#cursor.height !== 0) return this.dropUntil(spanOfKey(key).to);
    if (this.#keyOf(this.#cursor.lastKey) === key) this.#cursor.skip();
  }

  /** Ends the copy. */
  close(): void {
    this.#writer.unwatch(this.#cursor);
  }

  #keyOf(key: Key): Key {
    if (!this.#renames) return key;
    const { source, target } = this.#renaming;
    return (target + key.slice(source.length)) as Key;
  }

  /** The least key of the source below the prefix that is not before `key` when it is renamed. */
  #sourceOf(key: Key): Key | undefined {
    const { source, target } = this.#renaming;
    if (key.startsWith(target)) return (source + key.slice(target.length)) as Key;
    return key < target ? source : this.#end;
  }

  /** @param isLast nothing follows in the written tree */
  #copy(limit: Key | undefined, isLast: boolean): MaybePromise<void> {
    const [cursor, writer] = [this.#cursor, this.#writer];
    while (!cursor.atEnd) {
      if (writer.full) return writer.room().then(() => this.#copy(limit, isLast));
      if (cursor.height === 0) {
        if (!this.#copyItems(limit)) return;
      } else if (this.#isWhole(limit, isLast)) {
        writer.appendSubtree(cursor.height, cursor.lastKey, cursor.pointer());
        cursor.skip();
      } else {
        if (limit !== undefined && cursor.lastKey >= limit && cursor.startsAt(limit)) return;
        const entered = cursor.enter();
        if (isPromise(entered)) return entered.then(() => this.#copy(limit, isLast));
      }
    }
  }

  /** Whether the subtree in front may be copied unread. */
  #isWhole(limit: Key | undefined, isLast: boolean): boolean {
    const cursor = this.#cursor;
    if (this.#renames || !this.#writer.takes(cursor.height)) return false;
    return (limit === undefined || cursor.lastKey < limit) && (isLast || !cursor.isLast);
  }

  /** True when it came to the end of the leaf. */
  #copyItems(limit: Key | undefined): boolean {
    const [cursor, walker, writer] = [this.#cursor, this.#walker, this.#writer];
    const { leaf, index } = cursor;
    const isWhole = limit === undefined || leaf.lastKey < limit;
    const end = isWhole ? leaf.count : Math.max(index, leaf.lowerBound(limit));
    for (let i = index; i < end; i++) {
      if (i % RESTART_INTERVAL === 0) i = this.#copyRun(i, Math.min(end, leaf.count - 1));
      if (i === end) break;
      walker.moveTo(leaf, i);
      if (!this.#renames) writer.appendItem(walker.key, walker);
      else this.#rename(walker);
    }
    if (end > index) cursor.skipTo(end);
    return isWhole;
  }

  /** Copies items as bytes as far as it can; returns where it came to. */
  #copyRun(from: number, to: number): number {
    if (this.#renames || to - from < RUN_MIN) return from;
    const { leaf } = this.#cursor;
    if (this.#summed !== leaf) {
      this.#summed = leaf;
      this.#sums = sumsOf(leaf);
    }
    if (this.#sums === undefined) return from;
    return this.#writer.appendRun(this.#walker, leaf, from, to, this.#sums);
  }

  /** What tells where an imported file lies depends on its key. */
  #rename(item: LeafWalker): void {
    const key = this.#keyOf(item.key);
    if (item.form !== FORM.imported && item.form !== FORM.pinned) {
      this.#writer.appendItem(key, item);
    } else {
      this.#writer.append(key, item.entry());
    }
  }
}
