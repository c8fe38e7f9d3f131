import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { fields, listOf, text, textMap } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { commitRow } from '../rows.js';

export const commit: OperationHandler<'commit'> = {
  read: fields({
    repository: text,
    branch: text,
    message: text,
    metadata: textMap,
    paths: listOf(text),
    author: text,
  }),
  run: async ({ repositories, threads, log }, args, _output, signal) => {
    const { repository, message, metadata, author } = args;
    const branch = parseBranchName(args.branch);
    const keys = args.paths.map(parsePrefix);
    const input = {
      repository,
      branch,
      message,
      author,
      metadata,
      ...(keys.length === 0 ? {} : { paths: keys }),
    };
    const id = await threads.run('commit', input, { signal });
    log.info('committed', { repository, branch, commit: id });
    return commitRow(id, await (await repositories.open(repository)).readCommit(id));
  },
};
