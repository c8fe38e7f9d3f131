import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ListingEncoder, presentation, ReplyEncoder } from '../../src/mount/native/encode.js';
import type { Key } from '../../src/model/path.js';
import type { NodeKind } from '../../src/vfs/filesystem.js';

interface Row {
  readonly name: string;
  readonly next: number;
  readonly inode: number;
  readonly kind: NodeKind;
  readonly mode: number;
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly nlink: number;
}

const TYPE: Readonly<Record<NodeKind, number>> = {
  file: 8,
  directory: 4,
  symlink: 10,
  fifo: 1,
  socket: 12,
  character: 2,
  block: 6,
};
const FOREVER_SEC = 0x7fffffffn;
const frozen = presentation(1000, 1001, true);

const rows = fc.array(
  fc.record<Row>({
    name: fc
      .string({ unit: 'binary', minLength: 1, maxLength: 255 })
      .map((text) => Buffer.from(text).toString('latin1').slice(0, 255)),
    next: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
    inode: fc.integer({ min: 1, max: 2 ** 52 - 1 }),
    kind: fc.constantFrom('file', 'directory', 'symlink'),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    size: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    mtimeSec: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
    nlink: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  }),
  { maxLength: 20 },
);

function addAll(listing: ListingEncoder, all: readonly Row[]): number {
  let taken = 0;
  for (const { name, next, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink } of all) {
    const key = name as Key;
    if (!listing.add(key, next, inode, kind, mode, size, mtimeSec, mtimeNsec, nlink)) break;
    taken++;
  }
  return taken;
}

/** Reads one struct fuse_attr as linux/fuse.h lays it out. */
function checkAttr(at: DataView, row: Row): void {
  const u64 = (offset: number): bigint => at.getBigUint64(offset, true);
  const u32 = (offset: number): number => at.getUint32(offset, true);
  expect([u64(0), u64(8), u64(16)]).toEqual([
    BigInt(row.inode),
    BigInt(row.size),
    (BigInt(row.size) + 511n) / 512n,
  ]);
  for (const offset of [24, 32, 40]) {
    expect(at.getBigInt64(offset, true)).toBe(BigInt(row.mtimeSec));
  }
  for (const offset of [48, 52, 56]) expect(u32(offset)).toBe(row.mtimeNsec);
  expect(u32(60)).toBe(TYPE[row.kind] * 4096 + row.mode);
  expect([u32(64), u32(68), u32(72), u32(76)]).toEqual([row.nlink, 1000, 1001, 0]);
  expect([u32(80), u32(84)]).toEqual([4096, 0]);
}

function viewOf(bytes: Uint8Array, offset: number, length: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + offset, length);
}

/** Reads a listing back as the kernel does; returns how many entries it holds. */
function checkListing(listing: ListingEncoder, plus: boolean, all: readonly Row[]): number {
  let at = 0;
  let count = 0;
  while (at < listing.length) {
    const row = all[count] as Row;
    if (plus) checkEntry(listing.bytes, at, row);
    const dirent = at + (plus ? 128 : 0);
    const head = viewOf(listing.bytes, dirent, 24);
    expect(head.getBigUint64(0, true)).toBe(BigInt(row.inode));
    expect(head.getBigUint64(8, true)).toBe(BigInt(row.next));
    expect(head.getUint32(16, true)).toBe(row.name.length);
    expect(head.getUint32(20, true)).toBe(TYPE[row.kind]);
    const end = dirent + 24 + row.name.length;
    const name = Buffer.from(listing.bytes.subarray(dirent + 24, end)).toString('latin1');
    expect(name).toBe(row.name);
    const next = Math.ceil(end / 8) * 8;
    expect(listing.bytes.subarray(end, next).every((byte) => byte === 0)).toBe(true);
    at = next;
    count++;
  }
  expect(at).toBe(listing.length);
  return count;
}

