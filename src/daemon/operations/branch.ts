import { fields, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import {
  createRef,
  deleteRef,
  listRefs,
  readCreateRef,
  readDeleteRef,
  readHistory,
  readListRefs,
  refHistory,
} from './refs.js';

export const branchList: OperationHandler<'branch.list'> = {
  read: readListRefs,
  run: (context, args, output, signal) => listRefs(context, 'branch', args, output, signal),
};

export const branchCreate: OperationHandler<'branch.create'> = {
  read: readCreateRef,
  run: (context, args, _output, signal) => createRef(context, 'branch', args, signal),
};

/** A put or a commit that runs would stage on, or clear, what bears the old name: none may. */
export const branchRename: OperationHandler<'branch.rename'> = {
  read: fields({ repository: text, name: text, to: text, by: text }),
  run: async ({ repositories, workspaces, followed, threads, log }, args, _output, signal) => {
    const { repository, name, to } = args;
    await workspaces.close(repository, name);
    await threads.exclusively(repository, async () => {
      await repositories.renameBranch(repository, args, signal);
      workspaces.rename(repository, name, to);
    });
    for (const branch of [name, to]) await followed.refresh(repository, branch);
    const { commitId } = await (await repositories.open(repository)).resolve(to, signal);
    log.info('branch renamed', { repository, name, to });
    return { name: to, commit: commitId };
  },
};

/** What is staged goes with the branch, so that a later one of its name begins with nothing. */
export const branchDelete: OperationHandler<'branch.delete'> = {
  read: readDeleteRef,
  run: async (context, args, _output, signal) => {
    const { repositories, workspaces, followed, threads } = context;
    const { repository, name: branch } = args;
    await workspaces.close(repository, branch);
    const { version: versionMax } = await repositories.workspace(repository, branch);
    const gone = await deleteRef(context, 'branch', args, signal);
    workspaces.remove(repository, branch);
    await followed.refresh(repository, branch);
    await threads.run('discard', { repository, branch, versionMax });
    return gone;
  },
};

export const branchHistory: OperationHandler<'branch.history'> = {
  read: readHistory,
  run: (context, args, output, signal) => refHistory(context, 'branch', args, output, signal),
};
