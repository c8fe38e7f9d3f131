import type { SpecialKind } from '../../vfs/filesystem.js';
import type { RenameHow } from '../../vfs/writable.js';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from './wire.js';

/* What numbers of Linux system calls mean. */

const SET_UID_BIT = 0o4000;
const SET_GID_BIT = 0o2000;
const GROUP_EXECUTE = 0o0010;

const TYPE_MASK = 0o170000;
const KIND_OF_TYPE: ReadonlyMap<number, SpecialKind | 'file'> = new Map([
  [0, 'file'],
  [0o100000, 'file'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
  [0o020000, 'character'],
  [0o060000, 'block'],
]);

/** Of mknod(2). */
export function kindOf(mode: number): SpecialKind | 'file' | undefined {
  return KIND_OF_TYPE.get(mode & TYPE_MASK);
}

/** As chown(2) and write(2) leave the mode of a program. */
export function withoutPrivileges(mode: number): number {
  const gone = (mode & GROUP_EXECUTE) !== 0 ? SET_UID_BIT | SET_GID_BIT : SET_UID_BIT;
  return mode & ~gone;
}

export function renameHow(flags: number): RenameHow | undefined {
  switch (flags) {
    case 0:
      return 'replace';
    case RENAME_NOREPLACE:
      return 'no-replace';
    case RENAME_EXCHANGE:
      return 'exchange';
    default:
      return undefined;
  }
}
