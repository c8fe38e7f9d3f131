import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import { throwIfAborted } from '../util/abort.js';
import type { KeyedEntry, Totals } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Edit } from './edit.js';
import { EditOrder } from './edit.js';
import { Editor } from './editor.js';
import type { Nodes } from './nodes.js';
import { SubtreeCursor } from './subtree-cursor.js';
import { TreeWriter } from './tree-writer.js';

export interface WrittenTree {
  readonly id: NodeId;
  readonly totals: Totals;
}

/** Items in key order, in arrays of any length so that they come cheaply. */
export type Batches<T> = Iterable<readonly T[]> | AsyncIterable<readonly T[]>;

/**
 * Writes the tree of `batches`. Every node is saved when it resolves, or when the saves of `nodes` are
 * durable. Memory: a batch, a node for
 * each level, and the nodes on their way to the store.
 * @throws TarnError invalid (an entry breaks a rule, keys do not ascend), aborted, and what the
 * store throws
 */
export async function buildTree(
  nodes: Nodes,
  batches: Batches<KeyedEntry>,
  signal?: AbortSignal,
): Promise<WrittenTree> {
  return written(nodes, signal, async (writer) => {
    await each(batches, signal, ({ key, entry }) => {
      writer.append(key, entry);
      if (writer.full) return writer.room();
    });
  });
}

/**
 * Writes the tree that `edits` make of the tree `root`; it has the id that buildTree would give it.
 * Nodes that no edit touches are neither loaded nor saved, nor those of a graft that keeps its keys
 * but for those at its ends. Memory as for buildTree.
 * @throws TarnError invalid (as buildTree, or edits out of order), aborted, not-found, corrupt, and
 * what the store throws
 */
export async function editTree(
  nodes: Nodes,
  root: NodeId,
  edits: Batches<Edit>,
  signal?: AbortSignal,
): Promise<WrittenTree> {
  return written(nodes, signal, async (writer) => {
    const base = new SubtreeCursor(nodes, await nodes.load(root, signal), signal);
    const editor = new Editor(nodes, writer, base, signal);
    const order = new EditOrder();
    await each(edits, signal, (edit) => {
      order.check(edit);
      return editor.apply(edit);
    });
    await editor.finish();
  });
}

/** Does `one` to each item, and waits only where it must. */
async function each<T>(
  batches: Batches<T>,
  signal: AbortSignal | undefined,
  one: (item: T) => MaybePromise<void>,
): Promise<void> {
  for await (const batch of batches) {
    for (const item of batch) {
      const done = one(item);
      if (isPromise(done)) await done;
    }
    throwIfAborted(signal);
  }
}

/** Never leaves anything running behind the caller's back when `write` fails. */
async function written(
  nodes: Nodes,
  signal: AbortSignal | undefined,
  write: (writer: TreeWriter) => Promise<void>,
): Promise<WrittenTree> {
  const writer = new TreeWriter(nodes, signal);
  try {
    await write(writer);
    const { id, entries, bytes } = await writer.finish();
    return { id, totals: { entries, bytes } };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
