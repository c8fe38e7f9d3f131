import { existsSync, rmSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAP_SUFFIX } from '../../src/overlay/bytes/staged-file.js';
import { keyFromText } from '../../src/model/path.js';
import type { Handle, Inode, OpenedFile, StagedBacking } from '../../src/vfs/filesystem.js';
import type { WritableDriverEvents } from '../../src/vfs/writable.js';
import type { MemoryView } from '../vfs/memory-view.mjs';
import { patterned } from '../suites/filesystem-files.js';
import { Mounted, NEVER, OWNER, READ, ROOT, WRITE } from './mount-model.js';

const MIB = 1_048_576;
const LOG = Buffer.from(patterned(5 * MIB + 77));
/** The thread that copies. */
const THREAD = 8421;

let mounted: Mounted;
/** What the driver was told of staged files. */
let told: { inode: Inode; staged: StagedBacking }[];

beforeEach(() => {
  mounted = new Mounted(['log.mcap', 'other.mcap'].map((path) => ({ path, bytes: LOG })));
  told = [];
  connect();
});
afterEach(() => mounted.dispose());

function connect(): void {
  const driver: Partial<WritableDriverEvents> = {
    grant: () => undefined,
    entryChanged: () => undefined,
    nodeChanged: () => undefined,
    nodeStaged: (inode, staged) => void told.push({ inode, staged }),
  };
  mounted.fs.connectWriting(driver as WritableDriverEvents);
}

interface Opened extends OpenedFile {
  readonly inode: Inode;
}

async function source(path: string, thread = THREAD): Promise<Opened> {
  const inode = await mounted.inode(path);
  const opened = await mounted.fs.openFor(inode, { ...READ, thread }, NEVER);
  if (typeof opened === 'string') throw new Error(opened);
  return { ...opened, inode };
}

async function target(name: string, thread = THREAD): Promise<Opened> {
  const access = { ...WRITE, thread };
  const made = await mounted.fs.create(ROOT, keyFromText(name), OWNER, access, NEVER);
  if (typeof made === 'string') throw new Error(made);
  return { ...made.opened, inode: made.attributes.inode };
}

async function copy(from: Handle, at: number, to: Handle, toAt: number, length: number) {
  return mounted.fs.copyRange(from, at, to, toAt, length, NEVER);
}

/** All of it, as several calls do. */
async function copyAll(from: Handle, to: Handle, piece: number): Promise<void> {
  for (let at = 0; at < LOG.length;) {
    const copied = await copy(from, at, to, at, piece);
    expect(copied).toBeGreaterThan(0);
    at += Number(copied);
  }
}

async function bytesOf(inode: Inode): Promise<Buffer> {
  const opened = await mounted.fs.openFor(inode, READ, NEVER);
  if (typeof opened === 'string') throw new Error(opened);
  const bytes = await mounted.fs.read(opened.handle, 0, 2 * LOG.length, NEVER);
  mounted.fs.release(opened.handle);
  return Buffer.from(bytes as Uint8Array);
}

function reads(): number {
  return (mounted.overlay.base.view as MemoryView).reads.length;
}

function isPartial(inode: Inode): boolean {
  return existsSync(mounted.overlay.files.folder.pathOf(inode) + MAP_SUFFIX);
}

