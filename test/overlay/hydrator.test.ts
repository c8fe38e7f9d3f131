import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Hydrator } from '../../src/overlay/hydrator.js';
import { MAP_SUFFIX } from '../../src/overlay/bytes/staged-file.js';
import type { Handle, Inode } from '../../src/vfs/filesystem.js';
import { Mounted, NEVER, READ, WRITE } from './mount-model.js';

const MIB = 1_048_576;
const LOG = Buffer.alloc(5 * MIB + 1, 'a log of the drive ');
/** By then it has looked. */
const LATER_MS = 1000;
const FILES = ['one.mcap', 'other.mcap'].map((path) => ({ path, bytes: LOG.toString('latin1') }));

let mounted: Mounted;
let hydrator: Hydrator;
let faults: unknown[];

beforeEach(() => {
  mounted = new Mounted(FILES);
  faults = [];
  hydrator = new Hydrator(mounted.overlay, (error) => faults.push(error));
});

afterEach(async () => {
  vi.useRealTimers();
  await hydrator.close();
  await mounted.dispose();
  expect(faults).toEqual([]);
});

function isPartial(inode: Inode): boolean {
  return existsSync(mounted.overlay.files.folder.pathOf(inode) + MAP_SUFFIX);
}

/** The handle of a file of which the first `blocks` blocks were changed. */
async function change(path: string, blocks: number): Promise<{ inode: Inode; handle: Handle }> {
  const inode = await mounted.inode(path);
  const opened = await mounted.fs.openFor(inode, WRITE, NEVER);
  if (typeof opened === 'string') throw new Error(opened);
  for (let block = 0; block < blocks; block += 1) {
    await mounted.fs.write(opened.handle, block * MIB + 5, Buffer.from('changed'), NEVER);
  }
  return { inode, handle: opened.handle };
}

function changed(blocks: number): Buffer {
  const bytes = Buffer.from(LOG);
  for (let block = 0; block < blocks; block += 1) bytes.write('changed', block * MIB + 5);
  return bytes;
}

async function look(path: string): Promise<object> {
  const found = await mounted.at(path);
  if (typeof found === 'string') throw new Error(found);
  const { size, mtimeSec, mtimeNsec } = found;
  // Node's own calls set times in microseconds.
  return { size, mtimeSec, mtimeUsec: Math.floor(mtimeNsec / 1000) };
}

async function bytesOf(inode: Inode): Promise<Buffer> {
  const opened = await mounted.fs.openFor(inode, READ, NEVER);
  if (typeof opened === 'string') throw new Error(opened);
  const bytes = await mounted.fs.read(opened.handle, 0, LOG.length, NEVER);
  mounted.fs.release(opened.handle);
  return Buffer.from(bytes as Uint8Array);
}

describe('the bytes of partial files', () => {
  it('are copied of a file that was changed in most blocks, and of no other', async () => {
    const other = await change('other.mcap', 2);
    const one = await change('one.mcap', 4);
    const before = await look('one.mcap');
    await vi.waitFor(() => expect(isPartial(one.inode)).toBe(false), { timeout: 20_000 });
    expect(isPartial(other.inode)).toBe(true);
    const read = await mounted.fs.read(one.handle, 0, LOG.length, NEVER);
    expect(Buffer.from(read as Uint8Array).equals(changed(4))).toBe(true);
    expect(await look('one.mcap')).toEqual(before);
    mounted.fs.release(one.handle);
    mounted.fs.release(other.handle);
    const again = await mounted.fs.openFor(one.inode, WRITE, NEVER);
    if (typeof again === 'string') throw new Error(again);
    expect(again.staged?.partial).toBeUndefined();
    mounted.fs.release(again.handle);
    await hydrator.close();
    await mounted.reopen();
    expect((await bytesOf(await mounted.inode('one.mcap'))).equals(changed(4))).toBe(true);
    expect((await bytesOf(await mounted.inode('other.mcap'))).equals(changed(2))).toBe(true);
  });

  it('are copied to their end when the file is closed meanwhile', async () => {
    const { inode, handle } = await change('one.mcap', 5);
    const quiet = new Promise<void>((resolve) => {
      mounted.overlay.files.onQuiet = (of) => {
        if (of.inode === inode && !isPartial(inode)) resolve();
      };
    });
    await vi.waitFor(() => expect(mounted.overlay.files.isHydrating(node(inode))).toBe(true), {
      timeout: 20_000,
      interval: 1,
    });
    mounted.fs.release(handle);
    await quiet;
    expect((await bytesOf(inode)).equals(changed(5))).toBe(true);
  });

  it('stay where they are while somebody reads them as of one instant', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { files } = mounted.overlay;
    const { inode, handle } = await change('one.mcap', 5);
    await hydrator.pausedFor(async () => {
      await vi.advanceTimersByTimeAsync(LATER_MS);
      expect(files.isHydrating(node(inode))).toBe(false);
    });
    await vi.advanceTimersByTimeAsync(LATER_MS);
    expect(files.isHydrating(node(inode))).toBe(true);
    await hydrator.pausedFor(async () => {
      expect(files.isHydrating(node(inode))).toBe(false);
      expect((await bytesOf(inode)).equals(changed(5))).toBe(true);
    });
    vi.useRealTimers();
    mounted.fs.release(handle);
  });
});

function node(inode: Inode) {
  const found = mounted.overlay.node(inode);
  if (found === undefined) throw new Error(`no node ${inode}`);
  return found;
}
