import type { NodeId } from '../model/ids.js';
import type { ChangesHeard, MergeConflict } from '../tree/merge.js';
import { mergeTrees } from '../tree/merge.js';
import type { Nodes } from '../tree/nodes.js';
import { isNoCommonVersion } from './base-tree.js';
import type { Preference } from './prefer.js';
import { preferring } from './prefer.js';

/** A path that both sides changed, each in its own way; versions are undefined where absent. */
export interface Conflict extends MergeConflict {
  /** The sides have several bases which differ here (history/base-tree.ts); `base` is undefined. */
  readonly isBaseUnclear: boolean;
}

export interface Conflicts {
  readonly kind: 'conflicts';
  /** In order of paths, CONFLICTS_LISTED_MAX of them at most. */
  readonly conflicts: readonly Conflict[];
  /** How many there are. */
  readonly count: number;
}

/** `settled` conflicts were decided by a preference. */
export type ThreeWay =
  { readonly kind: 'merged'; readonly tree: NodeId; readonly settled: number } | Conflicts;

/** `ours` is what is on the branch, `theirs` what is brought in. */
export interface Sides {
  readonly base: NodeId;
  readonly ours: NodeId;
  readonly theirs: NodeId;
}

export interface ThreeWayOptions {
  /** Of several that match a path the last counts. */
  readonly preferences?: readonly Preference[];
  readonly onChanges?: ChangesHeard;
  readonly signal?: AbortSignal;
}

/**
 * Brings into `ours` what `theirs` changed since `base`.
 * @throws TarnError as mergeTrees
 */
export async function threeWay(
  nodes: Nodes,
  { base, ours, theirs }: Sides,
  { preferences = [], onChanges, signal }: ThreeWayOptions,
): Promise<ThreeWay> {
  if (base === ours) return { kind: 'merged', tree: theirs, settled: 0 };
  if (base === theirs || ours === theirs) return { kind: 'merged', tree: ours, settled: 0 };
  const prefer = preferring(preferences);
  const hears = onChanges === undefined ? {} : { onChanges };
  const outcome = await mergeTrees(nodes, { base, ours, theirs, prefer, ...hears }, signal);
  if (outcome.kind === 'merged') {
    return { kind: 'merged', tree: outcome.tree.id, settled: outcome.settled };
  }
  const conflicts = outcome.conflicts.map((conflict): Conflict => {
    if (!isNoCommonVersion(conflict.base)) return { ...conflict, isBaseUnclear: false };
    return { ...conflict, base: undefined, isBaseUnclear: true };
  });
  return { kind: 'conflicts', conflicts, count: outcome.count };
}
