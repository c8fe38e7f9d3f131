import type { Key } from '../../model/path.js';
import { keyToText } from '../../model/path.js';
import { TarnError } from '../../util/errors.js';
import type { Workspace } from '../workspace.js';
import type { JobRun, JobTarget } from './job.js';

export interface RemoveInput extends JobTarget {
  readonly branch: string;
  /** Each the file of that name or, where there is none, all that is below it as a directory. */
  readonly paths: readonly Key[];
  /** Without it a directory is refused. */
  readonly recursive: boolean;
}

export interface RemoveResult {
  /** Entries that are gone from the branch. */
  readonly removed: number;
}

/**
 * Stages removals on a branch, one path after the other.
 * @throws TarnError not-found, is-directory, aborted, io; the paths before stay removed
 */
export const run: JobRun<RemoveInput, never, RemoveResult> = async (context, input, { signal }) => {
  const workspace = context.workspace(input.branch);
  let removed = 0;
  for (const path of input.paths) removed += await remove(workspace, path, input, signal);
  return { removed };
};

async function remove(
  workspace: Workspace,
  key: Key,
  { repository, branch, recursive }: RemoveInput,
  signal: AbortSignal,
): Promise<number> {
  const view = await workspace.view(signal);
  const canBeFile = key !== '' && !key.endsWith('/');
  if (canBeFile && (await view.get(key, signal)) !== undefined) {
    await workspace.remove(key, signal);
    return 1;
  }
  const prefix = canBeFile ? (`${key}/` as Key) : key;
  const { entries } = await view.totals(prefix, signal);
  if (recursive) {
    await workspace.removePrefix(prefix, signal);
    return entries;
  }
  if (entries > 0) {
    const place = `${repository}/${branch}/${keyToText(key)}`;
    throw new TarnError('is-directory', `'${place}' is a folder`, {
      hint: 'add -r to remove it with all below it',
    });
  }
  await workspace.remove(key, signal);
  return 0;
}
