import { isAbsolute } from 'node:path';
import { keyToText, parsePath } from '../../model/path.js';
import { parseWorkspaceName } from '../../model/workspace-name.js';
import { TarnError } from '../../util/errors.js';
import { fields, oneOf, text } from '../arguments.js';
import type { Context } from '../context.js';
import type { OperationHandler } from '../operation.js';
import type { ResolveArguments } from '../protocol/staging.js';
import { streamJob } from '../stream-job.js';
import { conflictRow } from './merging.js';

export const conflicts: OperationHandler<'conflicts'> = {
  read: fields({ repository: text, branch: text }),
  run: async ({ threads }, args, output, signal) => {
    const branch = parseWorkspaceName(args.branch);
    const input = { repository: args.repository, branch };
    const end = await streamJob(threads, 'conflicts', input, { output, signal, row: conflictRow });
    return { branch, ...end };
  },
};

export const resolve: OperationHandler<'resolve'> = {
  read: fields(
    {
      repository: text,
      branch: text,
      path: text,
      side: oneOf('ours', 'theirs', 'file'),
    },
    { file: text },
  ),
  run: async (context, args, _output, signal) => {
    const { threads, log } = context;
    const { repository, side } = args;
    const branch = parseWorkspaceName(args.branch);
    const path = parsePath(args.path);
    if (side === 'file') await putInPlace(context, args, signal);
    else await threads.run('decide', { repository, branch, path, side }, { signal });
    const { conflicts: left } = await threads.run('conflicts', { repository, branch }, { signal });
    log.info('resolved', { repository, branch, path: keyToText(path), side });
    return { branch, path: keyToText(path), side, left };
  },
};

/** What is put again is decided. @throws TarnError not-found when nothing conflicts there */
async function putInPlace(
  { threads }: Context,
  { repository, branch, path, file }: ResolveArguments,
  signal: AbortSignal,
): Promise<void> {
  if (file === undefined || !isAbsolute(file)) {
    throw new TarnError('invalid', "the side 'file' needs the absolute path of a file");
  }
  const prefix = parsePath(path);
  // Says so where nothing conflicts, and is overwritten at once.
  await threads.run('decide', { repository, branch, path: prefix, side: 'ours' }, { signal });
  const result = await threads.run(
    'put',
    { repository, branch, sources: [file], prefix, recursive: false },
    { signal },
  );
  const [failure] = result.failures;
  if (failure !== undefined) {
    throw new TarnError('io', `'${failure.path}' could not be put: ${failure.why}`);
  }
}
