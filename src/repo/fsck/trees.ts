import type { NodeId } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import type { ObjectStore } from '../../store/object-store.js';
import { corruptNode } from '../../tree/decode.js';
import type { LeafNode, TreeNode } from '../../tree/node.js';
import { NodeCache, Nodes } from '../../tree/nodes.js';
import { verifyNode } from '../../tree/verify.js';
import { throwIfAborted } from '../../util/abort.js';
import { TreePackStore } from '../tree-packs.js';
import type { ContentCheck } from './contents.js';
import type { Findings } from './findings.js';

/** Only what a walk needs once: a node of the daemon's cache would hide what the disk has. */
const CACHE_BYTES = 4_194_304;

/** Checks trees node by node; what several trees share is checked once. */
export class TreeCheck {
  readonly #nodes: Nodes;
  readonly #contents: ContentCheck;
  readonly #findings: Findings;
  readonly #signal: AbortSignal;
  /** A node that may end anywhere, as the last of its level, is checked again where it may not. */
  readonly #checked = new Set<string>();

  constructor(
    objects: ObjectStore,
    contents: ContentCheck,
    findings: Findings,
    signal: AbortSignal,
  ) {
    this.#nodes = new Nodes(new TreePackStore(objects), new NodeCache(CACHE_BYTES));
    this.#contents = contents;
    this.#findings = findings;
    this.#signal = signal;
  }

  /** @param where what names the tree: a commit, what is staged on a branch */
  async check(root: NodeId, where: string): Promise<void> {
    if (this.#isDone(root, true)) return;
    await this.#findings.hold(where, async () => {
      const node = await this.#nodes.load(root, this.#signal);
      if (node.kind === 'inner' && node.count === 1) {
        throw corruptNode(root, 'it is a root with a single child');
      }
      await this.#subtree(node, true, where);
    });
  }

  #isDone(id: NodeId, isLast: boolean): boolean {
    return this.#checked.has(id) || (isLast && this.#checked.has(`last ${id}`));
  }

  async #subtree(node: TreeNode, isLast: boolean, where: string): Promise<void> {
    throwIfAborted(this.#signal);
    this.#checked.add(isLast ? `last ${node.id}` : node.id);
    const isSound = await this.#findings.hold(where, () =>
      verifyNode(node, isLast, this.#nodes.shape),
    );
    if (!isSound) return;
    this.#findings.counts.nodes += 1;
    if (node.kind === 'leaf') return this.#leaf(node, where);
    for (let i = 0; i < node.count; i++) {
      const isLastChild = isLast && i === node.count - 1;
      if (this.#isDone(node.idAt(i), isLastChild)) continue;
      let child: TreeNode | undefined;
      await this.#findings.hold(`${where}, up to '${keyToText(node.keyAt(i))}'`, async () => {
        child = await this.#nodes.child(node, i, this.#signal);
      });
      if (child !== undefined) await this.#subtree(child, isLastChild, where);
    }
  }

  async #leaf(leaf: LeafNode, where: string): Promise<void> {
    this.#findings.counts.entries += leaf.count;
    this.#findings.progress();
    for (let i = 0; i < leaf.count; i++) {
      const key: Key = leaf.keyAt(i);
      await this.#contents.check(leaf.valueAt(i), () => `${where}, '${keyToText(key)}'`);
    }
  }
}
