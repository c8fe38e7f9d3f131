import { TarnError } from '../util/errors.js';
import type { NodeId } from '../model/ids.js';
import { BoundaryRule } from './boundary.js';
import type { TreeShape } from './boundary.js';
import { corruptNode } from './decode.js';
import type { EncodedNode, NodeEncoder } from './encode.js';
import { InnerEncoder, LeafEncoder } from './encode.js';
import type { NodeBase, TreeNode } from './node.js';
import type { Nodes } from './nodes.js';

/**
 * Loads every node of a tree and checks that the tree is the one that buildTree writes for its
 * entries, byte for byte. Yields each node when it and its pointer are found sound, parents first.
 * @throws TarnError corrupt (names the node), unsupported, and what the store throws
 */
export async function* verifyTree(
  nodes: Nodes,
  root: NodeId,
  signal?: AbortSignal,
): AsyncGenerator<TreeNode, void, undefined> {
  const node = await nodes.load(root, signal);
  if (node.kind === 'inner' && node.count === 1) {
    throw corruptNode(root, 'it is a root with a single child');
  }
  yield* verifySubtree(nodes, node, true, signal);
}

async function* verifySubtree(
  nodes: Nodes,
  node: TreeNode,
  isLast: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<TreeNode, void, undefined> {
  verifyNode(node, isLast, nodes.shape);
  yield node;
  if (node.kind === 'leaf') return;
  for (let i = 0; i < node.count; i++) {
    const child = await nodes.child(node, i, signal);
    yield* verifySubtree(nodes, child, isLast && i === node.count - 1, signal);
  }
}

/**
 * Checks that the node ends where the boundary rule ends it, and once more, by encoding its items,
 * that its bytes are canonical.
 * @param isLast whether it is the last node of its level, which may end anywhere
 * @throws TarnError corrupt, naming the node
 */
export function verifyNode(node: TreeNode, isLast: boolean, shape: TreeShape): void {
  const rule = new BoundaryRule(node.level, shape);
  const encoded =
    node.kind === 'leaf'
      ? reencode(node, new LeafEncoder(), rule, isLast)
      : reencode(node, new InnerEncoder(node.level), rule, isLast);
  if (!encoded.bytes.equals(node.bytes)) {
    throw corruptNode(node.id, 'its bytes are not the canonical form of its items');
  }
}

function reencode<T>(
  node: NodeBase<T>,
  encoder: NodeEncoder<T>,
  rule: BoundaryRule,
  isLast: boolean,
): EncodedNode {
  let ended = false;
  for (let i = 0; i < node.count; i++) {
    if (ended) throw corruptNode(node.id, `it goes on after item ${i - 1}, where it must end`);
    const key = node.keyAt(i);
    ended = rule.endsAfter(key, append(node, encoder, i));
  }
  if (!ended && !isLast) throw corruptNode(node.id, 'it ends where it must not');
  return encoder.finish();
}

function append<T>(node: NodeBase<T>, encoder: NodeEncoder<T>, index: number): number {
  try {
    return encoder.append(node.keyAt(index), node.valueAt(index));
  } catch (error) {
    if (!(error instanceof TarnError)) throw error;
    throw corruptNode(node.id, error.message);
  }
}
