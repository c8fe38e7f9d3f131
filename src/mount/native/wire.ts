/** The opcodes that reach JavaScript; source: linux/fuse.h, as in native/wire.h. */
export const OP = {
  /** Not the kernel's: no thread reads any more. */
  ended: 0,
  lookup: 1,
  getattr: 3,
  readlink: 5,
  open: 14,
  read: 15,
  statfs: 17,
  release: 18,
  getxattr: 22,
  listxattr: 23,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  interrupt: 36,
  readdirplus: 44,
} as const;

/** FOPEN_KEEP_CACHE: what the kernel has cached of it stays valid. */
export const KEEP_CACHE = 1 << 1;
/** FOPEN_CACHE_DIR: the kernel may cache a listing. */
export const CACHE_DIR = 1 << 3;
