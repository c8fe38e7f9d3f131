import type { FileCalls } from '../overlay/bytes/file-calls.js';
import { ControlFilesystem } from '../overlay/control-filesystem.js';
import { isPrivate, parseWorkspaceName } from '../model/workspace-name.js';
import { findAddon } from '../mount/native/addon.js';
import { nativeFileCalls } from '../mount/native/file-calls.js';
import { TarnError } from '../util/errors.js';
import type { Context } from './context.js';
import { BranchControls } from './controls.js';
import type { Keeping, Shown } from './mount-table.js';
import type { MountArguments, MountRow } from './protocol.js';
import { resolveRef } from './resolve.js';

/** A mount through which programs change a branch. */
export interface WritableMount extends MountArguments {
  readonly ref: string;
  readonly write: NonNullable<MountArguments['write']>;
}

export function isWritableMount(args: MountArguments): args is WritableMount {
  return args.write !== undefined && args.ref !== undefined;
}

const NEVER = new AbortController().signal;

/** What the addon can do beyond Node; undefined where it is not built. */
export function fileCalls(): FileCalls | undefined {
  const addon = findAddon();
  return addon === undefined ? undefined : nativeFileCalls(addon);
}

/**
 * Mounts a branch with what is staged on it, for programs to change.
 * @throws TarnError read-only for what is no branch; not-found, busy, unsupported, denied, io
 */
export async function mountWritable(
  context: Context,
  args: WritableMount,
  how: { readonly signal?: AbortSignal; readonly keeping?: Keeping } = {},
): Promise<MountRow> {
  const { workspaces, mounts, repositories } = context;
  const { repository } = args;
  const isFar = repositories.isFar(repository);
  const { signal, keeping = {} } = how;
  const workspace = await workspaceOf(context, args, signal ?? NEVER);
  const goesOn = keeping.kept !== undefined;
  const live = await workspaces.hold(repository, workspace, { goesOn, signal });
  let filesystem: ControlFilesystem | undefined;
  try {
    const controls = new BranchControls(context, live, repository, args.write.author);
    const made = new ControlFilesystem(live.overlay, args.write, controls);
    filesystem = made;
    const shown = (): Shown => ({ repository, ref: workspace, commit: live.head });
    const onEnded = (): void => {
      made.close();
      workspaces.release(repository, workspace);
    };
    // So that it comes back with the same workspace.
    const { uid, gid, umask, author } = args.write;
    const again = { ...args, ref: workspace, write: { uid, gid, umask, author } };
    const mounting = mounts.mount(made, shown, again, { onEnded, keeping, isFar });
    // Until all that the kernel holds is found, it could not be told what another base changes.
    if (goesOn) live.waitFor(mounting.then(() => made.recall(NEVER)));
    return await mounting;
  } catch (error) {
    filesystem?.close();
    workspaces.release(repository, workspace);
    await workspaces.dropClean(repository, workspace);
    throw error;
  }
}

async function workspaceOf(
  context: Context,
  args: WritableMount,
  signal: AbortSignal,
): Promise<string> {
  if (isPrivate(args.ref)) {
    await context.workspaces.live(args.repository, parseWorkspaceName(args.ref));
    return args.ref;
  }
  const branch = await branchOf(context, args, signal);
  if (args.write.isPrivate !== true) return branch;
  return context.home.makePrivateWorkspace(args.repository, branch);
}

async function branchOf(
  context: Context,
  { repository, ref }: WritableMount,
  signal: AbortSignal,
): Promise<string> {
  const { branch, commitId } = await resolveRef(context, repository, ref, signal);
  if (branch !== undefined) return branch;
  const name = `${ref.replace(/[^A-Za-z0-9_]+/g, '-').replace(/^-|-$/g, '')}-edit`;
  throw new TarnError(
    'read-only',
    `'${repository}/${ref}' is no branch but commit ${commitId.slice(0, 12)}, which never changes`,
    {
      hint: `make a branch of it: tarn branch create ${repository}/${name} --from '${ref}', and mount that`,
    },
  );
}
