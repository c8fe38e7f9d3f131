import { LRUCache } from 'lru-cache';
import { throwIfAborted } from '../util/abort.js';
import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { Saves } from '../util/saves.js';
import type { NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import type { TreeShape } from './boundary.js';
import { TREE_SHAPE } from './boundary.js';
import { corruptNode, decodeNode } from './decode.js';
import type { InnerNode, NodeWhere, TreeNode } from './node.js';
import type { Place } from './place.js';

/** A node by its id, and where it lies: the place may lack where the id is enough to find it. */
export interface NodeAt {
  readonly id: NodeId;
  readonly place?: Place | undefined;
}

export interface PlacedNode {
  readonly id: NodeId;
  readonly place: Place;
}

/** What a store has of a node; nothing of it is changed afterwards by either side. */
export interface StoredNode extends NodeWhere {
  readonly bytes: Uint8Array;
}

/** Where nodes are kept, named by the SHA-256 of their bytes. */
export interface NodeStore {
  /**
   * The root of a tree is found by its id alone, other nodes by their place. Answers at once where
   * the store can.
   * @throws TarnError not-found, corrupt, unsupported, io, aborted
   */
  load(id: NodeId, place: Place | undefined, signal?: AbortSignal): MaybePromise<StoredNode>;
  /**
   * Nodes that lie one directly behind the other, in one go, for reading ahead; absent in a store
   * where that gains nothing. @throws as load
   */
  loadRun?(nodes: readonly PlacedNode[], signal?: AbortSignal): Promise<StoredNode[]>;
  /**
   * Begins to save the nodes of one tree.
   * @param saves is given what finish would wait for
   */
  batch(signal?: AbortSignal, saves?: Saves): NodeBatch;
}

/** New nodes of one tree on their way to the store; one of finish and abort must be called last. */
export interface NodeBatch {
  /** Whoever adds nodes waits for room() as soon as this is true. */
  readonly full: boolean;
  /**
   * A node can be loaded by its place from now on, by its id as a root once finish has resolved.
   * @param children places of an inner node's children, which were added before or are old
   */
  add(id: NodeId, bytes: Uint8Array, children: readonly Place[]): Place | undefined;
  /** @throws TarnError no-space, io, aborted: what a save that was under way threw */
  room(): Promise<void>;
  /**
   * Resolves when the tree `root`, of nodes added or old, is durable, or left to the batch's saves.
   * @throws as room, corrupt
   */
  finish(root: NodeAt): Promise<void>;
  /** Resolves when no save is under way any more. Never rejects. */
  abort(): Promise<void>;
}

interface CachedNode {
  readonly node: TreeNode;
  readonly store: NodeStore;
}

/** Decoded nodes, of any number of trees and repositories; what was used last stays. */
export class NodeCache {
  readonly #nodes: LRUCache<NodeId, CachedNode>;

  /** @param bytesMax memory for nodes, in bytes */
  constructor(bytesMax: number) {
    this.#nodes = new LRUCache<NodeId, CachedNode>({
      maxSize: bytesMax,
      sizeCalculation: ({ node }) => node.footprint,
    });
  }

  /** The node as it lies in `store`: equal nodes have other places in another one. */
  get(id: NodeId, store: NodeStore): TreeNode | undefined {
    const cached = this.#nodes.get(id);
    return cached?.store === store ? cached.node : undefined;
  }

  add(node: TreeNode, store: NodeStore): void {
    this.#nodes.set(node.id, { node, store });
  }
}

/** Bytes that are read ahead in one go. */
const RUN_BYTES_MAX = 131_072;
/** A run begins when fewer children than this ahead of a reader are at hand. */
const AHEAD_MIN = 6;

/** Nodes that were loaded, verified and decoded; the way every tree reads. */
export class Nodes {
  readonly store: NodeStore;
  readonly shape: TreeShape;
  readonly #cache: NodeCache;
  readonly #saves: Saves | undefined;
  /** Loads that no caller can abort, by the node that they load. */
  readonly #ahead = new Map<NodeId, Promise<TreeNode | undefined>>();

  /**
   * @param shape other than the format's only in tests, to get high trees of few entries
   * @param saves as NodeStore.batch
   */
  constructor(
    store: NodeStore,
    cache: NodeCache,
    shape: TreeShape = TREE_SHAPE,
    saves: Saves | undefined = undefined,
  ) {
    this.store = store;
    this.shape = shape;
    this.#cache = cache;
    this.#saves = saves;
  }