describe('a committed file that is copied within the mount', () => {
  it('B19: A committed file of more than 1 MiB that is copied by `copy_file_range` is not read for it.', async () => {
    const [from, to] = [await source('log.mcap'), await target('copy.mcap')];
    await copyAll(from.handle, to.handle, LOG.length);
    for (const { handle } of [from, to]) mounted.fs.release(handle);
    expect(reads()).toBe(0);
  });

  for (const piece of [LOG.length, 2 * MIB, 2 * MIB + 4095]) {
    it(`shows in the copy, ${piece} bytes a call`, async () => {
      const [from, to] = [await source('log.mcap'), await target('copy.mcap')];
      expect(to.staged).toMatchObject({ isAsked: true });
      await copyAll(from.handle, to.handle, piece);
      expect(told).toMatchObject([{ inode: to.inode, staged: { partial: {} } }]);
      expect(await mounted.at('copy.mcap')).toMatchObject({ size: LOG.length });
      expect((await bytesOf(to.inode)).equals(LOG)).toBe(true);
      expect(await mounted.fs.fsync(to.handle, 'all')).toBeUndefined();
      for (const { handle } of [from, to]) mounted.fs.release(handle);
      await mounted.reopen();
      expect((await bytesOf(await mounted.inode('copy.mcap'))).equals(LOG)).toBe(true);
    });
  }

  it('and the copy are changed apart', async () => {
    const [from, to] = [await source('log.mcap'), await target('copy.mcap')];
    await copyAll(from.handle, to.handle, LOG.length);
    await mounted.fs.write(to.handle, 3 * MIB + 5, Buffer.from('copy'), NEVER);
    await mounted.write(await mounted.inode('log.mcap'), 3 * MIB + 7, 'log');
    const wanted = Buffer.from(LOG);
    wanted.write('copy', 3 * MIB + 5);
    expect((await bytesOf(to.inode)).equals(wanted)).toBe(true);
    wanted.set(LOG.subarray(3 * MIB + 5, 3 * MIB + 9), 3 * MIB + 5);
    wanted.write('log', 3 * MIB + 7);
    expect((await bytesOf(from.inode)).equals(wanted)).toBe(true);
    for (const { handle } of [from, to]) mounted.fs.release(handle);
  });

  it('shows as far as it was copied, and zeros where the copy is made longer', async () => {
    const [from, to] = [await source('log.mcap'), await target('copy.mcap')];
    expect(await copy(from.handle, 0, to.handle, 0, 2 * MIB + 100)).toBe(2 * MIB + 100);
    await mounted.fs.setattr(to.inode, { size: 3 * MIB, handle: to.handle }, NEVER);
    const wanted = Buffer.alloc(3 * MIB);
    LOG.copy(wanted, 0, 0, 2 * MIB + 100);
    expect((await bytesOf(to.inode)).equals(wanted)).toBe(true);
    for (const { handle } of [from, to]) mounted.fs.release(handle);
  });

  it('shows what it was changed to where it was changed, and is read for nothing else', async () => {
    const from = await source('log.mcap');
    await mounted.write(from.inode, 2 * MIB, 'x'.repeat(4096));
    const to = await target('copy.mcap');
    for (let at = 0; at < LOG.length;) {
      at += Number(await copy(from.handle, at, to.handle, at, at < 2 * MIB ? LOG.length : 4096));
      if (at === 2 * MIB + 4096) break;
    }
    expect(reads()).toBe(0);
    const wanted = Buffer.from(LOG.subarray(0, 2 * MIB + 4096)).fill('x', 2 * MIB);
    expect((await bytesOf(to.inode)).equals(wanted)).toBe(true);
    for (const { handle } of [from, to]) mounted.fs.release(handle);
  });

  it('is read where a copy cannot show it: elsewhere in the file, of two files, a little, or to a driver that writes by itself', async () => {
    const [from, other] = [await source('log.mcap'), await source('other.mcap')];
    await mounted.write(other.inode, 0, 'other');
    const ways: [string, number, number, (to: Opened) => Promise<unknown>][] = [
      ['shifted', THREAD, 8192, (to) => copy(from.handle, 0, to.handle, 8192, 3 * MIB)],
      ['a-little', THREAD, 0, (to) => copy(from.handle, 0, to.handle, 0, 5000)],
      ['another-thread', THREAD + 1, 0, (to) => copy(from.handle, 0, to.handle, 0, 3 * MIB)],
    ];
    for (const [name, thread, at, work] of ways) {
      const to = await target(name, thread);
      const copied = Number(await work(to));
      expect([copied > 0, isPartial(to.inode)], name).toEqual([true, false]);
      const found = (await bytesOf(to.inode)).subarray(at);
      expect(found.equals(LOG.subarray(0, copied)), name).toBe(true);
      mounted.fs.release(to.handle);
    }
    for (const { handle } of [from, other]) mounted.fs.release(handle);
  });

  it('is not laid below a file that has bytes, or has lost its name', async () => {
    const from = await source('log.mcap');
    const written = await target('written');
    await mounted.fs.write(written.handle, 0, Buffer.from('before'), NEVER);
    const gone = await target('gone');
    await mounted.fs.unlink(ROOT, keyFromText('gone'), NEVER);
    for (const to of [written, gone]) {
      const copied = Number(await copy(from.handle, 0, to.handle, 0, 3 * MIB));
      expect(isPartial(to.inode)).toBe(false);
      const found = (await mounted.fs.read(to.handle, 0, copied, NEVER)) as Uint8Array;
      expect(Buffer.from(found).equals(LOG.subarray(0, copied))).toBe(true);
      mounted.fs.release(to.handle);
    }
    mounted.fs.release(from.handle);
  });

  it('replaces what a file had that is truncated for it', async () => {
    const from = await source('log.mcap');
    const inode = await mounted.inode('other.mcap');
    await mounted.write(inode, 0, 'changed');
    const opened = await mounted.fs.openFor(
      inode,
      { reads: false, writes: true, truncates: true, appends: false, thread: THREAD },
      NEVER,
    );
    if (typeof opened === 'string') throw new Error(opened);
    await copyAll(from.handle, opened.handle, LOG.length);
    expect(reads()).toBe(1);
    for (const { handle } of [from, opened]) mounted.fs.release(handle);
    expect((await bytesOf(inode)).equals(LOG)).toBe(true);
  });

  it('leaves an empty file where the process ended before the page map was made', async () => {
    const [from, to] = [await source('log.mcap'), await target('copy.mcap')];
    await copyAll(from.handle, to.handle, LOG.length);
    for (const { handle } of [from, to]) mounted.fs.release(handle);
    const path = mounted.overlay.files.folder.pathOf(to.inode);
    await mounted.reopen(() => {
      rmSync(path + MAP_SUFFIX);
      truncateSync(path, 0);
    });
    const inode = await mounted.inode('copy.mcap');
    expect(await bytesOf(inode)).toHaveLength(0);
    await mounted.write(inode, 5000, 'x');
    expect(await bytesOf(inode)).toEqual(Buffer.concat([Buffer.alloc(5000), Buffer.from('x')]));
  });
});
