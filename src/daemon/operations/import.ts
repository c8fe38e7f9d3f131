import { isAbsolute } from 'node:path';
import { parsePrefix } from '../../model/path.js';
import { parseBranchName } from '../../model/refs.js';
import { parseStorageUrl } from '../../store/storage-url.js';
import { TarnError } from '../../util/errors.js';
import type { JobProgress } from '../../workspace/jobs/job.js';
import { count, fields, flag, integer, listOf, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';

/** Of a folder, of a file, or of objects in a bucket. */
export const importFiles: OperationHandler<'import'> = {
  read: fields(
    {
      repository: text,
      branch: text,
      path: text,
      source: text,
      verify: flag,
      dryRun: flag,
      include: listOf(text),
      exclude: listOf(text),
      anew: flag,
    },
    { bytesMin: count, bytesMax: count, sinceMs: integer, untilMs: integer },
  ),
  run: async ({ threads, log }, args, output, signal) => {
    const { path, verify: isVerified, dryRun: isDryRun, anew: isAnew, ...others } = args;
    const { repository, source } = others;
    const branch = parseBranchName(args.branch);
    const input = { ...others, branch, prefix: parsePrefix(path), isVerified, isDryRun };
    const listeners = { onProgress: (progress: JobProgress) => output.progress(progress), signal };
    const result =
      sourceKind(source) === 'local'
        ? await threads.run('import', input, listeners)
        : await threads.run('import-objects', { ...input, isAnew }, listeners);
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
