import { classifyChange } from '../model/change.js';
import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import type { Span } from '../model/span.js';
import { WHOLE_SPAN } from '../model/span.js';
import { diffTrees } from '../tree/diff.js';
import type { Nodes } from '../tree/nodes.js';
import { giveWay } from '../util/give-way.js';
import type { Difference } from './difference.js';
import { pairRenames } from './renames.js';

export interface DiffOptions {
  /** In key order and without overlaps; all without it. */
  readonly spans?: readonly Span[];
  /** Only what follows this path. */
  readonly after?: Key;
  readonly renames?: RenameOptions;
  readonly signal?: AbortSignal | undefined;
}

export interface RenameOptions {
  /** Most differences to hold while the other end of a rename may still come. */
  readonly heldMax: number;
  /** More than that differ: from here on removals and additions stay what they are. */
  readonly onGivenUp: () => void;
}

/** About 100 MB. */
export const RENAMES_HELD_MAX = 100_000;

/**
 * What differs between two trees, in path order, in batches. A renamed file is one line, at its new
 * path: a removed and an added file of `spans` with the same bytes (see pairRenames).
 *
 * Without renames each batch is given out as it is found. With them all from the first added or
 * removed file on is held until the end, `heldMax` differences at most.
 * @throws as diffTrees
 */
export async function* differences(
  nodes: Nodes,
  before: NodeId,
  after: NodeId,
  options: DiffOptions = {},
): AsyncGenerator<readonly Difference[], void, undefined> {
  const { spans = [WHOLE_SPAN], after: passed, renames, signal } = options;
  if (renames === undefined) {
    yield* plain(nodes, before, after, behind(spans, passed), signal);
    return;
  }
  for await (const batch of paired(plain(nodes, before, after, spans, signal), renames)) {
    const rest = passed === undefined ? batch : batch.filter(({ key }) => key > passed);
    if (rest.length > 0) yield rest;
  }
}

async function* plain(
  nodes: Nodes,
  before: NodeId,
  after: NodeId,
  spans: readonly Span[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Difference[], void, undefined> {
  for (const span of spans) {
    for await (const batch of diffTrees(nodes, before, after, span, signal)) {
      yield batch.map((change) => difference(change.key, change.before, change.after));
      // The signal of a job thread fires only where its event loop turns.
      await giveWay();
    }
  }
}

function difference(key: Key, before: Entry | undefined, after: Entry | undefined): Difference {
  const kind = classifyChange(before, after) ?? 'metadata-changed';
  return {
    kind,
    key,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

/** What of `spans` follows `passed`. */
function behind(spans: readonly Span[], passed: Key | undefined): readonly Span[] {
  if (passed === undefined) return spans;
  const from = `${passed}\0` as Key;
  return spans
    .filter(({ to }) => to === undefined || to > from)
    .map((span) => (span.from > from ? span : { from, to: span.to }));
}

async function* paired(
  batches: AsyncIterable<readonly Difference[]>,
  { heldMax, onGivenUp }: RenameOptions,
): AsyncGenerator<readonly Difference[], void, undefined> {
  let held: Difference[] | undefined;
  let isGivenUp = false;
  for await (const batch of batches) {
    if (!isGivenUp && (held !== undefined || batch.some(mayBeRenamed))) {
      held ??= [];
      for (const each of batch) held.push(each);
      if (held.length <= heldMax) continue;
      isGivenUp = true;
      onGivenUp();
      yield held;
      held = undefined;
    } else yield batch;
  }
  if (held !== undefined) yield pairRenames(held);
}

function mayBeRenamed({ kind }: Difference): boolean {
  return kind === 'added' || kind === 'removed';
}
