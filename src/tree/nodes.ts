import { LRUCache } from 'lru-cache';
import { throwIfAborted } from '../util/abort.js';
import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import type { TreeShape } from './boundary.js';
import { TREE_SHAPE } from './boundary.js';
import { corruptNode, decodeNode } from './decode.js';
import type { InnerNode, TreeNode } from './node.js';

/** Where nodes are kept, by the SHA-256 of their bytes. */
export interface NodeStore {
  /**
   * The bytes are not changed afterwards by either side.
   * @throws TarnError not-found, io, aborted
   */
  load(id: NodeId, signal?: AbortSignal): MaybePromise<Uint8Array>;
  /** Saving what is there already is no error. */
  save(id: NodeId, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
}

/** Decoded nodes, of any number of trees and repositories; what was used last stays. */
export class NodeCache {
  readonly #nodes: LRUCache<NodeId, TreeNode>;

  /** @param bytesMax memory for nodes, in bytes */
  constructor(bytesMax: number) {
    this.#nodes = new LRUCache<NodeId, TreeNode>({
      maxSize: bytesMax,
      sizeCalculation: (node) => node.footprint,
    });
  }

  get(id: NodeId): TreeNode | undefined {
    return this.#nodes.get(id);
  }

  add(node: TreeNode): void {
    this.#nodes.set(node.id, node);
  }

  has(id: NodeId): boolean {
    return this.#nodes.has(id);
  }
}

/** Nodes that were loaded, verified and decoded; the way every tree reads. */
export class Nodes {
  readonly store: NodeStore;
  readonly shape: TreeShape;
  readonly #cache: NodeCache;
  /** Loads that no caller can abort, by the node that they load. */
  readonly #ahead = new Map<NodeId, Promise<TreeNode | undefined>>();

  /** @param shape other than the format's only in tests, to get high trees of few entries */
  constructor(store: NodeStore, cache: NodeCache, shape: TreeShape = TREE_SHAPE) {
    this.store = store;
    this.shape = shape;
    this.#cache = cache;
  }

  /** @throws TarnError corrupt (names the node), unsupported, and what the store throws */
  load(id: NodeId, signal?: AbortSignal): MaybePromise<TreeNode> {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    throwIfAborted(signal);
    const ahead = this.#ahead.get(id);
    if (ahead !== undefined) {
      return ahead.then((node) => node ?? this.#fetch(id, signal));
    }
    return this.#fetch(id, signal);
  }

  /** The child at `index`, which must be what its pointer says. */
  child(parent: InnerNode, index: number, signal?: AbortSignal): MaybePromise<TreeNode> {
    const node = this.load(parent.idAt(index), signal);
    if (isPromise(node)) return node.then((loaded) => checkChild(parent, index, loaded));
    return checkChild(parent, index, node);
  }

  /** Starts to load the child at `index` if there is one; a failure is left to who needs it. */
  readAhead(parent: InnerNode, index: number): void {
    if (index >= parent.count) return;
    const id = parent.idAt(index);
    if (this.#ahead.has(id) || this.#cache.has(id)) return;
    const load = async (): Promise<TreeNode | undefined> => {
      try {
        return await this.#fetch(id, undefined);
      } catch {
        return undefined;
      } finally {
        this.#ahead.delete(id);
      }
    };
    this.#ahead.set(id, load());
  }

  #fetch(id: NodeId, signal: AbortSignal | undefined): MaybePromise<TreeNode> {
    const bytes = this.store.load(id, signal);
    if (isPromise(bytes)) return bytes.then((loaded) => this.#accept(id, loaded));
    return this.#accept(id, bytes);
  }

  #accept(id: NodeId, bytes: Uint8Array): TreeNode {
    const actual = sha256(bytes);
    if (actual !== id) throw corruptNode(id, `its bytes hash to ${actual}`);
    const node = decodeNode(id, bytes);
    this.#cache.add(node);
    return node;
  }
}

function checkChild(parent: InnerNode, index: number, child: TreeNode): TreeNode {
  if (parent.checked[index] === 1) return child;
  const problem = mismatch(parent, index, child);
  if (problem !== undefined) {
    throw corruptNode(parent.id, `its child ${index} (node ${child.id}) ${problem}`);
  }
  parent.checked[index] = 1;
  return child;
}

function mismatch(parent: InnerNode, index: number, child: TreeNode): string | undefined {
  const pointer = parent.valueAt(index);
  if (child.level !== parent.level - 1) {
    return `is of level ${child.level} below a node of level ${parent.level}`;
  }
  if (child.entries !== pointer.entries || child.totalBytes !== pointer.bytes) {
    return 'holds other totals than its pointer says';
  }
  if (child.lastKey !== parent.keyAt(index)) return 'ends with another key than its pointer says';
  if (index > 0 && child.firstKey <= parent.keyAt(index - 1)) {
    return 'starts before the child in front of it ends';
  }
  return undefined;
}
