import { isAbsolute } from 'node:path';
import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { parseStorageUrl } from '../../store/storage-url.js';
import { TarnError } from '../../util/errors.js';
import type { JobProgress } from '../../workspace/jobs/job.js';
import { fields, flag, listOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';

/** Of a folder, of a file, or of objects in a bucket. */
export const importFiles: OperationHandler<'import'> = {
  read: fields({
    repository: text,
    branch: text,
    path: text,
    source: text,
    verify: flag,
    dryRun: flag,
    include: listOf(text),
    exclude: listOf(text),
    anew: flag,
  }),
  run: async ({ threads, log }, args, output, signal) => {
    const { repository, source, verify: isVerified, dryRun: isDryRun, include, exclude } = args;
    const branch = parseBranchName(args.branch);
    const prefix = parsePrefix(args.path);
    const input = { repository, branch, source, prefix, isVerified, isDryRun, include, exclude };
    const listeners = { onProgress: (progress: JobProgress) => output.progress(progress), signal };
    const result =
      sourceKind(source) === 'local'
        ? await threads.run('import', input, listeners)
        : await threads.run('import-objects', { ...input, isAnew: args.anew }, listeners);
    const { url, files, bytes, failureCount } = result;
    if (!isDryRun) log.info('imported', { repository, branch, url, files, bytes, failureCount });
    return result;
  },
};

/** @throws TarnError invalid */
function sourceKind(source: string): 'local' | 'bucket' {
  if (isAbsolute(source)) return 'local';
  if (parseStorageUrl(source).kind !== 'local') return 'bucket';
  throw new TarnError('invalid', `the source '${source}' is not an absolute path`);
}
