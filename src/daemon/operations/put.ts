import { isAbsolute } from 'node:path';
import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { TarnError } from '../../util/errors.js';
import { fields, flag, listOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';

export const put: OperationHandler<'put'> = {
  read: fields({
    repository: text,
    branch: text,
    path: text,
    sources: listOf(text),
    recursive: flag,
  }),
  run: async ({ threads }, args, output, signal) => {
    const { repository, sources, recursive } = args;
    const branch = parseBranchName(args.branch);
    const prefix = parsePrefix(args.path);
    const relative = sources.find((source) => !isAbsolute(source));
    if (relative !== undefined) {
      throw new TarnError('invalid', `the source '${relative}' is not an absolute path`);
    }
    return threads.run(
      'put',
      { repository, branch, sources, prefix, recursive },
      { onProgress: (progress) => output.progress(progress), signal },
    );
  },
};
