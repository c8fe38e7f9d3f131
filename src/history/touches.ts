import type { Commit } from '../model/commit.js';
import type { NodeId } from '../model/ids.js';
import type { Span } from '../model/span.js';
import { isSameBetween } from '../tree/diff.js';
import { Tree } from '../tree/tree.js';
import type { HistorySource } from './source.js';

/**
 * Whether a commit changed something in `spans`: against its parent; a merge, against each of its
 * parents, since what it has as one of them came by that one; a first commit, whether it has
 * anything there. Compares shared nodes and lists nothing.
 * @throws as isSameBetween
 */
export async function touches(
  source: HistorySource,
  commit: Commit,
  spans: readonly Span[],
  signal?: AbortSignal,
): Promise<boolean> {
  const { nodes } = source;
  if (commit.parents.length === 0) return hasAny(source, commit.tree, spans, signal);
  for (const id of commit.parents) {
    const parent = await source.readCommit(id, signal);
    if (await isSameIn(parent.tree, commit.tree)) return false;
  }
  return true;

  async function isSameIn(a: NodeId, b: NodeId): Promise<boolean> {
    if (a === b) return true;
    for (const span of spans) {
      if (!(await isSameBetween(nodes, a, b, span, signal))) return false;
    }
    return true;
  }
}

async function hasAny(
  { nodes }: HistorySource,
  root: NodeId,
  spans: readonly Span[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const tree = await Tree.open(nodes, root, signal);
  for (const { from, to } of spans) {
    if ((await tree.totalsBetween(from, to, signal)).entries > 0) return true;
  }
  return false;
}
