import { constants } from 'node:os';
import type { ErrorKind, TarnError } from '../util/errors.js';
import type { Errno } from '../vfs/filesystem.js';

/** The errno names of this machine's system calls. */
export type SystemErrno = keyof typeof constants.errno;

/** The positive number of an errno on this machine. */
export function errnoNumber(name: Errno | 'ERANGE' | 'ENOSYS'): number {
  return constants.errno[name];
}

const NAME_OF_NUMBER = new Map<number, SystemErrno>(
  (Object.entries(constants.errno) as [SystemErrno, number][])
    // Two names of one number: the one that POSIX and the manual pages put first.
    .filter(([name]) => name !== 'EWOULDBLOCK' && name !== 'EOPNOTSUPP')
    .map(([name, number]) => [number, name]),
);

/** `ENOENT` for 2; a number that has no name is shown as such. */
export function errnoName(number: number): string {
  return NAME_OF_NUMBER.get(number) ?? `errno ${number}`;
}

/** What a program that uses the mount sees of a fault. */
export function errnoOf(error: TarnError): Errno {
  return ERRNO_OF_KIND[error.kind];
}

const ERRNO_OF_KIND: Readonly<Record<ErrorKind, Errno>> = {
  'not-found': 'ENOENT',
  exists: 'EEXIST',
  invalid: 'EINVAL',
  ambiguous: 'EINVAL',
  conflict: 'EAGAIN',
  denied: 'EACCES',
  'read-only': 'EROFS',
  corrupt: 'EIO',
  'is-directory': 'EISDIR',
  'not-directory': 'ENOTDIR',
  'not-empty': 'ENOTEMPTY',
  'too-large': 'EINVAL',
  'no-space': 'ENOSPC',
  'nothing-to-commit': 'EINVAL',
  busy: 'EBUSY',
  unsupported: 'ENOTSUP',
  unavailable: 'EIO',
  aborted: 'EINTR',
  io: 'EIO',
  internal: 'EIO',
};
