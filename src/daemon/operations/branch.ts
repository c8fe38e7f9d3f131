import { fields, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { createRef, deleteRef, listRefs, readCreateRef, readDeleteRef } from './refs.js';

export const branchList: OperationHandler<'branch.list'> = {
  read: fields({ repository: text }),
  run: (context, { repository }, output, signal) =>
    listRefs(context, 'branch', repository, output, signal),
};

export const branchCreate: OperationHandler<'branch.create'> = {
  read: readCreateRef,
  run: (context, args, _output, signal) => createRef(context, 'branch', args, signal),
};

/** A put or a commit that runs would stage on, or clear, what bears the old name: none may. */
export const branchRename: OperationHandler<'branch.rename'> = {
  read: fields({ repository: text, name: text, to: text, by: text }),
  run: async ({ repositories, jobs, log }, args, _output, signal) => {
    const { repository, name, to } = args;
    jobs.checkNone(repository);
    await repositories.renameBranch(repository, args, signal);
    const { commitId } = await (await repositories.open(repository)).resolve(to, signal);
    log.info('branch renamed', { repository, name, to });
    return { name: to, commit: commitId };
  },
};

/** What is staged goes with the branch, so that a later one of its name begins with nothing. */
export const branchDelete: OperationHandler<'branch.delete'> = {
  read: readDeleteRef,
  run: async (context, args, _output, signal) => {
    const gone = await deleteRef(context, 'branch', args, signal);
    (await context.repositories.workspace(args.repository, args.name)).discard();
    return gone;
  },
};
