import type { FileEntry } from '../../model/entry.js';
import type { NodeId } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import { editTree } from '../../tree/write.js';
import type { Inode } from '../../vfs/filesystem.js';
import type { JobContext, JobOutput, JobRun } from '../../workspace/jobs/job.js';
import { Saves } from '../../util/saves.js';
import type { CommitOptions } from '../../workspace/commit.js';
import type { CommittedEdits } from '../../workspace/commit-edits.js';
import type { Workspace, WorkspaceBase } from '../../workspace/workspace.js';
import type { StagedStamp } from '../nodes.js';
import type { FileBytes, Kept, PlannedEdits } from '../staging/edits.js';
import { editsOf } from '../staging/edits.js';
import type { PlanFile } from '../staging/plan.js';
import type { OverlayInput, Planned } from './planned.js';
import { plannedOf, rulesOf } from './planned.js';
import type { FileStored } from './store.js';
import { isSameStamp, stampOf, storeFiles } from './store.js';

export interface StageInput extends OverlayInput {
  /** Files that are open for writing are taken as of one instant; without it they stay as they were. */
  readonly takesOpen: boolean;
  /** What is staged is to be committed: that is done at once where it can be. */
  readonly commit?: Omit<CommitOptions, 'paths' | 'signal'>;
}

export type StageRow =
  /** A name, by its row, that is staged at the key. */
  | { readonly is: 'name'; readonly row: number; readonly key: Key }
  /** A file that had this stamp when its bytes were staged. */
  | {
      readonly is: 'file';
      readonly inode: Inode;
      readonly entry: FileEntry;
      readonly stamp: StagedStamp;
    }
  | ({ readonly is: 'kept' } & Kept);

export interface Staged {
  readonly now: WorkspaceBase;
  /** The base with what was staged, which differs from `now` by what others did. */
  readonly shown: NodeId;
  /** Which has it, and is still staged; without it the commit is still to be made. */
  readonly committed?: CommittedEdits;
}

const BATCH = 500;

/**
 * Stages what an overlay says on the branch, made on the head of its base; resolves to what the
 * workspace shows then.
 * @throws TarnError as Workspace.stageEdits and storeFiles
 */
export const run: JobRun<StageInput, StageRow, Staged> = async (context, input, out) => {
  const saves = new Saves(out.signal);
  try {
    return await stage(context, input, out, saves);
  } finally {
    await saves.settled();
  }
};

async function stage(
  context: JobContext,
  input: StageInput,
  out: JobOutput<StageRow>,
  saves: Saves,
): Promise<Staged> {
  const { signal } = out;
  const planned = await plannedOf(context, input, signal);
  const rules = await rulesOf(planned);
  const stored = await storedBytes(context, input, planned, saves, signal);
  const bytesOf = ({ inode }: PlanFile): FileBytes | undefined => stored.get(inode)?.stored?.entry;
  const { base, items } = planned;
  const made = await editsOf({ base, tree: input.tree, items, rules, bytesOf, signal });
  const workspace = context.workspace(input.branch);
  const committed = await commit(workspace, input, planned, made, saves, signal);
  if (committed === undefined) await saves.durable();
  const done = committed ?? (await stageOnly(context, input, made, signal));
  for (const batch of batches(rowsOf(made, stored))) await out.rows(batch);
  return done;
}

/** Undefined where it is to be staged, and then committed. */
async function commit(
  workspace: Workspace,
  { head: onto, tree, commit: about }: StageInput,
  { view }: Planned,
  { edits }: PlannedEdits,
  saves: Saves,
  signal: AbortSignal,
): Promise<Staged | undefined> {
  if (about === undefined || view.source.commit.tree !== tree) return undefined;
  const done = await workspace.commitEdits({ ...about, edits, onto, saves, signal });
  if (done === undefined) return undefined;
  const now = { head: done.id, tree: done.tree, version: workspace.version };
  return { now, shown: done.tree, committed: done };
}

async function stageOnly(
  context: JobContext,
  input: StageInput,
  made: PlannedEdits,
  signal: AbortSignal,
): Promise<Staged> {
  const workspace = context.workspace(input.branch);
  // Where the branch has moved since, what is staged counts as made before that: so the branch need
  // not be asked where it is.
  const { head } = input;
  const before = await workspace.base(signal, head);
  await workspace.stageEdits(made.edits, head, signal, head);
  const now = await workspace.base(signal, head);
  const isAlone = before.tree === input.tree && now.version <= before.version + 1;
  const { nodes } = context.repository;
  const shown = isAlone ? now.tree : (await editTree(nodes, input.tree, [made.edits], signal)).id;
  return { now, shown };
}

/** Of all staged files; of those that are stored already as the plan says. The rest is for `saves` to save. */
async function storedBytes(
  context: JobContext,
  { folder, takesOpen }: StageInput,
  { items, staged }: Planned,
  saves: Saves,
  signal: AbortSignal,
): Promise<Map<Inode, FileStored>> {
  const known = new Map<Inode, FileStored>();
  const wanted = new Map<Inode, PlanFile>();
  for (const item of items) {
    if (item.is !== 'name' || item.node.kind !== 'file' || !item.node.isStaged) continue;
    const file = item.node;
    if (file.isOpen && !takesOpen) continue;
    const { inode, stored, isOpen } = file;
    const isStored =
      stored !== undefined && !isOpen && isSameStamp(stored.stamp, stampOf(staged, inode));
    if (isStored) known.set(inode, { inode, stored, isSure: true });
    else wanted.set(inode, file);
  }
  if (wanted.size === 0) return known;
  const onStored = (file: FileStored): void => void known.set(file.inode, file);
  await storeFiles(context, staged, folder, wanted.values(), onStored, signal, saves);
  return known;
}

function* rowsOf(
  { names, files, kept }: PlannedEdits,
  stored: ReadonlyMap<Inode, FileStored>,
): Generator<StageRow> {
  for (const [row, key] of names) yield { is: 'name', row, key };
  for (const [inode, entry] of files) {
    const found = stored.get(inode);
    if (found?.stored === undefined || !found.isSure) continue;
    yield { is: 'file', inode, entry, stamp: found.stored.stamp };
  }
  for (const each of kept) yield { is: 'kept', ...each };
}

function* batches<T>(rows: Iterable<T>): Generator<T[]> {
  let batch: T[] = [];
  for (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
