import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { BoundaryRule } from './boundary.js';
import { corruptNode } from './decode.js';
import type { EncodedNode, NodeEncoder, Pointer } from './encode.js';
import { InnerEncoder } from './encode.js';
import type { InnerNode, NodeBase, TreeNode } from './node.js';
import { KeyWalker } from './node.js';
import type { NodeAt, NodeBatch, Nodes } from './nodes.js';

/** What all levels of one writing of a tree share. */
export interface WriteContext {
  readonly nodes: Nodes;
  readonly saves: NodeBatch;
  readonly signal: AbortSignal | undefined;
}

/**
 * One level of a tree that is being written: takes items in key order, cuts them into nodes by the
 * boundary rule, and gives each node's pointer to the level above.
 *
 * When an old tree is edited, the level also stands at the first item of its old nodes that was
 * neither copied nor dropped. Two facts keep an edit as small as its change:
 * - where a new node ends with the old one, both continue alike: as long as no edit is in the way,
 *   the level above copies pointers to whole old nodes, which are not even loaded;
 * - the pointer to an old node whose items were taken one by one is dropped above when its last
 *   item is left behind.
 * The last old node of a level may end where the rule would not, so while items may still follow
 * it, its items are copied one by one instead of its pointer.
 */
export class Level<T> {
  readonly #context: WriteContext;
  readonly #level: number;
  readonly #encoder: NodeEncoder<T>;
  readonly #rule: BoundaryRule;
  readonly #narrow: (node: TreeNode) => NodeBase<T>;
  /** The level whose old nodes point at this level's; undefined for the old root's level. */
  readonly #oldAbove: Level<Pointer> | undefined;
  #above: Level<Pointer> | undefined;
  #hasOutput = false;
  #last: T | undefined;

  /** The old node of the position; undefined when that is a node not loaded, or past the end. */
  #old: NodeBase<T> | undefined;
  #index = 0;
  readonly #walker = new KeyWalker();
  /** The old node that was left last. */
  #left: NodeAt | undefined;

  constructor(
    context: WriteContext,
    level: number,
    encoder: NodeEncoder<T>,
    narrow: (node: TreeNode) => NodeBase<T>,
    oldAbove?: Level<Pointer>,
  ) {
    this.#context = context;
    this.#level = level;
    this.#encoder = encoder;
    this.#rule = new BoundaryRule(level, context.nodes.shape);
    this.#narrow = narrow;
    this.#oldAbove = oldAbove;
    this.#above = oldAbove;
  }

  get above(): Level<Pointer> | undefined {
    return this.#above;
  }

  /** No item was ever given to this level or one above it. */
  get isBare(): boolean {
    return this.#last === undefined && (this.#above?.isBare ?? true);
  }

