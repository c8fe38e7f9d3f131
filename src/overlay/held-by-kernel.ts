import type { Key } from '../model/path.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { giveWay } from '../util/give-way.js';
import type { Inode } from '../vfs/filesystem.js';
import type { NodeNotes } from '../vfs/notes.js';
import type { HeldNodes } from '../vfs/resuming.js';
import { decodeUnnamed, encodeUnnamed } from './journal/rows.js';
import type { NodeMemory } from './node-memory.js';
import type { Node } from './nodes.js';

/** Nodes recalled between two turns of the event loop. */
const RECALLED_A_TURN = 200;

interface Place {
  readonly parent: Inode;
  readonly name: Key;
}

/**
 * Which nodes a mount's kernel holds, and how often. What it held already when an earlier process
 * ended is remembered by its place, and becomes a node again when it is asked for.
 */
export class HeldByKernel {
  /** Told of what a later process would have to remember. */
  notes: NodeNotes | undefined;
  readonly #memory: NodeMemory;
  readonly #held = new Map<Inode, { readonly node: Node; times: number }>();
  readonly #remembered = new Map<Inode, Place>();

  constructor(memory: NodeMemory) {
    this.#memory = memory;
  }

  has(inode: Inode): boolean {
    return this.#held.has(inode) || this.#remembered.has(inode);
  }

  /** Once more. */
  hold(node: Node): void {
    if (node.isRoot) return;
    const held = this.#held.get(node.inode);
    if (held !== undefined) held.times += 1;
    else this.#holdNew(node, this.#remembered.delete(node.inode) ? 2 : 1);
  }

  forget(inode: Inode, times: number): void {
    const held = this.#held.get(inode);
    if (held === undefined) {
      if (this.#remembered.delete(inode)) this.notes?.forgotten(inode);
      return;
    }
    held.times -= times;
    if (held.times > 0) return;
    this.#held.delete(inode);
    this.notes?.forgotten(inode);
    this.#memory.unuse(held.node);
  }

  clear(): void {
    for (const { node } of this.#held.values()) this.#memory.unuse(node);
    this.#held.clear();
    this.#remembered.clear();
  }

  /** Notes where the node is by now, if the kernel holds it. */
  note(node: Node): void {
    if (this.notes === undefined || !this.#held.has(node.inode)) return;
    if (node.isGone) return this.notes.unnamed(node.inode, encodeUnnamed(node.kind, node.state));
    const parent = node.place?.parent ?? node.names[0]?.directory;
    const name = node.place?.name ?? node.names[0]?.name;
    if (parent !== undefined && name !== undefined) {
      this.notes.named(node.inode, parent.inode, name);
    }
  }

  /**
   * What the kernel holds from before. How often is not known, but once at least: the number that it
   * forgets in the end is higher than what was given out here.
   */
  resume({ named, unnamed }: HeldNodes): void {
    for (const inode of unnamed.keys()) {
      const node = this.#memory.node(inode);
      if (node !== undefined) this.#holdNew(node, 1);
    }
    for (const [inode, place] of named) {
      const node = this.#memory.node(inode);
      if (node === undefined) this.#remembered.set(inode, place);
      else this.#holdNew(node, 1);
    }
  }

  /** The node of a number that is only remembered, if it is still there. */
  recall(inode: Inode, signal: AbortSignal): MaybePromise<Node | undefined> {
    const place = this.#remembered.get(inode);
    if (place === undefined) return undefined;
    const { parent, name } = place;
    const directory = this.#memory.node(parent) ?? this.recall(parent, signal);
    return andThen(directory, (found) => {
      if (found?.kind !== 'directory') return undefined;
      return andThen(this.#memory.child(found, name, signal), (node) => {
        if (node?.inode !== inode) {
          if (node !== undefined) this.#memory.tidy(node);
          return this.#memory.node(inode);
        }
        if (this.#remembered.delete(inode)) this.#holdNew(node, 1);
        return node;
      });
    });
  }

  async recallAll(signal: AbortSignal): Promise<void> {
    let seen = 0;
    for (const inode of [...this.#remembered.keys()]) {
      await this.recall(inode, signal);
      // What is not found has gone: a kernel that still asks is told so.
      if (this.#remembered.delete(inode)) this.notes?.forgotten(inode);
      seen += 1;
      if (seen % RECALLED_A_TURN === 0) await giveWay();
    }
  }

  #holdNew(node: Node, times: number): void {
    if (node.isRoot || this.#held.has(node.inode)) return;
    this.#memory.use(node);
    this.#held.set(node.inode, { node, times });
    this.note(node);
  }
}

/** Takes nodes without names, which nothing but open files leads to, into memory; used once each. */
export function restoreUnnamed(
  memory: NodeMemory,
  unnamed: ReadonlyMap<Inode, string>,
): readonly Node[] {
  const restored: Node[] = [];
  for (const [inode, what] of unnamed) {
    const decoded = decodeUnnamed(what);
    if (decoded === undefined) continue;
    const node = memory.addUnnamed(inode, decoded.kind, decoded.state);
    if (node === undefined) continue;
    memory.use(node);
    restored.push(node);
  }
  return restored;
}