  /** The same nodes: trees that are written with them need not be durable before `saves` are. */
  savedBy(saves: Saves): Nodes {
    return new Nodes(this.store, this.#cache, this.shape, saves);
  }

  /** Begins to save the nodes of one tree. */
  batch(signal: AbortSignal | undefined): NodeBatch {
    return this.store.batch(signal, this.#saves);
  }

  /**
   * The root of a tree, by its id alone.
   * @throws TarnError corrupt (names the node), unsupported, and what the store throws
   */
  load(id: NodeId, signal?: AbortSignal): MaybePromise<TreeNode> {
    return this.#load(id, undefined, signal);
  }

  /** A node where a pointer says that it lies. @throws as load */
  at(node: NodeAt, signal?: AbortSignal): MaybePromise<TreeNode> {
    return this.#load(node.id, node.place, signal);
  }

  /** The child at `index`, which must be what its pointer says. @throws as load */
  child(parent: InnerNode, index: number, signal?: AbortSignal): MaybePromise<TreeNode> {
    const node = this.#child(parent, index, signal);
    if (isPromise(node)) return node.then((loaded) => checkChild(parent, index, loaded));
    return checkChild(parent, index, node);
  }

  /**
   * For a reader who goes on to the children from `index` on: starts to load those that lie next to
   * each other. A failure is left to who needs the node.
   */
  readAhead(parent: InnerNode, index: number): void {
    if (this.store.loadRun === undefined) return;
    const end = Math.min(parent.count, index + AHEAD_MIN);
    if (index >= end || this.#isAtHand(parent.idAt(end - 1))) return;
    for (let from = index; from < end; from++) {
      if (this.#isAtHand(parent.idAt(from))) continue;
      this.#startRun(this.#runAt(parent, from));
      return;
    }
  }

  #isAtHand(id: NodeId): boolean {
    return this.#ahead.has(id) || this.#cache.get(id, this.store) !== undefined;
  }

  /** Children from `index` on that lie one directly behind the other; at least one. */
  #runAt(parent: InnerNode, index: number): PlacedNode[] {
    const run: PlacedNode[] = [];
    let first: Place | undefined;
    let end = 0;
    for (let i = index; i < parent.count; i++) {
      const place = parent.placeAt(i);
      if (place === undefined) break;
      first ??= place;
      end = run.length === 0 ? place.offset : end;
      if (place.pack !== first.pack || place.offset !== end) break;
      end += place.length;
      if (run.length > 0 && end - first.offset > RUN_BYTES_MAX) break;
      const id = parent.idAt(i);
      if (this.#isAtHand(id)) break;
      run.push({ id, place });
    }
    return run;
  }

  #startRun(run: readonly PlacedNode[]): void {
    const loading = this.#loadRun(run).catch(() => []);
    for (const [i, { id }] of run.entries()) {
      this.#ahead.set(
        id,
        loading.then((nodes) => nodes[i]),
      );
    }
    void loading.then(() => run.forEach(({ id }) => this.#ahead.delete(id)));
  }

  async #loadRun(run: readonly PlacedNode[]): Promise<TreeNode[]> {
    const stored = (await this.store.loadRun?.(run)) ?? [];
    return stored.map((node, i) => this.#accept((run[i] as PlacedNode).id, node));
  }

  #child(
    parent: InnerNode,
    index: number,
    signal: AbortSignal | undefined,
  ): MaybePromise<TreeNode> {
    const id = parent.idAt(index);
    return this.#cache.get(id, this.store) ?? this.#load(id, parent.placeAt(index), signal);
  }

  #load(
    id: NodeId,
    place: Place | undefined,
    signal: AbortSignal | undefined,
  ): MaybePromise<TreeNode> {
    const cached = this.#cache.get(id, this.store);
    if (cached !== undefined) return cached;
    throwIfAborted(signal);
    const ahead = this.#ahead.get(id);
    if (ahead !== undefined) {
      return ahead.then((node) => node ?? this.#fetch(id, place, signal));
    }
    return this.#fetch(id, place, signal);
  }

  #fetch(
    id: NodeId,
    place: Place | undefined,
    signal: AbortSignal | undefined,
  ): MaybePromise<TreeNode> {
    const stored = this.store.load(id, place, signal);
    if (isPromise(stored)) return stored.then((loaded) => this.#accept(id, loaded));
    return this.#accept(id, stored);
  }

  #accept(id: NodeId, stored: StoredNode): TreeNode {
    const actual = sha256(stored.bytes);
    const { place } = stored;
    if (actual !== id) {
      const where = place === undefined ? '' : ` at byte ${place.offset} of ${packName(place)}`;
      throw corruptNode(id, `its bytes${where} hash to ${actual}`);
    }
    const node = decodeNode(id, stored.bytes, stored);
    // A pack that never becomes durable must leave no trace in what others read.
    if (place === undefined || place.pack.isDurable) this.#cache.add(node, this.store);
    return node;
  }
}

function packName({ pack }: Place): string {
  return `tree pack ${pack.id ?? 'that is being written'}`;
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
