import type { CommitId } from '../../model/ids.js';
import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { fields, flag, listOf, text, textMap } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { commitRow, leftRows } from '../rows.js';

export const commit: OperationHandler<'commit'> = {
  read: fields({
    repository: text,
    branch: text,
    message: text,
    metadata: textMap,
    paths: listOf(text),
    author: text,
    wait: flag,
  }),
  run: async ({ repositories, workspaces, threads, log }, args, _output, signal) => {
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
    const { wait } = args;
    const kept = await workspaces.stageForCommit(repository, branch, { wait, signal });
    const work = (): Promise<CommitId> => threads.run('commit', input, { signal });
    const id = await workspaces.following(repository, branch, work);
    log.info('committed', { repository, branch, commit: id });
    const row = commitRow(id, await (await repositories.open(repository)).readCommit(id));
    return kept.length === 0 ? row : { ...row, left: leftRows(kept) };
  },
};
