import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { WHOLE_SPAN } from '../model/span.js';
import { diffTrees } from './diff.js';
import type { TreeChange } from './diff.js';
import type { Nodes } from './nodes.js';
import type { Edit } from './edit.js';
import type { WrittenTree } from './write.js';
import { editTree } from './write.js';

export interface MergeInput {
  readonly base: NodeId;
  /** The side that is merged into. */
  readonly ours: NodeId;
  readonly theirs: NodeId;
  /** Only what lies here is taken from theirs; everything without it. */
  readonly span?: Span;
  /** Which side wins a conflict; undefined leaves it one. */
  readonly prefer?: (key: Key) => 'ours' | 'theirs' | undefined;
}

/** A key that both sides changed since the base, each in its own way; undefined where absent. */
export interface MergeConflict {
  readonly key: Key;
  readonly base: Entry | undefined;
  readonly ours: Entry | undefined;
  readonly theirs: Entry | undefined;
}

export type MergeOutcome =
  /** `tree` is ours with the changes of theirs; its nodes are durable. */
  | { readonly kind: 'merged'; readonly tree: WrittenTree; readonly settled: number }
  /** In key order, CONFLICTS_LISTED_MAX of them at most; `count` is of all. Nothing was written. */
  | {
      readonly kind: 'conflicts';
      readonly conflicts: readonly MergeConflict[];
      readonly count: number;
    };

export const CONFLICTS_LISTED_MAX = 10_000;

/**
 * Merges two trees by what each changed since `base`, key by key. Where only one side changed a key
 * its entry is taken, also when that is none; where both made the same change (isSameEntry), ours.
 * @throws TarnError not-found, corrupt, unsupported, aborted, no-space, and what the store throws
 */
export async function mergeTrees(
  nodes: Nodes,
  input: MergeInput,
  signal?: AbortSignal,
): Promise<MergeOutcome> {
  const { base, ours, theirs, span = WHOLE_SPAN, prefer = () => undefined } = input;
  const mine = new Map<Key, TreeChange>();
  for await (const batch of diffTrees(nodes, base, ours, span, signal)) {
    for (const change of batch) mine.set(change.key, change);
  }
  const edits: Edit[] = [];
  const conflicts: MergeConflict[] = [];
  let settled = 0;
  for await (const batch of diffTrees(nodes, base, theirs, span, signal)) {
    for (const { key, before, after } of batch) {
      const own = mine.get(key);
      if (own !== undefined && isSameEntry(own.after, after)) continue;
      if (own !== undefined) {
        const side = prefer(key);
        if (side === undefined)
          conflicts.push({ key, base: before, ours: own.after, theirs: after });
        else settled += 1;
        if (side !== 'theirs') continue;
      }
      edits.push(
        after === undefined ? { kind: 'remove', key } : { kind: 'put', key, entry: after },
      );
    }
  }
  const count = conflicts.length;
  if (count > 0) {
    return { kind: 'conflicts', conflicts: conflicts.slice(0, CONFLICTS_LISTED_MAX), count };
  }
  return { kind: 'merged', tree: await editTree(nodes, ours, [edits], signal), settled };
}
