import type { RefStore } from '../store/ref-store.js';
import type { StagedRename, Staging } from './staging.js';

/**
 * Gives a branch another name with what is staged on it. Refs and staging are two databases: the
 * rename is written down first, so that after a crash in between staging follows at the next
 * opening (settleRenames).
 * @throws what renameRef throws; then nothing has moved
 */
export async function renameWithStaging(
  refs: RefStore,
  staging: Staging,
  rename: StagedRename,
  renameRef: () => Promise<void>,
): Promise<void> {
  staging.beginRename(rename);
  try {
    await renameRef();
  } finally {
    await settle(refs, staging, rename);
  }
}

/** Ends renames that were cut short; before anything else is done with the staged changes. */
export async function settleRenames(refs: RefStore, staging: Staging): Promise<void> {
  for (const rename of staging.renames()) await settle(refs, staging, rename);
}

/** The branch is under one of its names: the change of refs is a single step. */
async function settle(refs: RefStore, staging: Staging, rename: StagedRename): Promise<void> {
  const isThere = (await refs.get('branch', rename.from)) !== undefined;
  const isRenamed = !isThere && (await refs.get('branch', rename.to)) !== undefined;
  if (isRenamed) staging.rename(rename);
  else staging.abandonRename(rename.from);
}
