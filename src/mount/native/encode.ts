import { endianness } from 'node:os';
import type { Key } from '../../model/path.js';
import type {
  Attributes,
  DirectorySink,
  FilesystemTotals,
  Inode,
  NodeKind,
} from '../../vfs/filesystem.js';
import type { NodeSink } from '../../vfs/living.js';

/*
 * Replies as the kernel reads them. Layouts: native/wire.h, whose assertions hold the sizes and
 * offsets that stand here as indexes of 32-bit words. A 64-bit field is its low word, then its high
 * word, so this runs on little-endian machines; node has no other Linux builds but s390x.
 */
if (endianness() !== 'LE') throw new Error('the native driver runs on little-endian machines only');

/** Bytes of struct fuse_entry_out. */
const ENTRY_BYTES = 128;
/** Bytes of struct fuse_attr_out. */
const ATTR_OUT_BYTES = 104;
/** Bytes of struct fuse_dirent before its name. */
const DIRENT_BYTES = 24;
/** Bytes of struct fuse_kstatfs. */
const STATFS_BYTES = 80;

const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
const NAME_BYTES_MAX = 255;
const WORD_RANGE = 0x1_0000_0000;

/** Lifetimes of what never changes, or is told of when it does, in seconds: 68 years, and no overflow in any kernel. */
const FOREVER_SEC = 0x7fff_ffff;

const TYPE_BITS: Readonly<Record<NodeKind, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  character: 0o020000,
  block: 0o060000,
};

/** Whose files the mount shows and for how long the kernel may remember them. */
export interface Presentation {
  readonly uid: number;
  readonly gid: number;
  /** Seconds. */
  readonly lifetimeSec: number;
}

/** @param kept what the kernel keeps is right until it is told otherwise */
export function presentation(uid: number, gid: number, kept: boolean): Presentation {
  return { uid, gid, lifetimeSec: kept ? FOREVER_SEC : 0 };
}

/** Writes replies other than listings at the start of one buffer; each returns its length in bytes. */
export class ReplyEncoder {
  readonly #show: Presentation;
  readonly #words: Uint32Array;
  readonly #bytes: Buffer;

