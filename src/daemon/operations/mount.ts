import { count, fields, flag, oneOf, text } from '../arguments.js';
import { mountAs } from '../mounting.js';
import type { OperationHandler } from '../operation.js';

export const mount: OperationHandler<'mount'> = {
  read: fields(
    {
      repository: text,
      directory: text,
      driver: oneOf('native', 'fuse-native'),
      allowOther: flag,
    },
    {
      write: (value) =>
        fields({ uid: count, gid: count, umask: count, author: text }, { isPrivate: flag })(value),
      ref: text,
      follow: flag,
      offline: flag,
    },
  ),
  run: (context, args, _output, signal) => mountAs(context, args, signal),
};

/** What programs changed through a mount is staged when it goes. */
export const umount: OperationHandler<'umount'> = {
  read: fields({ directory: text, force: flag }),
  run: async ({ mounts, workspaces, log }, { directory, force }, output, signal) => {
    const row = await mounts.unmount(directory, force);
    const { repository, ref: branch, write } = row;
    let isKept = false;
    if (write === true && branch !== undefined) {
      await workspaces
        .stage(repository, branch, { takesOpen: false, signal })
        .catch((error: unknown) => log.fault('not staged yet', error, { repository, branch }));
      isKept = await workspaces.dropClean(repository, branch);
    }
    await output.row(isKept ? { ...row, kept: `${repository}/${branch}` } : row);
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
