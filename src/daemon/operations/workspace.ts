import { parseRepositoryName } from '../../model/address.js';
import { fields, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';

export const workspaceList: OperationHandler<'workspace.list'> = {
  read: fields({ repository: text }),
  run: async ({ home, repositories, mounts }, args, output) => {
    const repository = parseRepositoryName(args.repository);
    repositories.known(repository);
    const rows = mounts.rows().filter((row) => row.repository === repository);
    for (const workspace of home.privateWorkspaces(repository)) {
      const shown = rows.filter(({ ref, write }) => write === true && ref === workspace);
      const directories = shown.map(({ directory }) => directory);
      await output.row({ repository, workspace, mounts: directories });
    }
    return {};
  },
};
