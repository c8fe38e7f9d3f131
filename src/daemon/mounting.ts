import { parseCommitId } from '../model/ids.js';
import { ReadTally } from '../store/traffic.js';
import { TarnError } from '../util/errors.js';
import { FrozenFilesystem } from '../vfs/frozen-filesystem.js';
import { RepositoryFilesystem } from '../vfs/repository-filesystem.js';
import type { Context } from './context.js';
import type { KeptMount } from '../mount/native/keeper.js';
import type { RecordedMount } from './mount-record.js';
import type { Keeping, Shown } from './mount-table.js';
import type { MountRow } from './protocol.js';
import { RepositoryMoments } from './repository-moments.js';
import { resolveRef } from './resolve.js';
import { isWritableMount, mountWritable } from './writable-mounts.js';

/**
 * Mounts what the arguments ask for; what is recorded comes back as it was.
 * @param kept that mount, where it outlived its daemon and is only to be served again
 * @throws TarnError not-found, ambiguous, invalid, read-only, busy, unsupported, denied, corrupt, io
 */
export function mountAs(
  context: Context,
  args: RecordedMount,
  signal: AbortSignal,
  kept?: KeptMount,
): Promise<MountRow> {
  const { ref } = args;
  const keeping = kept === undefined ? {} : { kept };
  if (ref === undefined) return mountRepository(context, args);
  if (isWritableMount(args)) return mountWritable(context, args, { signal, keeping });
  if (args.follow === true) return mountFollowing(context, args, ref, signal);
  return mountCommit(context, args, { ref, keeping, signal });
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

async function mountRepository(
  { repositories, mounts }: Context,
  args: RecordedMount,
): Promise<MountRow> {
  if (args.write !== undefined || args.follow === true || args.offline === true) {
    throw new TarnError('invalid', `'${args.repository}' is a whole repository, not a branch`, {
      hint: `name a branch, as in ${args.repository}/main`,
    });
  }
  const tally = new ReadTally(repositories.traffic(args.repository).reads);
  const moments = new RepositoryMoments(await repositories.open(args.repository), tally);
  const shown = { repository: moments.repository };
  return mounts.mount(new RepositoryFilesystem(moments), () => shown, args, {
    isFar: repositories.isFar(args.repository),
    tally,
  });
}

async function mountCommit(
  context: Context,
  args: RecordedMount,
  how: { readonly ref: string; readonly keeping: Keeping; readonly signal: AbortSignal },
): Promise<MountRow> {
  const { repositories, mounts } = context;
  const { ref, keeping, signal } = how;
  const offline = args.offline === true;
  const repository = await repositories.open(args.repository, { offline });
  const resolved = offline
    ? () => repository.resolve(ref, signal)
    : () => resolveRef(context, args.repository, ref, signal);
  const commitId =
    args.commit === undefined ? (await resolved()).commitId : parseCommitId(args.commit);
  const tally = new ReadTally(repositories.traffic(args.repository).reads);
  const view = await repository.commitView(ref, commitId, signal, tally);
  const shown = { repository: view.source.repository, ref, commit: commitId };
  return mounts.mount(new FrozenFilesystem(view), () => shown, args, {
    keeping,
    isFar: repositories.isFar(args.repository),
    tally,
  });
}

async function mountFollowing(
  context: Context,
  args: RecordedMount,
  ref: string,
  signal: AbortSignal,
): Promise<MountRow> {
  const { followed, mounts, repositories } = context;
  const { repository } = args;
  const { branch } = await resolveRef(context, repository, ref, signal);
  if (branch === undefined) throw neverMoves(repository, ref);
  const following = await followed.begin(repository, branch, signal);
  const shown = (): Shown => ({
    repository,
    ref: branch,
    commit: following.head,
    follow: true,
    ...(following.isGone ? { gone: true } : {}),
  });
  try {
    const onEnded = (): void => followed.end(following);
    const { tally } = following;
    const isFar = repositories.isFar(repository);
    return await mounts.mount(following.filesystem, shown, args, { onEnded, isFar, tally });
  } catch (error) {
    followed.end(following);
    throw error;
  }
}

function neverMoves(repository: string, ref: string): TarnError {
  return new TarnError(
    'invalid',
    `'${repository}/${ref}' is no branch, so there is nothing to follow`,
    {
      hint: `mount it without --follow: what it names never changes; or follow a branch, as in ${repository}/main`,
    },
  );
}
