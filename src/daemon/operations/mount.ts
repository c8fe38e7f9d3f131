import { FrozenFilesystem } from '../../vfs/frozen-filesystem.js';
import { count, fields, flag, oneOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { resolveRef } from '../resolve.js';
import { isWritableMount, mountWritable } from '../writable-mounts.js';

export const mount: OperationHandler<'mount'> = {
  read: fields(
    {
      repository: text,
      ref: text,
      directory: text,
      driver: oneOf('native', 'fuse-native'),
      allowOther: flag,
    },
    { write: (value) => fields({ uid: count, gid: count, umask: count })(value) },
  ),
  run: async (context, args, _output, signal) => {
    if (isWritableMount(args)) return mountWritable(context, args, signal);
    const { repositories, mounts } = context;
    const repository = await repositories.open(args.repository);
    const { commitId } = await resolveRef(context, args.repository, args.ref, signal);
    const view = await repository.commitView(args.ref, commitId, signal);
    const shown = { repository: view.source.repository, ref: args.ref, commit: commitId };
    return mounts.mount(new FrozenFilesystem(view), shown, args);
  },
};

/** What programs changed through a mount is staged when it goes. */
export const umount: OperationHandler<'umount'> = {
  read: fields({ directory: text, force: flag }),
  run: async ({ mounts, workspaces, log }, { directory, force }, output, signal) => {
    const row = await mounts.unmount(directory, force);
    const { repository, ref: branch, write } = row;
    if (write === true) {
      await workspaces
        .stage(repository, branch, { takesOpen: false, signal })
        .catch((error: unknown) => log.fault('not staged yet', error, { repository, branch }));
    }
    await output.row(row);
    return { unmounted: 1 };
  },
};

export const mounts: OperationHandler<'mounts'> = {
  read: fields({}),
  run: async (context, _args, output) => {
    for (const row of context.mounts.rows()) await output.row(row);
    return {};
  },
};
