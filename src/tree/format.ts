/** The numbers of FORMAT.md that more than one file needs. */

/** `trnt`, little-endian. */
export const MAGIC = 0x746e7274;
export const VERSION = 2;

/** Bytes of the header that leaves and inner nodes share. */
export const HEADER_BYTES = 30;
/** A leaf's header also holds the base of its modification times. */
export const LEAF_HEADER_BYTES = HEADER_BYTES + 8;

/** Every so many items the key is written whole and packed offsets start anew. */
export const RESTART_INTERVAL = 16;

/** Deepest level a root may have: inner nodes have two children, and 2^53 entries are the most. */
export const LEVEL_MAX = 60;
/** No canonical node is longer: the weights bound it far below. */
export const NODE_BYTES_MAX = 1_048_576;

/** Bytes of a symlink's target. */
export const TARGET_BYTES_MAX = 4095;
/** Bytes of a content type, of an ETag, and of a version. */
export const LABEL_BYTES_MAX = 1024;
export const MODE_MAX = 0o7777;
export const NSEC_MAX = 999_999_999;
/** Seconds before or after 1970, so that differences stay exact. */
export const MTIME_SEC_MAX = 2 ** 50;
/** Bytes: where the last byte of a packed file may lie, so that differences stay exact. */
export const PACK_END_MAX = 2 ** 51;

export const FILE_MODE_DEFAULT = 0o644;
export const SYMLINK_MODE_DEFAULT = 0o777;

/** Low three bits of an entry's flags. */
export const FORM = {
  empty: 0,
  whole: 1,
  packed: 2,
  extents: 3,
  symlink: 4,
  pinned: 5,
  imported: 6,
} as const;
export const FORM_MASK = 0b111;
export const FLAG_MODE = 0b0000_1000;
export const FLAG_NSEC = 0b0001_0000;
export const FLAG_EXTRAS = 0b0010_0000;
export const FLAG_PIN = 0b0100_0000;
export const FLAGS_UNKNOWN = 0b1000_0000;

/** Kinds of pins that an entry states because they are not its own modification time. */
export const PIN = { mtime: 0, object: 1 } as const;

export const EXTRA = { contentType: 1, etag: 2, metadata: 4 } as const;
export const EXTRAS_UNKNOWN = 0b1111_1000;

export const SOURCE = { pack: 0, wholeSha256: 1, wholeMerkle: 2 } as const;
