import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import type { View } from '../repo/view.js';
import { TarnError } from '../util/errors.js';
import type { Workspace } from './workspace.js';

/** Single paths that are removed at once. */
const BATCH_PATHS = 5_000;

export interface RemovePathsOptions {
  /** Without it a directory is refused. */
  readonly recursive: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stages removals, one path after the other: each the file of that name or, where there is none, all
 * that is below it as a directory. Resolves to the number of entries that are gone.
 * @throws TarnError not-found, is-directory, conflict, aborted, io; the paths before stay removed
 */
export async function removePaths(
  workspace: Workspace,
  paths: readonly Key[],
  { recursive, signal }: RemovePathsOptions,
): Promise<number> {
  const view = await workspace.view(signal);
  const files = new Set<Key>();
  const flush = async (): Promise<void> => {
    if (files.size > 0) await workspace.remove([...files], signal);
    files.clear();
  };
  let removed = 0;
  try {
    for (const path of paths) {
      if (files.size >= BATCH_PATHS || files.has(path)) await flush();
      if (await isFile(view, path, signal)) {
        files.add(path);
        removed += 1;
        continue;
      }
      await flush();
      removed += await removeDirectory(workspace, view, path, { recursive, signal });
    }
  } finally {
    await flush();
  }
  return removed;
}

async function isFile(view: View, path: Key, signal: AbortSignal | undefined): Promise<boolean> {
  if (path === '' || path.endsWith('/')) return false;
  return (await view.get(path, signal)) !== undefined;
}

async function removeDirectory(
  workspace: Workspace,
  view: View,
  path: Key,
  { recursive, signal }: RemovePathsOptions,
): Promise<number> {
  const prefix = path === '' || path.endsWith('/') ? path : (`${path}/` as Key);
  const { entries } = await view.totals(prefix, signal);
  if (recursive) {
    await workspace.removePrefix(prefix, signal);
    return entries;
  }
  if (entries > 0) {
    const { repository, ref } = view.source;
    throw new TarnError('is-directory', `'${repository}/${ref}/${keyToText(path)}' is a folder`, {
      hint: 'add -r to remove it with all below it',
    });
  }
  await workspace.remove([path], signal);
  return 0;
}
