import { classifyChange } from '../model/change.js';
import type { Totals } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import { diffTrees } from '../tree/diff.js';
import type { Nodes } from '../tree/nodes.js';
import { Tree } from '../tree/tree.js';
import { throwIfAborted } from '../util/abort.js';

/** What a commit does to its branch. */
export interface Effect {
  readonly before: Totals;
  readonly after: Totals;
  /** Paths; absent where there are more than COUNTED_MAX. */
  readonly changes?: {
    readonly added: number;
    readonly changed: number;
    readonly removed: number;
  };
}

/**
 * Most changes that are counted. A merge can take over millions of files without reading one; the
 * totals are exact at once however many there are.
 */
export const COUNTED_MAX = 1_000;

/** @throws TarnError as diffTrees */
export async function effectOf(
  nodes: Nodes,
  before: NodeId,
  after: NodeId,
  signal?: AbortSignal,
): Promise<Effect> {
  const totals = {
    before: (await Tree.open(nodes, before, signal)).totals(),
    after: (await Tree.open(nodes, after, signal)).totals(),
  };
  const counts = { added: 0, changed: 0, removed: 0 };
  let counted = 0;
  for await (const batch of diffTrees(nodes, before, after, undefined, signal)) {
    for (const change of batch) {
      const kind = classifyChange(change.before, change.after);
      counts[kind === 'added' || kind === 'removed' ? kind : 'changed'] += 1;
    }
    counted += batch.length;
    throwIfAborted(signal);
    if (counted > COUNTED_MAX) return totals;
  }
  return { ...totals, changes: counts };
}
