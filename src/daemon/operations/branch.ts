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

/** What is staged goes with the branch, so that a later one of its name begins with nothing. */
export const branchDelete: OperationHandler<'branch.delete'> = {
  read: readDeleteRef,
  run: async (context, args, _output, signal) => {
    const gone = await deleteRef(context, 'branch', args, signal);
    (await context.repositories.workspace(args.repository, args.name)).discard();
    return gone;
  },
};
