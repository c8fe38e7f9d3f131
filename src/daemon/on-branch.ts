import { parseWorkspaceName } from '../model/workspace-name.js';
import type { OperationHandler } from './operation.js';
import type { Arguments, OperationName } from './protocol.js';

type BranchOperation = {
  [K in OperationName]: Arguments<K> extends {
    readonly repository: string;
    readonly branch: string;
  }
    ? K
    : never;
}[OperationName];

/** An operation that changes a branch or what is staged on it: mounts of the branch take part. */
export function onBranch<K extends BranchOperation>(
  handler: OperationHandler<K>,
): OperationHandler<K> {
  return {
    read: handler.read,
    run: (context, args, output, signal) => {
      const { repository, branch } = args as { repository: string; branch: string };
      const work = (): ReturnType<typeof handler.run> => handler.run(context, args, output, signal);
      return context.workspaces.changing(repository, parseWorkspaceName(branch), signal, work);
    },
  };
}
