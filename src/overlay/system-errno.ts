import type { Errno } from '../vfs/filesystem.js';

/** Errors of system calls on a staged file that are the caller's own doing, or the disk's limits. */
const PASSED_ON: readonly string[] = [
  'EFBIG',
  'EINVAL',
  'ENOSPC',
  'EDQUOT',
  'ENXIO',
  'ENOTSUP',
] satisfies Errno[];

/** The errno to answer with; every other error is thrown again. */
export function systemErrno(error: unknown): Errno {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === 'EOPNOTSUPP') return 'ENOTSUP';
  // A length beyond those that Node takes.
  if (code === 'ERR_OUT_OF_RANGE') return 'EFBIG';
  if (code !== undefined && PASSED_ON.includes(code)) return code as Errno;
  throw error;
}