  /** The level's only item, when it is all there is at this level and above. */
  get onlyItem(): T | undefined {
    if (this.#hasOutput || this.#encoder.items !== 1) return undefined;
    return this.#above === undefined || this.#above.isBare ? this.#last : undefined;
  }

  /** Begins at the root of an old tree. */
  startAt(root: TreeNode): void {
    this.#enter(this.#narrow(root));
  }

  append(key: Key, value: T): void {
    const weight = this.#encoder.append(key, value);
    this.#last = value;
    if (this.#rule.endsAfter(key, weight)) this.#cut();
  }

  /** Ends the level's last node. */
  finish(): void {
    if (this.#encoder.items > 0) this.#cut();
  }

  /** Copies old items less than `limit`, and stands at the next one. */
  advance(limit: Key): MaybePromise<void> {
    if (this.#old !== undefined && !this.#copyItems(limit)) return;
    if (this.#isPastEnd()) return;
    return this.#advanceOverNodes(limit);
  }

  /** Copies what follows until whole old nodes can be kept, or to the end. */
  async copyRest(): Promise<void> {
    while (this.#old !== undefined || (this.#encoder.items > 0 && (await this.#load()))) {
      this.#copyItems(undefined);
      if (this.#context.saves.full) await this.#context.saves.room();
    }
  }

  /** Drops the item of the position if its key is `key`. */
  drop(key: Key): void {
    if (this.#old !== undefined && this.#walker.key() === key) this.#step();
  }

  /** Drops items less than `end`, all when it is undefined. Whole nodes of them are not loaded. */
  async dropUntil(end: Key | undefined): Promise<void> {
    for (;;) {
      if (this.#old === undefined) {
        await this.#oldAbove?.dropUntil(end);
        if (!(await this.#load())) return;
      }
      const old = this.#old;
      if (old === undefined) return;
      const index = end === undefined ? old.count : Math.max(this.#index, old.lowerBound(end));
      if (index < old.count) {
        this.#index = index;
        this.#walker.moveTo(old, index);
        return;
      }
      this.#leave(old);
    }
  }

  async #advanceOverNodes(limit: Key): Promise<void> {
    for (;;) {
      if (this.#encoder.items === 0) await this.#oldAbove?.advance(limit);
      if (!(await this.#load())) return;
      if (!this.#copyItems(limit)) return;
      if (this.#context.saves.full) await this.#context.saves.room();
    }
  }

  /** True when it came to the end of the old node, which it left. */
  #copyItems(limit: Key | undefined): boolean {
    for (let old = this.#old; old !== undefined; old = this.#old) {
      if (this.#index === old.count) {
        this.#leave(old);
        return true;
      }
      const key = this.#walker.key();
      if (limit !== undefined && (key >= limit || (this.#level > 0 && this.#isLast(old)))) {
        return false;
      }
      this.append(key, old.valueAt(this.#index));
      this.#step();
    }
    return true;
  }

  #isPastEnd(): boolean {
    if (this.#old !== undefined) return false;
    return this.#oldAbove === undefined || this.#oldAbove.#isPastEnd();
  }

  /** Whether the position is the last old item of the whole level. */
  #isLast(old: NodeBase<T>): boolean {
    if (this.#index < old.count - 1) return false;
    const above = this.#oldAbove;
    if (above === undefined || above.#old === undefined) return true;
    return above.#isLast(above.#old);
  }

  #step(): void {
    const old = this.#old;
    if (old === undefined) return;
    this.#index++;
    if (this.#index >= old.count) this.#leave(old);
    else this.#walker.stepTo(old.offsetOf(this.#index));
  }

  #leave(old: NodeBase<T>): void {
    this.#left = old;
    this.#old = undefined;
    if (this.#oldAbove !== undefined) this.#oldAbove.#step();
  }

  /** Makes the old node of the position ready; false past the end. */
  async #load(): Promise<boolean> {
    if (this.#old !== undefined) return true;
    const above = this.#oldAbove;
    if (above === undefined || !(await above.#load())) return false;
    const { nodes, signal } = this.#context;
    const loaded = nodes.child(above.#old as InnerNode, above.#index, signal);
    this.#enter(this.#narrow(isPromise(loaded) ? await loaded : loaded));
    return true;
  }

  #enter(old: NodeBase<T>): void {
    this.#old = old;
    this.#index = 0;
    if (old.count > 0) this.#walker.moveTo(old, 0);
  }

  #cut(): void {
    const node = this.#encoder.finish();
    this.#rule.reset();
    this.#hasOutput = true;
    const { id, place } = saveNode(this.#context, node, this.#left, this.#old);
    this.#above ??= innerLevel(this.#context, this.#level + 1);
    this.#above.append(node.lastKey, { id, place, entries: node.entries, bytes: node.totalBytes });
  }
}

/** Saves the node, unless it is one of the `known`, which the store has. */
export function saveNode(
  context: WriteContext,
  node: EncodedNode,
  ...known: readonly (NodeAt | undefined)[]
): NodeAt {
  const id = sha256(node.bytes) as NodeId;
  for (const old of known) if (old?.id === id) return old;
  return { id, place: context.saves.add(id, node.bytes, node.places) };
}

export function innerLevel(
  context: WriteContext,
  level: number,
  oldAbove?: Level<Pointer>,
): Level<Pointer> {
  return new Level(context, level, new InnerEncoder(level), narrowInner, oldAbove);
}

function narrowInner(node: TreeNode): InnerNode {
  if (node.kind !== 'inner') throw corruptNode(node.id, 'it stands where an inner node must be');
  return node;
}