function checkEntry(bytes: Uint8Array, at: number, row: Row): void {
  const entry = viewOf(bytes, at, 128);
  if (row.name === '.' || row.name === '..') {
    expect(entry.getBigUint64(0, true)).toBe(0n);
    return;
  }
  expect(entry.getBigUint64(0, true)).toBe(BigInt(row.inode));
  expect(entry.getBigUint64(16, true)).toBe(FOREVER_SEC);
  expect(entry.getBigUint64(24, true)).toBe(FOREVER_SEC);
  checkAttr(viewOf(bytes, at + 40, 88), row);
}

describe('a listing', () => {
  it('reads back as it was given, in a buffer used again and again', () => {
    const listing = new ListingEncoder(frozen);
    fc.assert(
      fc.property(rows, fc.boolean(), fc.integer({ min: 0, max: 6000 }), (all, plus, limit) => {
        listing.reset(limit, plus);
        const taken = addAll(listing, all);
        expect(listing.length).toBeLessThanOrEqual(limit);
        expect(checkListing(listing, plus, all)).toBe(taken);
      }),
      { seed: 7, numRuns: 400 },
    );
  });

  it('takes as much as fits and no more', () => {
    const listing = new ListingEncoder(frozen);
    const add = (): boolean => listing.add('12345678' as Key, 1, 5, 'file', 0o644, 1, 0, 0, 1);
    listing.reset(2 * (152 + 8), true);
    expect([add(), add(), add()]).toEqual([true, true, false]);
    listing.reset(24 + 8 - 1, false);
    expect(add()).toBe(false);
  });

  it('gives the kernel no inode to link for the two dots', () => {
    const listing = new ListingEncoder(frozen);
    listing.reset(4096, true);
    listing.add('.' as Key, 1, 9, 'directory', 0o755, 0, 0, 0, 2);
    listing.add('..' as Key, 2, 1, 'directory', 0o755, 0, 0, 0, 2);
    listing.add('.a' as Key, 3, 10, 'file', 0o644, 0, 0, 0, 1);
    const node = (index: number): bigint =>
      viewOf(listing.bytes, index * 160, 8).getBigUint64(0, true);
    expect([node(0), node(1), node(2)]).toEqual([0n, 0n, 10n]);
  });
});

describe('a reply', () => {
  const bytes = new Uint8Array(new ArrayBuffer(8192)).fill(255);
  const replies = new ReplyEncoder(bytes, frozen);
  const row: Row = {
    name: 'x',
    next: 1,
    inode: 2 ** 52 - 1,
    kind: 'file',
    mode: 0o640,
    size: 2 ** 40 + 1,
    mtimeSec: -1,
    mtimeNsec: 5,
    nlink: 1,
  };

  it('holds attributes as struct fuse_attr_out', () => {
    expect(replies.attributes(row)).toBe(104);
    expect(viewOf(bytes, 0, 8).getBigUint64(0, true)).toBe(FOREVER_SEC);
    checkAttr(viewOf(bytes, 16, 88), row);
  });

  it('holds an entry as struct fuse_entry_out, and an absent one without a node', () => {
    expect(replies.entry(row)).toBe(128);
    checkEntry(bytes, 0, row);
    expect(replies.absent()).toBe(128);
    expect(viewOf(bytes, 0, 8).getBigUint64(0, true)).toBe(0n);
    expect(viewOf(bytes, 16, 8).getBigUint64(0, true)).toBe(FOREVER_SEC);
  });

  it('rounds the totals up to blocks', () => {
    expect(replies.statfs({ bytes: 4097, files: 3 })).toBe(80);
    const view = viewOf(bytes, 0, 80);
    expect(view.getBigUint64(0, true)).toBe(2n);
    expect(view.getBigUint64(24, true)).toBe(3n);
    expect([40, 44, 48].map((at) => view.getUint32(at, true))).toEqual([4096, 255, 4096]);
  });

  it('lets nothing be remembered of a filesystem that changes', () => {
    const changing = new ReplyEncoder(bytes, presentation(0, 0, false));
    changing.entry(row);
    expect(viewOf(bytes, 16, 8).getBigUint64(0, true)).toBe(0n);
    expect(viewOf(bytes, 24, 8).getBigUint64(0, true)).toBe(0n);
  });
});
