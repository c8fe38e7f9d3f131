import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { BoundaryRule } from './boundary.js';
import type { EncodedNode, NodeEncoder, Pointer } from './encode.js';
import { InnerEncoder, LeafEncoder } from './encode.js';
import type { LeafItem, LeafSums } from './leaf-item.js';
import type { LeafWalker } from './leaf-walker.js';
import type { LeafNode } from './node.js';
import type { NodeAt, NodeBatch, Nodes } from './nodes.js';
import type { SubtreeCursor } from './subtree-cursor.js';

/** A level of the tree: the node that is being filled. */
interface Level<E extends NodeEncoder<unknown>> {
  readonly encoder: E;
  readonly rule: BoundaryRule;
  hasOutput: boolean;
}

interface InnerLevel extends Level<InnerEncoder> {
  last: Pointer | undefined;
}

/**
 * Writes a tree out of entries, items and whole subtrees of other trees, given in key order: cuts
 * them into nodes by the boundary rule, level by level.
 *
 * Where a new node begins with an old one, both go on alike. So a subtree of another tree may stand
 * in this one where every level below its pointer is at the start of a node. The last node of a
 * level may end where the rule would not: a subtree that holds it may be given only at the very end.
 */
export class TreeWriter {
  readonly #nodes: Nodes;
  readonly #batch: NodeBatch;
  readonly #signal: AbortSignal | undefined;
  readonly #leaves: Level<LeafEncoder>;
  /** From level 1 up. */
  readonly #inner: InnerLevel[] = [];
  /** Levels from the leaves up that are at the start of a node. */
  #aligned = 0;
  readonly #sources = new Set<SubtreeCursor>();

  constructor(nodes: Nodes, signal: AbortSignal | undefined) {
    this.#nodes = nodes;
    this.#batch = nodes.batch(signal);
    this.#signal = signal;
    this.#leaves = { encoder: new LeafEncoder(), rule: this.#rule(0), hasOutput: false };
  }

  /** Whoever gives items waits for room() as soon as this is true. */
  get full(): boolean {
    return this.#batch.full;
  }

  /** @throws what saving nodes threw */
  room(): Promise<void> {
    return this.#batch.room();
  }

  /** A node that the cursor comes by is not saved again. */
  watch(source: SubtreeCursor): void {
    this.#sources.add(source);
  }

  unwatch(source: SubtreeCursor): void {
    this.#sources.delete(source);
  }

  /** @throws TarnError invalid when the key or the entry breaks a rule of the format */
  append(key: Key, entry: Entry): void {
    this.#appended(key, this.#leaves.encoder.append(key, entry));
  }

  /** As append with the item's entry; see LeafEncoder.appendItem. */
  appendItem(key: Key, item: LeafItem): void {
    this.#appended(key, this.#leaves.encoder.appendItem(key, item));
  }

  /**
   * Appends items of a leaf from `from` on, at most up to `to`, as bytes. Returns how far it came:
   * `from` where the node being written does not stand as the leaf does.
   * @param to not behind the leaf's last item, which may end a node
   */
  appendRun(walker: LeafWalker, leaf: LeafNode, from: number, to: number, sums: LeafSums): number {
    const { encoder, rule } = this.#leaves;
    const [before, after] = [sums.weights[from] as number, sums.weights[to] as number];
    if (to <= from || rule.weight !== before || !encoder.continues(leaf, from, sums)) return from;
    walker.moveTo(leaf, to - 1);
    encoder.appendRun(walker, from, to, sums);
    rule.pass(to - from, after - before);
    this.#aligned = 0;
    return to;
  }

  /** Whether a subtree of so many levels may be given here. */
  takes(height: number): boolean {
    while (this.#aligned < height && this.#itemsAt(this.#aligned) === 0) this.#aligned++;
    return this.#aligned >= height;
  }

  /** A subtree of `height` levels, which the writer takes here, up to its last key. */
  appendSubtree(height: number, lastKey: Key, pointer: Pointer): void {
    for (let level = this.#inner.length + 1; level <= height; level++) {
      const [encoder, rule] = [new InnerEncoder(level), this.#rule(level)];
      this.#inner.push({ encoder, rule, hasOutput: false, last: undefined });
    }
    const level = this.#inner[height - 1] as InnerLevel;
    const weight = level.encoder.append(lastKey, pointer);
    level.last = pointer;
    if (level.rule.endsAfter(lastKey, weight)) this.#cut(level, height);
    else this.#aligned = Math.min(this.#aligned, height);
  }

  /** Ends the nodes of all levels, until one level holds a single pointer: that to the root. */
  async finish(): Promise<Pointer> {
    if (this.#leaves.encoder.items > 0) this.#cut(this.#leaves, 0);
    for (let height = 1; height <= this.#inner.length; height++) {
      const level = this.#inner[height - 1] as InnerLevel;
      const isOnly = !level.hasOutput && level.encoder.items === 1 && this.#isBareAbove(height);
      if (isOnly) return this.#finishAt(level.last as Pointer);
      if (level.encoder.items > 0) this.#cut(level, height);
    }
    return this.#finishAt({ ...this.#save(new LeafEncoder().finish(), 0), entries: 0, bytes: 0 });
  }

  /** Resolves when nothing of the tree is being saved any more. */
  abort(): Promise<void> {
    return this.#batch.abort();
  }

  /** An old node that is all that is left of its level may have a single child. */
  async #finishAt(top: Pointer): Promise<Pointer> {
    let node = await this.#nodes.at(top, this.#signal);
    while (node.kind === 'inner' && node.count === 1) {
      node = await this.#nodes.child(node, 0, this.#signal);
    }
    await this.#batch.finish(node);
    return { ...top, id: node.id };
  }

  #rule(level: number): BoundaryRule {
    return new BoundaryRule(level, this.#nodes.shape);
  }

  #itemsAt(level: number): number {
    if (level === 0) return this.#leaves.encoder.items;
    return this.#inner[level - 1]?.encoder.items ?? 0;
  }

  #isBareAbove(height: number): boolean {
    return this.#inner.slice(height).every(({ last }) => last === undefined);
  }

  #appended(key: Key, weight: number): void {
    if (this.#leaves.rule.endsAfter(key, weight)) this.#cut(this.#leaves, 0);
    else this.#aligned = 0;
  }

  #cut(level: Level<NodeEncoder<unknown>>, height: number): void {
    const node = level.encoder.finish();
    level.rule.reset();
    level.hasOutput = true;
    const { id, place } = this.#save(node, height);
    const { entries, totalBytes } = node;
    this.appendSubtree(height + 1, node.lastKey, { id, place, entries, bytes: totalBytes });
  }

  #save(node: EncodedNode, level: number): NodeAt {
    const id = sha256(node.bytes) as NodeId;
    for (const source of this.#sources) {
      const old = source.nearby(level, id);
      if (old !== undefined) return old;
    }
    return { id, place: this.#batch.add(id, node.bytes, node.places) };
  }
}
