import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import type { EntryAttributes, FrozenCursor } from '../model/cursor.js';
import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import type { InnerNode, LeafNode, TreeNode } from './node.js';
import { KeyWalker } from './node.js';
import type { Nodes } from './nodes.js';

/** An inner node on the way to the leaf where the cursor is. */
interface Step {
  readonly node: InnerNode;
  index: number;
  /** Entries of the tree before this node. */
  readonly before: number;
}

/** One call at a time: a promise must settle before the next call. */
export class TreeCursor implements FrozenCursor {
  readonly #nodes: Nodes;
  readonly #root: TreeNode;
  readonly #signal: AbortSignal | undefined;
  readonly #walker = new KeyWalker();
  /** From the root down; may be short of the leaf while a node is being loaded. */
  readonly #path: Step[] = [];
  #leaf: LeafNode | undefined;
  #index = 0;
  /** Entries of the tree before the leaf. */
  #before = 0;

  constructor(nodes: Nodes, root: TreeNode, signal: AbortSignal | undefined) {
    this.#nodes = nodes;
    this.#root = root;
    this.#signal = signal;
  }

  get key(): Key {
    this.#current();
    return this.#walker.key();
  }

  get ordinal(): number {
    this.#current();
    return this.#before + this.#index;
  }

  entry(): Entry {
    return this.#current().valueAt(this.#index);
  }

  attributes(out: EntryAttributes): void {
    this.#current().attributesAt(this.#walker.valueOffset, out);
  }

  seek(key: Key): MaybePromise<boolean> {
    const leaf = this.#leaf;
    if (leaf !== undefined && leaf.firstKey <= key && key <= leaf.lastKey) {
      return this.#arrive(leaf, leaf.lowerBound(key));
    }
    this.#leaf = undefined;
    const path = this.#path;
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      path.pop();
      if (step.node.firstKey < key && key <= step.node.lastKey) {
        return this.#descend(step.node, step.before, key);
      }
    }
    return this.#descend(this.#root, 0, key);
  }

  seekOrdinal(ordinal: number): MaybePromise<boolean> {
    this.#leaf = undefined;
    this.#path.length = 0;
    if (!(ordinal >= 0 && ordinal < this.#root.entries)) return false;
    return this.#descend(this.#root, 0, ordinal);
  }

  next(): MaybePromise<boolean> {
    const leaf = this.#current();
    const index = this.#index + 1;
    if (index < leaf.count) {
      this.#index = index;
      this.#walker.stepTo(leaf.offsetOf(index));
      return true;
    }
    this.#leaf = undefined;
    const path = this.#path;
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      if (++step.index < step.node.count) {
        if (step.node.level === 1) this.#nodes.readAhead(step.node, step.index + 1);
        return this.#follow(step, 0);
      }
      path.pop();
    }
    return false;
  }

  /** To the first entry at or behind a key, or to an ordinal, in the subtree of `from`. */
  #descend(from: TreeNode, before: number, target: Key | number): MaybePromise<boolean> {
    if (from.kind === 'leaf') {
      this.#before = before;
      if (typeof target === 'number') return this.#arrive(from, target - before);
      return this.#arrive(from, from.lowerBound(target));
    }
    const index =
      typeof target === 'number' ? from.childOfOrdinal(target - before) : from.lowerBound(target);
    if (index === from.count) return false;
    const step = { node: from, index, before };
    this.#path.push(step);
    return this.#follow(step, target);
  }

  /** Into the child that the step is at; 0 as a target stands for the child's first entry. */
  #follow(step: Step, target: Key | number): MaybePromise<boolean> {
    const before = step.before + step.node.entriesBefore(step.index);
    const goal = target === 0 ? before : target;
    const child = this.#nodes.child(step.node, step.index, this.#signal);
    if (isPromise(child)) return child.then((node) => this.#descend(node, before, goal));
    return this.#descend(child, before, goal);
  }

  #arrive(leaf: LeafNode, index: number): boolean {
    if (index >= leaf.count) return false;
    this.#leaf = leaf;
    this.#index = index;
    this.#walker.moveTo(leaf, index);
    return true;
  }

  #current(): LeafNode {
    if (this.#leaf === undefined) {
      throw new TarnError('internal', 'a tree cursor was used where it has no entry');
    }
    return this.#leaf;
  }
}
