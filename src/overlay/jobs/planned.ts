import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommitId, NodeId } from '../../model/ids.js';
import { keyFromText } from '../../model/path.js';
import type { FrozenView } from '../../repo/view.js';
import type { JobContext, JobTarget } from '../../workspace/jobs/job.js';
import { Base } from '../../vfs/base.js';
import { StagedFolder } from '../bytes/staged-folder.js';
import { IGNORE_BYTES_MAX, IGNORE_FILE, IgnoreRules } from '../staging/ignore.js';
import type { PlanFile, PlanItem } from '../staging/plan.js';
import { itemsOf } from '../staging/plan.js';

/** What the jobs of an overlay are told of it. */
export interface OverlayInput extends JobTarget {
  readonly branch: string;
  /** Of the workspace's journal and staged files. */
  readonly folder: string;
  /** Of the base: the branch's commit at that time, and what it showed with what was staged. */
  readonly head: CommitId;
  readonly tree: NodeId;
  /** See Plan.batches. */
  readonly plan: readonly string[];
}

/** What a job of an overlay works with. */
export interface Planned {
  readonly base: Base;
  readonly view: FrozenView;
  readonly items: PlanItem[];
  readonly staged: StagedFolder;
}

export async function plannedOf(
  { repository }: JobContext,
  input: OverlayInput,
  signal: AbortSignal,
): Promise<Planned> {
  const { head, tree, branch } = input;
  const commit = await repository.readCommit(head, signal);
  const source = { repository: repository.name, ref: branch, commitId: head, commit };
  const view = await repository.treeView(source, tree, signal);
  const staged = new StagedFolder(filesIn(input.folder));
  return { base: new Base(view, 0, { sec: 0, nsec: 0 }), view, items: itemsOf(input.plan), staged };
}

export function filesIn(folder: string): string {
  return join(folder, 'files');
}

/** As the IGNORE_FILE of the overlay says or, where it has none, that of the base. */
export async function rulesOf({ view, items, staged }: Planned): Promise<IgnoreRules> {
  const own = items.find((item) => item.is === 'name' && item.name === IGNORE_FILE);
  const end = items.findIndex((item, at) => at > 0 && item.is === 'directory');
  const isAtRoot = own !== undefined && (end < 0 || items.indexOf(own) < end);
  if (isAtRoot && own.is === 'name') {
    if (own.node.kind !== 'file') return new IgnoreRules();
    if (own.node.isStaged) return new IgnoreRules(textOf(staged, own.node));
  }
  const key = keyFromText(IGNORE_FILE);
  const entry = await view.get(key);
  if (entry?.kind !== 'file' || entry.size > IGNORE_BYTES_MAX) return new IgnoreRules();
  const content = await view.open(key, entry);
  try {
    return new IgnoreRules(Buffer.from(await content.read(0, entry.size)).toString());
  } finally {
    content.close();
  }
}

/** A partial file is larger than what is read of an IGNORE_FILE. */
function textOf(staged: StagedFolder, { inode, beneath }: PlanFile): string {
  if (beneath !== undefined) return '';
  const bytes = readFileSync(staged.pathOf(inode));
  return bytes.length > IGNORE_BYTES_MAX ? '' : bytes.toString();
}
