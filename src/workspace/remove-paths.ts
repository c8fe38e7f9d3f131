import type { Key } from '../model/path.js';
import { keyToText } from '../model/path.js';
import type { View } from '../repo/view.js';
import { TarnError } from '../util/errors.js';
import type { Workspace } from './workspace.js';

/** Single paths that are removed at once. */
const BATCH_PATHS = 50_000;
/** Paths that are looked at together, while all are files. */
const AHEAD_MAX = 10_000;

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
  let ahead = 1;
  try {
    for (let at = 0; at < paths.length;) {
      const next = paths.slice(at, at + ahead);
      const present = await workspace.present(next.filter(isFileName), signal);
      const other = next.findIndex((path) => {
        if (files.has(path) || !present.has(path)) return true;
        files.add(path);
        return false;
      });
      const count = other < 0 ? next.length : other;
      removed += count;
      at += count;
      if (other < 0) {
        ahead = Math.min(2 * ahead, AHEAD_MAX);
        if (files.size >= BATCH_PATHS) await flush();
        continue;
      }
      await flush();
      removed += await removeDirectory(workspace, view, paths[at] as Key, { recursive, signal });
      at += 1;
      ahead = 1;
    }
  } finally {
    await flush();
  }
  return removed;
}

function isFileName(path: Key): boolean {
  return path !== '' && !path.endsWith('/');
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
