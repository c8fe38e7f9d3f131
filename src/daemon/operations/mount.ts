import { fields, flag, oneOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { resolveRef } from '../resolve.js';

export const mount: OperationHandler<'mount'> = {
  read: fields({
    repository: text,
    ref: text,
    directory: text,
    driver: oneOf('native', 'fuse-native'),
    allowOther: flag,
  }),
  run: async (context, args, _output, signal) => {
    const { repositories, mounts } = context;
    const repository = await repositories.open(args.repository);
    const { commitId } = await resolveRef(context, args.repository, args.ref, signal);
    return mounts.mount(await repository.commitView(args.ref, commitId, signal), args);
  },
};

export const umount: OperationHandler<'umount'> = {
  read: fields({ directory: text, force: flag }),
  run: async ({ mounts }, { directory, force }, output) => {
    await output.row(await mounts.unmount(directory, force));
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
