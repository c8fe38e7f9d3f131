import type { FileEntry } from '../../model/entry.js';
import { EMPTY_CONTENT } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import type { Edit } from '../../tree/edit.js';
import { editTree } from '../../tree/write.js';
import type { Change } from '../../workspace/changes.js';
import { changesOn } from '../../workspace/changes.js';
import type { JobContext, JobRun } from '../../workspace/jobs/job.js';
import { RowBatches } from '../../workspace/jobs/row-batches.js';
import type { StatusEnd } from '../../workspace/jobs/status-job.js';
import { countChanges } from '../../workspace/jobs/status-job.js';
import type { HeadAt, Layers } from '../../workspace/live-head.js';
import { StagedView } from '../../workspace/staged-view.js';
import type { StagedRow } from '../../workspace/staging.js';
import type { FileBytes, Kept } from '../staging/edits.js';
import { editsOf } from '../staging/edits.js';
import type { PlanFile } from '../staging/plan.js';
import type { OverlayInput, Planned } from './planned.js';
import { plannedOf, rulesOf } from './planned.js';
import { isSameStamp, stampOf } from './store.js';

export interface ListInput extends OverlayInput {
  readonly limit?: number;
  readonly after?: Key;
}

/** A change of the next commit, or what is in the mount and stays out of it. */
export type ListRow = ({ readonly is: 'change' } & Change) | ({ readonly is: 'kept' } & Kept);

/**
 * What a commit would change, with what programs have changed through mounts; no file is stored or
 * read. A file of another time or size than before counts as changed.
 */
export const run: JobRun<ListInput, ListRow, StatusEnd> = async (context, input, out) => {
  const { signal } = out;
  const { limit, after } = input;
  const planned = await plannedOf(context, input, signal);
  const { base, items, view } = planned;
  const rules = await rulesOf(planned);
  const bytesOf = (file: PlanFile): FileBytes | undefined => seenBytes(planned, file);
  const { edits, kept } = await editsOf({
    base,
    tree: input.tree,
    items,
    rules,
    bytesOf,
    signal,
  });
  const layers = await layersOf(context, input, edits, signal);
  const rows = new RowBatches<ListRow>(out);
  const source = {
    nodes: context.repository.nodes,
    live: layers,
    view: new StagedView(view.source, layers),
  };
  const changes = changesOn(source, after, signal);
  const counts = await countChanges(changes, limit, (change) =>
    rows.add({ is: 'change', ...change }),
  );
  for (const each of kept) await rows.add({ is: 'kept', ...each });
  await rows.flush();
  return { base: input.head, ...counts };
};

/** The bytes of a file by what is known without reading it. */
function seenBytes({ staged }: Planned, file: PlanFile): FileBytes | undefined {
  const stamp = stampOf(staged, file.inode);
  if (stamp === undefined) return undefined;
  const { size, mtimeSec, mtimeNsec } = stamp;
  const look = { size, mtimeSec, mtimeNsec };
  if (file.stored !== undefined && isSameStamp(file.stored.stamp, stamp)) {
    return { ...file.stored.entry, ...look };
  }
  const before = file.origin?.entry;
  const isAsBefore =
    before?.kind === 'file' &&
    before.size === size &&
    before.mtimeSec === mtimeSec &&
    before.mtimeNsec === mtimeNsec;
  const { content, address } = isAsBefore ? before : UNREAD;
  return { ...look, content, address };
}

/** Of a file of some size no content id is known, and this one is of no such file. */
const UNREAD: Pick<FileEntry, 'content' | 'address'> = {
  content: EMPTY_CONTENT,
  address: { kind: 'none' },
};

/** The head, on it the base with its moved directories, on that rows of single paths. */
async function layersOf(
  { repository }: JobContext,
  { branch, head, tree }: ListInput,
  edits: readonly Edit[],
  signal: AbortSignal,
): Promise<Layers> {
  const moves = edits.filter((edit) => edit.kind === 'replace');
  const { nodes } = repository;
  const underTree = moves.length === 0 ? tree : (await editTree(nodes, tree, [moves], signal)).id;
  const view = await repository.commitView(branch, head, signal);
  const under = await repository.treeView(view.source, underTree, signal);
  const at: HeadAt = {
    head: view,
    under,
    underTree,
    state: { version: 0, clearings: 0, tree: undefined },
  };
  const rows = edits.flatMap((edit): StagedRow[] => {
    if (edit.kind === 'replace') return [];
    const entry = edit.kind === 'put' ? edit.entry : undefined;
    return [{ key: edit.key, entry, base: head }];
  });
  return {
    load: () => Promise.resolve(at),
    page: ({ from, to }) => {
      const first = firstFrom(rows, from);
      const last = to === undefined ? rows.length : firstFrom(rows, to);
      return Promise.resolve({ ...at, rows: rows.slice(first, last), isLast: true });
    },
  };
}

/** Rows are in order of paths. */
function firstFrom(rows: readonly StagedRow[], key: Key): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle] as StagedRow).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
