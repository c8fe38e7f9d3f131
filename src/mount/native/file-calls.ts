import type { FileCalls } from '../../overlay/bytes/file-calls.js';
import type { Timestamp } from '../../vfs/writable.js';
import { errnoName } from '../errno.js';
import type { Addon } from './addon.js';

const ENXIO = 6;

/** The system calls that staged files want, by the addon: with holes, nanoseconds, and its threads' lock. */
export function nativeFileCalls(addon: Addon): FileCalls {
  return {
    fallocate(fd, mode, offset, length) {
      checked('fallocate', addon.fallocate(fd, mode, offset, length));
    },

    seek(fd, offset, to) {
      const at = addon.seekFile(fd, offset, to === 'data');
      return at === -ENXIO ? 'ENXIO' : checked('lseek', at);
    },

    copyRange(from, fromOffset, to, toOffset, length) {
      const copied = addon.copyFileRange(from, fromOffset, to, toOffset, length);
      return checked('copy_file_range', copied);
    },

    setTimes(fd, atime, mtime) {
      const error = addon.setTimes(fd, seconds(atime), nsec(atime), seconds(mtime), nsec(mtime));
      checked('futimens', error);
    },

    isWrittenElsewhere: addon.isWrittenElsewhere,

    alone<T>(mapFd: number, work: () => T): T {
      let result: { readonly value: T } | undefined;
      addon.alone(mapFd, () => {
        result = { value: work() };
      });
      // What `work` throws comes out of the call.
      return (result as unknown as { readonly value: T }).value;
    },
  };
}

function seconds(time: Timestamp | 'now' | undefined): number | null | undefined {
  return time === 'now' ? null : time?.sec;
}

function nsec(time: Timestamp | 'now' | undefined): number {
  return time === 'now' ? 0 : (time?.nsec ?? 0);
}

/** @throws an error as those of node:fs are, for a negative errno */
function checked(call: string, result: number): number {
  if (result >= 0) return result;
  const code = errnoName(-result);
  throw Object.assign(new Error(`${code}: ${call} failed`), { code, errno: result, syscall: call });
}
