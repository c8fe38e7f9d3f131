import { keyToText, parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { giveWay } from '../../util/give-way.js';
import { fields, flag, listOf, text } from '../arguments.js';
import { YIELD_EVERY } from '../listing.js';
import type { OperationHandler } from '../operation.js';

export const rm: OperationHandler<'rm'> = {
  read: fields({ repository: text, branch: text, paths: listOf(text), recursive: flag }),
  run: async ({ threads }, args, _output, signal) => {
    const { repository, recursive } = args;
    const branch = parseBranchName(args.branch);
    const paths = args.paths.map(parsePrefix);
    return threads.run('rm', { repository, branch, paths, recursive }, { signal });
  },
};

export const status: OperationHandler<'status'> = {
  read: fields({ repository: text, branch: text }),
  run: async ({ repositories }, { repository, branch }, output, signal) => {
    const workspace = await repositories.workspace(repository, parseBranchName(branch));
    const { source } = await workspace.view(signal);
    const counts = { added: 0, changed: 0, removed: 0 };
    let rows = 0;
    for await (const { path, change, entries, size } of workspace.changes(signal)) {
      counts[change] += entries;
      rows += 1;
      if (rows % YIELD_EVERY === 0) await giveWay();
      await output.row({ path: keyToText(path), change, size });
    }
    return { branch, base: source.commitId, ...counts };
  },
};
