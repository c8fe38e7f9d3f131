import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import { spanOfKey } from '../model/span.js';
import type { Pointer } from './encode.js';
import type { InnerNode, LeafNode, TreeNode } from './node.js';
import type { Nodes } from './nodes.js';

interface Step {
  readonly node: TreeNode;
  index: number;
}

/**
 * Goes through a tree in pieces as large as its user likes. In front of it lies a whole subtree or
 * an entry; it can be passed unread, and a subtree can be entered. Behind the last item of a node
 * stands what follows it in the largest piece that begins there.
 *
 * One call at a time: a promise must settle before the next call. Where there is nothing in front,
 * only `atEnd`, `pass` and `settle` may be asked.
 */
export class SubtreeCursor {
  readonly #nodes: Nodes;
  readonly #root: TreeNode;
  readonly #signal: AbortSignal | undefined;
  /** From the root down to the node that holds what is in front; none when that is the root. */
  readonly #steps: Step[] = [];
  #top: Step | undefined;
  /** For each level the node that was left last. */
  readonly #left: TreeNode[] = [];
  #atEnd: boolean;
  #lastKey: Key | undefined;

  constructor(nodes: Nodes, root: TreeNode, signal: AbortSignal | undefined) {
    this.#nodes = nodes;
    this.#root = root;
    this.#signal = signal;
    this.#atEnd = root.count === 0;
  }

  get atEnd(): boolean {
    return this.#atEnd;
  }

  /** Levels of nodes in front: 0 for an entry; -1 at the end. */
  get height(): number {
    if (this.#atEnd) return -1;
    return this.#top === undefined ? this.#root.level + 1 : this.#top.node.level;
  }

  /** The last key of the subtree, or the entry's. */
  get lastKey(): Key {
    if (this.#lastKey === undefined) {
      const top = this.#top;
      this.#lastKey = top === undefined ? this.#root.lastKey : top.node.keyAt(top.index);
    }
    return this.#lastKey;
  }

  /** The node that holds what is in front, which is not the root. */
  get node(): TreeNode {
    return (this.#top as Step).node;
  }

  /** The place of what is in front in `node`. */
  get index(): number {
    return (this.#top as Step).index;
  }

  /** Where the entry in front lies. */
  get leaf(): LeafNode {
    return (this.#top as Step).node as LeafNode;
  }

  entry(): Entry {
    return this.leaf.valueAt(this.index);
  }

  /** To the subtree in front. */
  pointer(): Pointer {
    const top = this.#top;
    if (top !== undefined) return (top.node as InnerNode).valueAt(top.index);
    const root = this.#root;
    return { id: root.id, place: root.place, entries: root.entries, bytes: root.totalBytes };
  }

  /** Nothing of the level of what is in front follows it. */
  get isLast(): boolean {
    return this.#steps.every(({ node, index }) => index === node.count - 1);
  }

  /** The node `id` of a level, if the cursor is in it or was in it last. */
  nearby(level: number, id: NodeId): TreeNode | undefined {
    const left = this.#left[level];
    if (left?.id === id) return left;
    const here = this.#steps[this.#root.level - level]?.node;
    return here?.id === id ? here : undefined;
  }

  /** Whether the same subtree lies in front of `other`. */
  isSameSubtree(other: SubtreeCursor): boolean {
    if (this.height !== other.height || this.height <= 0) return false;
    const [mine, its] = [this.#top, other.#top];
    if (mine === undefined || its === undefined) return this.pointer().id === other.pointer().id;
    return (mine.node as InnerNode).hasSameChild(mine.index, its.node as InnerNode, its.index);
  }

  /** Whether all that is in front is known to be at `low` or behind. */
  startsAt(low: Key): boolean {
    return this.height === 0 ? this.lastKey >= low : low <= this.passed;
  }

  /** The least key behind what was passed. */
  get passed(): Key {
    if (this.#atEnd) return spanOfKey(this.#root.lastKey).to as Key;
    for (let i = this.#steps.length - 1; i >= 0; i--) {
      const { node, index } = this.#steps[i] as Step;
      if (index > 0) return spanOfKey(node.keyAt(index - 1)).to as Key;
    }
    return ROOT_KEY;
  }

  /** Passes what is in front. */
  skip(): void {
    this.#lastKey = undefined;
    for (;;) {
      const top = this.#top;
      if (top === undefined) {
        this.#atEnd = true;
        return;
      }
      if (++top.index < top.node.count) return;
      this.#pop();
    }
  }

  /** To item `index` of the node that holds what is in front; its count leaves it. */
  skipTo(index: number): void {
    (this.#top as Step).index = index - 1;
    this.skip();
  }

  /** Passes all that lies wholly before `low`, loading nothing. */
  pass(low: Key): void {
    if (this.#atEnd) return;
    for (let top = this.#top; top !== undefined; top = this.#top) {
      if (top.node.lastKey >= low) {
        if (this.lastKey >= low) return;
        this.#lastKey = undefined;
        // Most often it is the next one.
        top.index++;
        if (this.lastKey >= low) return;
        this.#lastKey = undefined;
        top.index = top.node.lowerBound(low);
        return;
      }
      this.#lastKey = undefined;
      this.#pop();
    }
    this.#atEnd = this.#root.lastKey < low;
  }

  /** Passes all that lies before `low`, down to the entry where it must. */
  settle(low: Key): MaybePromise<void> {
    for (;;) {
      this.pass(low);
      if (this.#atEnd || this.startsAt(low)) return;
      const entered = this.enter();
      if (isPromise(entered)) return entered.then(() => this.settle(low));
    }
  }

  /** Into the subtree in front, to its first item. */
  enter(): MaybePromise<void> {
    const top = this.#top;
    if (top === undefined) return this.#push(this.#root);
    const child = this.#nodes.child(top.node as InnerNode, top.index, this.#signal);
    if (isPromise(child)) return child.then((node) => this.#push(node));
    this.#push(child);
  }

  /** Nothing is in front from now on. */
  end(): void {
    this.#atEnd = true;
  }

  #push(node: TreeNode): void {
    this.#top = { node, index: 0 };
    this.#steps.push(this.#top);
    this.#lastKey = undefined;
  }

  #pop(): void {
    const left = this.#steps.pop();
    if (left !== undefined) this.#left[left.node.level] = left.node;
    this.#top = this.#steps.at(-1);
  }
}
