import type { OpenAccess } from '../../vfs/writable.js';

/** The opcodes that reach JavaScript; source: linux/fuse.h, as in native/wire.h. */
export const OP = {
  /** Not the kernel's: no thread reads any more. */
  ended: 0,
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  create: 35,
  interrupt: 36,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
  copyFileRange64: 53,
  /** Not the kernel's: a WRITE waits for a page as it is, see NativeSession.fill. */
  need: 0x10000,
} as const;

/** What SETATTR sets: FATTR_*. */
export const SET = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  byHandle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  /** Set-user-ID and set-group-ID go, as the caller may not keep them. */
  killPrivileges: 1 << 11,
} as const;

/** Flags of open(2) as Linux has them. */
const O_ACCMODE = 3;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
export const O_EXCL = 0o200;

/** Of the kernel's own flags (include/linux/fs.h): opened by execve(2). */
const FMODE_EXEC = 0x20;

/**
 * What flags of open(2) ask for.
 * @param thread that opens it; 0 where the kernel does not tell
 */
export function accessOf(flags: number, thread = 0): OpenAccess {
  const mode = flags & O_ACCMODE;
  return {
    reads: mode !== O_WRONLY,
    writes: mode === O_WRONLY || mode === O_RDWR,
    truncates: (flags & O_TRUNC) !== 0,
    appends: (flags & O_APPEND) !== 0,
    ...((flags & FMODE_EXEC) !== 0 && { executes: true }),
    ...(thread !== 0 && { thread }),
  };
}

/** FUSE_FSYNC_FDATASYNC. */
export const FSYNC_DATA = 1 << 0;

/** FUSE_OPEN_KILL_SUIDGID, as SET.killPrivileges. */
export const OPEN_KILLS_PRIVILEGES = 1 << 0;

/** Flags of renameat2(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** FOPEN_KEEP_CACHE: what the kernel has cached of it stays valid. */
export const KEEP_CACHE = 1 << 1;
/** FOPEN_CACHE_DIR: the kernel may cache a listing. */
export const CACHE_DIR = 1 << 3;
