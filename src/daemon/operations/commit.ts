import type { CommitId } from '../../model/ids.js';
import { parseKey } from '../../model/path.js';
import { parseWorkspaceName } from '../../model/workspace-name.js';
import { fields, flag, listOf, text, textMap } from '../arguments.js';
import type { Context } from '../context.js';
import type { OperationHandler } from '../operation.js';
import type { CommitArguments, CommitResult } from '../protocol.js';
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
  run: (context, args, _output, signal) => commitStaged(context, args, signal),
};

/** @throws TarnError as Workspace.commit; nothing is lost then */
export async function commitStaged(
  { repositories, workspaces, threads, log }: Context,
  args: CommitArguments,
  signal: AbortSignal,
): Promise<CommitResult> {
  const { repository, message, metadata, author, wait } = args;
  const branch = parseWorkspaceName(args.branch);
  const keys = args.paths.map(parseKey);
  const request = { message, author, metadata, ...(keys.length === 0 ? {} : { paths: keys }) };
  const input = { repository, branch, ...request };
  const work = (): Promise<CommitId> => threads.run('commit', input, { signal });
  const done = await workspaces.committing(repository, branch, { wait, signal }, request, work);
  const { kept, id } = done;
  log.info('committed', { repository, branch, commit: id });
  const row = commitRow(id, await (await repositories.open(repository)).readCommit(id));
  return kept.length === 0 ? row : { ...row, left: leftRows(kept) };
}
