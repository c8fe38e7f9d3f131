import { fields, flag, text } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { streamJob } from '../stream-job.js';

export const fsck: OperationHandler<'fsck'> = {
  read: fields({ repository: text, fast: flag }),
  run: async ({ threads, log }, args, output, signal) => {
    const counts = await streamJob(threads, 'fsck', args, { output, signal, row: (row) => row });
    log.info('repository checked', { ...args, ...counts });
    return counts;
  },
};
