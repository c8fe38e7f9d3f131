import type { Entry } from '../../model/entry.js';
import type { CommitId, NodeId } from '../../model/ids.js';
import { throwIfAborted } from '../../util/abort.js';
import type { Repository } from '../repository.js';
import { CommitStore } from '../commit-store.js';
import { ContentCheck } from './contents.js';
import type { Counts, Fault } from './findings.js';
import { Findings } from './findings.js';
import { TreeCheck } from './trees.js';

export interface FsckOptions {
  /** Checks refs, commits and trees, and whether contents are there, without reading them. */
  readonly fast: boolean;
  /** What relies on the repository from outside of it, such as what is staged. */
  readonly outside?: Iterable<Outside>;
  readonly onFault: (fault: Fault) => Promise<void>;
  readonly onProgress?: (counts: Counts) => void;
  readonly signal: AbortSignal;
}

/** A tree or an entry that must be sound, and what names it. */
export type Outside = { readonly where: string } & (
  { readonly tree: NodeId } | { readonly entry: Entry }
);

/**
 * Checks all that can be reached from refs: every ref, commit, tree node, manifest, pack and file,
 * each once, from what is stored and nothing remembered. Goes on after a fault. Memory follows the
 * number of objects.
 * @throws TarnError aborted, and faults that say nothing about the repository (no-space, internal)
 */
export async function checkRepository(
  repository: Repository,
  { fast, outside = [], onFault, onProgress = () => undefined, signal }: FsckOptions,
): Promise<Counts> {
  const findings = new Findings(onFault, onProgress);
  const contents = new ContentCheck(repository, findings, !fast, signal);
  const check = new TreeCheck(repository.objects, contents, findings, signal);
  const commits = new CommitStore(repository.objects);
  const seen = new Set<CommitId>();
  for (const kind of ['branch', 'tag'] as const) {
    await findings.hold(`the list of ${kind} refs`, async () => {
      for await (const { name, commit } of repository.listRefs(kind, { signal })) {
        findings.counts.refs += 1;
        await checkHistory(commit, `${kind} '${name}'`);
      }
    });
  }
  await findings.hold('the settings', () => checkSettings(repository, signal));
  for (const each of outside) {
    if ('tree' in each) await check.check(each.tree, each.where);
    else await contents.check(each.entry, () => each.where);
  }
  await contents.finish();
  return findings.counts;

  async function checkHistory(head: CommitId, ref: string): Promise<void> {
    const waiting = [{ id: head, from: ref }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { id, from } = next;
      if (seen.has(id)) continue;
      seen.add(id);
      throwIfAborted(signal);
      await findings.hold(from, async () => {
        const { tree, parents } = await commits.read(id, signal);
        findings.counts.commits += 1;
        waiting.push(...parents.map((parent) => ({ id: parent, from: `commit ${id}` })));
        await check.check(tree, `commit ${id}`);
      });
      findings.progress();
    }
  }
}

/** Every version that there ever was. */
async function checkSettings({ settings }: Repository, signal: AbortSignal): Promise<void> {
  for await (const { next } of settings.history({ signal })) {
    if (next !== undefined) await settings.read(next, signal);
  }
}
