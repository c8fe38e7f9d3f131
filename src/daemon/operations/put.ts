import { isAbsolute } from 'node:path';
import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { TarnError } from '../../util/errors.js';
import { runPut } from '../../workspace/jobs/put.js';
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
  run: async ({ paths, repositories, jobs }, args, output, signal) => {
    const { repository, sources, recursive } = args;
    const branch = parseBranchName(args.branch);
    const prefix = parsePrefix(args.path);
    const relative = sources.find((source) => !isAbsolute(source));
    if (relative !== undefined) {
      throw new TarnError('invalid', `the source '${relative}' is not an absolute path`);
    }
    const { storage } = repositories.known(repository);
    const target = { home: paths.home, repository, storage, branch };
    return jobs.run('put', repository, (job) => {
      const onProgress = (progress: Parameters<typeof job.update>[0]): void => {
        job.update(progress);
        output.progress(progress);
      };
      return runPut({ ...target, sources, prefix, recursive }, { onProgress, signal });
    });
  },
};
