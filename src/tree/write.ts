import { isPromise } from '../util/async.js';
import { throwIfAborted } from '../util/abort.js';
import type { Entry, KeyedEntry, Totals } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import type { Edit } from './edit.js';
import { EditOrder } from './edit.js';
import { LeafEncoder } from './encode.js';
import { corruptNode } from './decode.js';
import type { Pointer } from './encode.js';
import type { WriteContext } from './level.js';
import { innerLevel, Level, saveNode } from './level.js';
import type { LeafNode, TreeNode } from './node.js';
import type { NodeAt, Nodes } from './nodes.js';
import { Splice } from './splice.js';

export interface WrittenTree {
  readonly id: NodeId;
  readonly totals: Totals;
}

/** Items in key order, in arrays of any length so that they come cheaply. */
export type Batches<T> = Iterable<readonly T[]> | AsyncIterable<readonly T[]>;

/**
 * Writes the tree of `batches`. Every node is saved when it resolves. Memory: a batch, a node for
 * each level, and the nodes on their way to the store.
 * @throws TarnError invalid (an entry breaks a rule, keys do not ascend), aborted, and what the
 * store throws
 */
export async function buildTree(
  nodes: Nodes,
  batches: Batches<KeyedEntry>,
  signal?: AbortSignal,
): Promise<WrittenTree> {
  const context = { nodes, saves: nodes.store.batch(signal), signal };
  return settle(context, async () => {
    const leaves = leafLevel(context);
    for await (const batch of batches) {
      for (const { key, entry } of batch) {
        leaves.append(key, entry);
        if (context.saves.full) await context.saves.room();
      }
      throwIfAborted(signal);
    }
    return finishTree(context, leaves);
  });
}

/**
 * Writes the tree that `edits` make of the tree `root`; it has the id that buildTree would give it.
 * Nodes that no edit touches are neither loaded nor saved. Memory as for buildTree.
 * @throws TarnError invalid (as buildTree, or edits out of order), aborted, not-found, corrupt, and
 * what the store throws
 */
export async function editTree(
  nodes: Nodes,
  root: NodeId,
  edits: Batches<Edit>,
  signal?: AbortSignal,
): Promise<WrittenTree> {
  const context = { nodes, saves: nodes.store.batch(signal), signal };
  return settle(context, async () => {
    const leaves = oldLevels(context, await nodes.load(root, signal));
    const order = new EditOrder();
    let splice: Splice | undefined;
    for await (const batch of edits) {
      for (const edit of batch) {
        order.check(edit);
        if (edit.kind === 'replace') {
          await splice?.copyRest();
          splice = await Splice.begin(context, leaves, edit);
        } else {
          await splice?.passTo(edit.key);
          const applied = applyEdit(leaves, edit);
          if (isPromise(applied)) await applied;
        }
        if (context.saves.full) await context.saves.room();
      }
      throwIfAborted(signal);
    }
    await splice?.copyRest();
    return finishTree(context, leaves);
  });
}

/** Never leaves anything of the batch running behind the caller's back when `write` fails. */
async function settle(
  context: WriteContext,
  write: () => Promise<WrittenTree>,
): Promise<WrittenTree> {
  try {
    return await write();
  } catch (error) {
    await context.saves.abort();
    throw error;
  }
}

function applyEdit(leaves: Level<Entry>, edit: Edit & { readonly key: Key }): void | Promise<void> {
  const apply = (): void => {
    leaves.drop(edit.key);
    if (edit.kind === 'put') leaves.append(edit.key, edit.entry);
  };
  const advanced = leaves.advance(edit.key);
  return isPromise(advanced) ? advanced.then(apply) : apply();
}

function leafLevel(context: WriteContext, oldAbove?: Level<Pointer>): Level<Entry> {
  return new Level(context, 0, new LeafEncoder(), narrowLeaf, oldAbove);
}

function narrowLeaf(node: TreeNode): LeafNode {
  if (node.kind !== 'leaf') throw corruptNode(node.id, 'it stands where a leaf must be');
  return node;
}

function oldLevels(context: WriteContext, root: TreeNode): Level<Entry> {
  if (root.level === 0) {
    const leaves = leafLevel(context);
    leaves.startAt(root);
    return leaves;
  }
  let above = innerLevel(context, root.level);
  above.startAt(root);
  for (let level = root.level - 1; level > 0; level--) above = innerLevel(context, level, above);
  return leafLevel(context, above);
}

/** Ends the levels from the leaves up, until one holds a single pointer: that to the root. */
async function finishTree(context: WriteContext, leaves: Level<Entry>): Promise<WrittenTree> {
  await leaves.copyRest();
  leaves.finish();
  for (let level = leaves.above; level !== undefined; level = level.above) {
    await level.copyRest();
    const root = level.onlyItem;
    if (root !== undefined) {
      const lowest = await lowestSingle(context, root);
      await context.saves.finish(lowest);
      return { id: lowest.id, totals: { entries: root.entries, bytes: root.bytes } };
    }
    level.finish();
  }
  const empty = saveNode(context, new LeafEncoder().finish());
  await context.saves.finish(empty);
  return { id: empty.id, totals: { entries: 0, bytes: 0 } };
}

/** An old node that is all that is left of its level may have a single child. */
async function lowestSingle(context: WriteContext, root: Pointer): Promise<NodeAt> {
  const { nodes, signal } = context;
  let node = await nodes.at(root, signal);
  while (node.kind === 'inner' && node.count === 1) node = await nodes.child(node, 0, signal);
  return node;
}