  /** `bytes` must start at a multiple of 4 of its ArrayBuffer. */
  constructor(bytes: Uint8Array, show: Presentation) {
    this.#show = show;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  entry(of: Attributes): number {
    this.#words.fill(0, 0, ENTRY_BYTES / 4);
    putEntry(
      this.#words,
      0,
      this.#show,
      of.inode,
      of.kind,
      of.mode,
      of.size,
      of.mtimeSec,
      of.mtimeNsec,
      of.nlink,
    );
    if (of.own !== undefined) putOwnEntry(this.#words, 0, of);
    return ENTRY_BYTES;
  }

  /** An entry whose name the kernel is to look up each time. */
  passingEntry(of: Attributes): number {
    const length = this.entry(of);
    put64(this.#words, 4, 0);
    return length;
  }

  /** An entry that is absent, which the kernel may remember as long as one that is there. */
  absent(): number {
    this.#words.fill(0, 0, ENTRY_BYTES / 4);
    put64(this.#words, 4, this.#show.lifetimeSec);
    return ENTRY_BYTES;
  }

  attributes(of: Attributes): number {
    this.#words.fill(0, 0, ATTR_OUT_BYTES / 4);
    put64(this.#words, 0, this.#show.lifetimeSec);
    putAttr(
      this.#words,
      4,
      this.#show,
      of.inode,
      of.kind,
      of.mode,
      of.size,
      of.mtimeSec,
      of.mtimeNsec,
      of.nlink,
    );
    if (of.own !== undefined) {
      putOwn(this.#words, 4, of);
      if (of.own.isVolatile) put64(this.#words, 0, 0);
    }
    return ATTR_OUT_BYTES;
  }

  opened(handle: number, flags: number): number {
    put64(this.#words, 0, handle);
    this.#words[2] = flags;
    this.#words[3] = 0;
    return 16;
  }

  statfs(totals: FilesystemTotals): number {
    this.#words.fill(0, 0, STATFS_BYTES / 4);
    put64(this.#words, 0, Math.ceil(totals.bytes / BLOCK_BYTES));
    put64(this.#words, 2, Math.floor((totals.freeBytes ?? 0) / BLOCK_BYTES));
    put64(this.#words, 4, Math.floor((totals.availableBytes ?? 0) / BLOCK_BYTES));
    put64(this.#words, 6, totals.files);
    put64(this.#words, 8, totals.freeFiles ?? 0);
    this.#words[10] = BLOCK_BYTES;
    this.#words[11] = NAME_BYTES_MAX;
    this.#words[12] = BLOCK_BYTES;
    return STATFS_BYTES;
  }

  /** Bytes written, or copied: struct fuse_write_out. */
  count(bytes: number): number {
    this.#words[0] = bytes;
    this.#words[1] = 0;
    return 8;
  }

  /** An offset, or a count of bytes, of 64 bits. */
  number(value: number): number {
    put64(this.#words, 0, value);
    return 8;
  }

  /** What a program gets that asks for the size of extended attributes. */
  xattrSize(bytes: number): number {
    this.#words[0] = bytes;
    this.#words[1] = 0;
    return 8;
  }

  /** Bytes as they are, one to a char. */
  text(key: string): number {
    return this.#bytes.write(key, 0, 'latin1');
  }
}

/** A listing in the form of READDIR or READDIRPLUS, in a buffer that is used again and again. */
export class ListingEncoder implements DirectorySink, NodeSink {
  readonly #show: Presentation;
  #bytes = Buffer.alloc(0);
  #words = new Uint32Array(0);
  #limit = 0;
  #length = 0;
  #plus = false;
  #next = 0;
  #isFull = false;
  #held: Inode[] = [];

  constructor(show: Presentation) {
    this.#show = show;
  }

  /** Starts a listing of at most `limit` bytes; `plus` with attributes. */
  reset(limit: number, plus: boolean): void {
    if (this.#bytes.length < limit) {
      const memory = new ArrayBuffer((limit + 7) & ~7);
      this.#bytes = Buffer.from(memory);
      this.#words = new Uint32Array(memory);
    }
    this.#limit = limit;
    this.#length = 0;
    this.#plus = plus;
    this.#next = 0;
    this.#isFull = false;
    this.#held = [];
  }

  /** Nodes that were taken with their attributes: the kernel holds each once if it gets the reply. */
  get held(): readonly Inode[] {
    return this.#held;
  }

  /** An entry did not fit: the listing goes on at `next`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The position behind the last entry taken. */
  get next(): number {
    return this.#next;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  add(
    name: Key,
    next: number,
    inode: Inode,
    kind: NodeKind,
    mode: number,
    size: number,
    mtimeSec: number,
    mtimeNsec: number,
    nlink: number,
  ): boolean {
    const start = this.#length;
    if (!this.#addName(name, next, inode, kind)) return false;
    if (!this.#plus) return true;
    if (isDots(name)) this.#putNoEntry(start);
    else {
      const at = start >> 2;
      const [words, show] = [this.#words, this.#show];
      putEntry(words, at, show, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink);
    }
    return true;
  }

  addName(name: Key, next: number, inode: Inode, kind: NodeKind): boolean {
    const start = this.#length;
    if (!this.#addName(name, next, inode, kind)) return false;
    if (this.#plus) this.#putNoEntry(start);
    return true;
  }

  addNode(name: Key, next: number, of: Attributes): 'full' | 'listed' | 'held' {
    const start = this.#length;
    const { inode, kind, mode, size, mtimeSec, mtimeNsec, nlink } = of;
    if (!this.add(name, next, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink)) return 'full';
    if (!this.#plus || isDots(name)) return 'listed';
    if (of.own !== undefined) putOwnEntry(this.#words, start >> 2, of);
    this.#held.push(inode);
    return 'held';
  }

  /** The kernel links no inode for an entry without a node id, as it must be for `.` and `..`. */
  #putNoEntry(start: number): void {
    const at = start >> 2;
    this.#words.fill(0, at, at + ENTRY_BYTES / 4);
  }

  /** The entry's struct fuse_dirent, behind room for its attributes if they are wanted. */
  #addName(name: Key, next: number, inode: Inode, kind: NodeKind): boolean {
    const dirent = this.#plus ? this.#length + ENTRY_BYTES : this.#length;
    const nameAt = dirent + DIRENT_BYTES;
    const end = (nameAt + name.length + 7) & ~7;
    if (end > this.#limit) {
      this.#isFull = true;
      return false;
    }
    const words = this.#words;
    const at = dirent >> 2;
    put64(words, at, inode);
    put64(words, at + 2, next);
    words[at + 4] = name.length;
    words[at + 5] = TYPE_BITS[kind] >> 12;
    // The padding after the name lies in the last two words.
    words[(end >> 2) - 1] = 0;
    words[(end >> 2) - 2] = 0;
    this.#putName(nameAt, name);
    this.#length = end;
    this.#next = next;
    return true;
  }

  #putName(at: number, name: Key): void {
    // For a short name the call costs more than the loop.
    if (name.length > 24) {
      this.#bytes.write(name, at, 'latin1');
      return;
    }
    const bytes = this.#bytes;
    for (let i = 0; i < name.length; i++) bytes[at + i] = name.charCodeAt(i);
  }
}

function isDots(name: Key): boolean {
  return name === '.' || name === '..';
}

/** `at`, here and below: index of the first word. */
function put64(words: Uint32Array, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = value < WORD_RANGE && value >= 0 ? 0 : Math.floor(value / WORD_RANGE);
}

/** struct fuse_entry_out; every word of it is written. */
function putEntry(
  words: Uint32Array,
  at: number,
  show: Presentation,
  inode: Inode,
  kind: NodeKind,
  mode: number,
  size: number,
  mtimeSec: number,
  mtimeNsec: number,
  nlink: number,
): void {
  put64(words, at, inode);
  words[at + 2] = 0;
  words[at + 3] = 0;
  put64(words, at + 4, show.lifetimeSec);
  put64(words, at + 6, show.lifetimeSec);
  words[at + 8] = 0;
  words[at + 9] = 0;
  putAttr(words, at + 10, show, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink);
}

/** struct fuse_attr; every word of it is written. */
function putAttr(
  words: Uint32Array,
  at: number,
  show: Presentation,
  inode: Inode,
  kind: NodeKind,
  mode: number,
  size: number,
  mtimeSec: number,
  mtimeNsec: number,
  nlink: number,
): void {
  put64(words, at, inode);
  put64(words, at + 2, size);
  put64(words, at + 4, Math.ceil(size / SECTOR_BYTES));
  put64(words, at + 6, mtimeSec);
  put64(words, at + 8, mtimeSec);
  put64(words, at + 10, mtimeSec);
  words[at + 12] = mtimeNsec;
  words[at + 13] = mtimeNsec;
  words[at + 14] = mtimeNsec;
  words[at + 15] = TYPE_BITS[kind] | mode;
  words[at + 16] = nlink;
  words[at + 17] = show.uid;
  words[at + 18] = show.gid;
  words[at + 19] = 0;
  words[at + 20] = BLOCK_BYTES;
  words[at + 21] = 0;
}

/** What a node has of its own, over what putEntry wrote. */
function putOwnEntry(words: Uint32Array, at: number, of: Attributes): void {
  putOwn(words, at + 10, of);
  if (of.own?.isVolatile !== true) return;
  put64(words, at + 6, 0);
  // Opening is a part of CREATE, and asks for what the answer said: a nanosecond is a tick of the kernel's clock.
  words[at + 9] = of.own.isNew === true ? 1 : 0;
}

/** The same over what putAttr wrote. */
function putOwn(words: Uint32Array, at: number, { own }: Attributes): void {
  if (own === undefined) return;
  put64(words, at + 4, own.sectors);
  put64(words, at + 6, own.atimeSec);
  put64(words, at + 10, own.ctimeSec);
  words[at + 12] = own.atimeNsec;
  words[at + 14] = own.ctimeNsec;
  words[at + 17] = own.uid;
  words[at + 18] = own.gid;
  words[at + 19] = own.device;
}

/** The names of extended attributes as listxattr(2) gives them, each ended by NUL. */
export function joinedNames(names: readonly Key[]): Uint8Array {
  return Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
}
