import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { FrozenCursor } from '../model/cursor.js';
import type { Entry, KeyedEntry, Totals } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { prefixEnd } from '../model/path.js';
import { TreeCursor } from './cursor.js';
import type { TreeNode } from './node.js';
import type { Nodes } from './nodes.js';

/**
 * An immutable sorted map from key to entry. Everything costs O(log n), and a call returns a
 * promise only where a node must be loaded. Calls throw, or reject with, what Nodes.load throws.
 */
export class Tree {
  readonly #nodes: Nodes;
  readonly #root: TreeNode;

  private constructor(nodes: Nodes, root: TreeNode) {
    this.#nodes = nodes;
    this.#root = root;
  }

  /** @throws TarnError not-found, corrupt, unsupported, aborted */
  static open(nodes: Nodes, id: NodeId, signal?: AbortSignal): MaybePromise<Tree> {
    const root = nodes.load(id, signal);
    if (isPromise(root)) return root.then((loaded) => new Tree(nodes, loaded));
    return new Tree(nodes, root);
  }

  get id(): NodeId {
    return this.#root.id;
  }

  /** Levels of nodes, 1 for a root that is a leaf. */
  get depth(): number {
    return this.#root.level + 1;
  }

  totals(): Totals {
    return { entries: this.#root.entries, bytes: this.#root.totalBytes };
  }

  get(key: Key, signal?: AbortSignal): MaybePromise<Entry | undefined> {
    return this.#get(this.#root, key, signal);
  }

  cursor(signal?: AbortSignal): FrozenCursor {
    return new TreeCursor(this.#nodes, this.#root, signal);
  }

  /** How many keys are less than `key`. */
  rank(key: Key, signal?: AbortSignal): MaybePromise<number> {
    return this.#rank(this.#root, key, 0, signal);
  }

  /** The entry that has `ordinal` entries in front of it; undefined past the end. */
  select(ordinal: number, signal?: AbortSignal): MaybePromise<KeyedEntry | undefined> {
    if (!(ordinal >= 0 && ordinal < this.#root.entries)) return undefined;
    return this.#select(this.#root, ordinal, signal);
  }

  /** Of the entries whose key starts with `prefix`. */
  totalsOf(prefix: Key, signal?: AbortSignal): MaybePromise<Totals> {
    return this.totalsBetween(prefix, prefixEnd(prefix), signal);
  }

  /** Of the entries with `from` <= key < `to`; to the end when `to` is undefined. */
  totalsBetween(from: Key, to: Key | undefined, signal?: AbortSignal): MaybePromise<Totals> {
    if (to !== undefined && to <= from) return { entries: 0, bytes: 0 };
    const low = this.#before(this.#root, from, 0, 0, signal);
    const high = to === undefined ? this.totals() : this.#before(this.#root, to, 0, 0, signal);
    if (!isPromise(low) && !isPromise(high)) return difference(low, high);
    return Promise.all([low, high]).then((ends) => difference(...ends));
  }

  #get(from: TreeNode, key: Key, signal: AbortSignal | undefined): MaybePromise<Entry | undefined> {
    let node = from;
    for (;;) {
      const index = node.lowerBound(key);
      if (index === node.count) return undefined;
      if (node.kind === 'leaf') {
        return node.keyAt(index) === key ? node.valueAt(index) : undefined;
      }
      const child = this.#nodes.child(node, index, signal);
      if (isPromise(child)) return child.then((loaded) => this.#get(loaded, key, signal));
      node = child;
    }
  }

  /** Entries in front of `key`, where `from` has `before` before it. */
  #rank(
    from: TreeNode,
    key: Key,
    before: number,
    signal: AbortSignal | undefined,
  ): MaybePromise<number> {
    let node = from;
    let sum = before;
    for (;;) {
      const index = node.lowerBound(key);
      if (node.kind === 'leaf') return sum + index;
      sum += node.entriesBefore(index);
      if (index === node.count) return sum;
      const child = this.#nodes.child(node, index, signal);
      if (isPromise(child)) {
        const upTo = sum;
        return child.then((loaded) => this.#rank(loaded, key, upTo, signal));
      }
      node = child;
    }
  }

  /** Totals of the entries in front of `key`, where `from` has `entries` and `bytes` before it. */
  #before(
    from: TreeNode,
    key: Key,
    entries: number,
    bytes: number,
    signal: AbortSignal | undefined,
  ): MaybePromise<Totals> {
    let node = from;
    let entriesBefore = entries;
    let bytesBefore = bytes;
    for (;;) {
      const index = node.lowerBound(key);
      entriesBefore += node.kind === 'leaf' ? index : node.entriesBefore(index);
      bytesBefore += node.bytesBefore(index);
      if (node.kind === 'leaf' || index === node.count) {
        return { entries: entriesBefore, bytes: bytesBefore };
      }
      const child = this.#nodes.child(node, index, signal);
      if (isPromise(child)) {
        const [e, b] = [entriesBefore, bytesBefore];
        return child.then((loaded) => this.#before(loaded, key, e, b, signal));
      }
      node = child;
    }
  }

  #select(
    from: TreeNode,
    ordinal: number,
    signal: AbortSignal | undefined,
  ): MaybePromise<KeyedEntry> {
    let node = from;
    let left = ordinal;
    for (;;) {
      if (node.kind === 'leaf') return { key: node.keyAt(left), entry: node.valueAt(left) };
      const index = node.childOfOrdinal(left);
      left -= node.entriesBefore(index);
      const child = this.#nodes.child(node, index, signal);
      if (isPromise(child)) {
        const rest = left;
        return child.then((loaded) => this.#select(loaded, rest, signal));
      }
      node = child;
    }
  }
}

function difference(low: Totals, high: Totals): Totals {
  return { entries: high.entries - low.entries, bytes: high.bytes - low.bytes };
}
