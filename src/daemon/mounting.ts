import { parseCommitId } from '../model/ids.js';
import { TarnError } from '../util/errors.js';
import { FrozenFilesystem } from '../vfs/frozen-filesystem.js';
import type { Context } from './context.js';
import type { RecordedMount } from './mount-record.js';
import type { Shown } from './mount-table.js';
import type { MountArguments, MountRow } from './protocol.js';
import { resolveRef } from './resolve.js';
import { isWritableMount, mountWritable } from './writable-mounts.js';

/**
 * Mounts what the arguments ask for; what is recorded comes back as it was.
 * @throws TarnError not-found, ambiguous, invalid, read-only, busy, unsupported, denied, corrupt, io
 */
export function mountAs(
  context: Context,
  args: RecordedMount,
  signal: AbortSignal,
): Promise<MountRow> {
  if (isWritableMount(args)) return mountWritable(context, args, signal);
  if (args.follow === true) return mountFollowing(context, args, signal);
  return mountCommit(context, args, signal);
}

/** Mounts again what was mounted when the last daemon ended without unmounting it. */
export async function restoreMounts(
  context: Context,
  lost: readonly RecordedMount[],
): Promise<void> {
  const { signal } = new AbortController();
  for (const args of lost) {
    try {
      await mountAs(context, args, signal);
    } catch (error) {
      context.log.fault('mount not restored', error, { directory: args.directory });
    }
  }
  context.mounts.forgetLost();
}

async function mountCommit(
  context: Context,
  args: RecordedMount,
  signal: AbortSignal,
): Promise<MountRow> {
  const { repositories, mounts } = context;
  const repository = await repositories.open(args.repository);
  const commitId =
    args.commit === undefined
      ? (await resolveRef(context, args.repository, args.ref, signal)).commitId
      : parseCommitId(args.commit);
  const view = await repository.commitView(args.ref, commitId, signal);
  const shown = { repository: view.source.repository, ref: args.ref, commit: commitId };
  return mounts.mount(new FrozenFilesystem(view), () => shown, args);
}

async function mountFollowing(
  context: Context,
  args: RecordedMount,
  signal: AbortSignal,
): Promise<MountRow> {
  const { followed, mounts } = context;
  const { repository, ref } = args;
  const { branch } = await resolveRef(context, repository, ref, signal);
  if (branch === undefined) throw neverMoves(args);
  const following = await followed.begin(repository, branch, signal);
  const shown = (): Shown => ({
    repository,
    ref: branch,
    commit: following.head,
    follow: true,
    ...(following.isGone ? { gone: true } : {}),
  });
  try {
    const end = (): void => followed.end(following);
    return await mounts.mount(following.filesystem, shown, args, end);
  } catch (error) {
    followed.end(following);
    throw error;
  }
}

function neverMoves({ repository, ref }: MountArguments): TarnError {
  return new TarnError(
    'invalid',
    `'${repository}/${ref}' is no branch, so there is nothing to follow`,
    {
      hint: `mount it without --follow: what it names never changes; or follow a branch, as in ${repository}/main`,
    },
  );
}
