import { isAbsolute } from 'node:path';
import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { TarnError } from '../../util/errors.js';
import { fields, flag, listOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';

export const importFolder: OperationHandler<'import'> = {
  read: fields({
    repository: text,
    branch: text,
    path: text,
    source: text,
    verify: flag,
    dryRun: flag,
    include: listOf(text),
    exclude: listOf(text),
  }),
  run: async ({ threads, log }, args, output, signal) => {
    const { repository, source, verify: isVerified, dryRun: isDryRun, include, exclude } = args;
    const branch = parseBranchName(args.branch);
    const prefix = parsePrefix(args.path);
    if (!isAbsolute(source)) {
      throw new TarnError('invalid', `the source '${source}' is not an absolute path`);
    }
    const result = await threads.run(
      'import',
      { repository, branch, source, prefix, isVerified, isDryRun, include, exclude },
      { onProgress: (progress) => output.progress(progress), signal },
    );
    const { url, files, bytes, failureCount } = result;
    if (!isDryRun) log.info('imported', { repository, branch, url, files, bytes, failureCount });
    return result;
  },
};
