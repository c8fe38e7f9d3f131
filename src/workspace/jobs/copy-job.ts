import type { JobRun } from './job.js';
import type { MoveInput, TransferResult } from './move-job.js';

export interface CopyInput extends MoveInput {
  /** A ref expression: where `from` is, in the same repository. */
  readonly fromRef: string;
}

/** Workspace.copy, from whatever moment; a bare branch is taken with what is staged on it. */
export const run: JobRun<CopyInput, never, TransferResult> = async (context, input, { signal }) => {
  const { repository, workspace } = context;
  const { branch, fromRef, from, to, force } = input;
  const resolved = await repository.resolve(fromRef, signal);
  const into = workspace(branch);
  const options = { force, signal };
  if (resolved.branch === branch) return { entries: await into.copy(from, to, options) };
  const seen =
    resolved.branch === undefined
      ? resolved.commit.tree
      : await workspace(resolved.branch).tree(signal);
  const { commitId } = resolved;
  const { source } = await repository.commitView(fromRef, commitId, signal);
  const view = await repository.treeView(source, seen, signal);
  return { entries: await into.copy(from, to, { ...options, source: { view, tree: seen } }) };
};
