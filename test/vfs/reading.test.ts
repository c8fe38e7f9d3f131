import { afterEach, describe, expect, it, vi } from 'vitest';
import { BLOCK_BYTES } from '../../src/model/ids.js';
import { TarnError } from '../../src/util/errors.js';
import type { OpenedFile } from '../../src/vfs/filesystem.js';
import type { FrozenFilesystem } from '../../src/vfs/frozen-filesystem.js';
import { filesystemOf, inodeOf, NEVER, succeeded } from './helpers.js';
import type { MemoryView, MemoryViewOptions } from './memory-view.mjs';

/** Long enough to be told apart from what is verified ahead, and not a whole number of blocks. */
const SIZE = 12 * BLOCK_BYTES + 5;
const BIG = Uint8Array.from({ length: SIZE }, (_, i) => (i * 7 + (i >> 12)) & 0xff);

interface Grants {
  readonly filesystem: FrozenFilesystem;
  readonly view: MemoryView;
  readonly grants: { handle: number; start: number; end: number }[];
}

const views: MemoryView[] = [];

function bigFile(options: MemoryViewOptions): Grants {
  const { filesystem, view } = filesystemOf([{ path: 'big', bytes: BIG }], options);
  views.push(view);
  const grants: Grants['grants'] = [];
  filesystem.connect({
    grant: (handle, start, end) => grants.push({ handle, start, end }),
    entryChanged: () => {},
    nodeChanged: () => {},
    heard: () => Promise.resolve(),
  });
  return { filesystem, view, grants };
}

async function openBig(filesystem: FrozenFilesystem): Promise<OpenedFile> {
  return succeeded(await filesystem.open(await inodeOf(filesystem, 'big'), NEVER));
}

/** Blocks that may be read without us, in order. */
function grantedBlocks(grants: Grants['grants']): number[] {
  const blocks = new Set<number>();
  for (const { start, end } of grants) {
    for (let at = start; at < end; at += BLOCK_BYTES) blocks.add(at / BLOCK_BYTES);
  }
  return [...blocks].toSorted((a, b) => a - b);
}

/** What reads wait for until it is opened. */
function newGate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

/** Lets everything that can go on without outside help go on. */
const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

afterEach(() => {
  for (const view of views.splice(0)) view.dispose();
});

describe('reading', () => {
  it("R1: A read gives the file's bytes, fewer than asked only at the end of the file.", async () => {
    const { filesystem } = bigFile({});
    const { handle } = await openBig(filesystem);
    for (const offset of [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, SIZE - 10, SIZE, SIZE + 1, 2 ** 40]) {
      for (const length of [0, 1, 100, 2 * BLOCK_BYTES]) {
        const read = succeeded(await filesystem.read(handle, offset, length, NEVER));
        const expected = BIG.subarray(offset, offset + length);
        expect(Buffer.compare(read, expected), `${offset}+${length}`).toBe(0);
      }
    }
    filesystem.release(handle);
  });

  it('R2: Handles are independent of one another, and a released one is EBADF for ever.', async () => {
    const { filesystem, view } = bigFile({});
    const [one, two] = [await openBig(filesystem), await openBig(filesystem)];
    expect(one.handle).not.toBe(two.handle);
    filesystem.release(one.handle);
    const three = await openBig(filesystem);
    expect([one.handle, two.handle]).not.toContain(three.handle);
    expect(await filesystem.read(one.handle, 0, 1, NEVER)).toBe('EBADF');
    expect(await filesystem.read(two.handle, 0, 1, NEVER)).toEqual(BIG.slice(0, 1));
    filesystem.release(one.handle);
    filesystem.release(two.handle);
    filesystem.release(three.handle);
    expect(view.opened).toBe(0);
  });

  it('R3: A driver is let at bytes on the local disk only in whole blocks that were verified.', async () => {
    const granted = bigFile({ backing: 'granted' });
    const { handle, backing } = await openBig(granted.filesystem);
    expect(backing).toMatchObject({ offset: 4096, length: SIZE, exact: false, verified: false });
    await granted.filesystem.read(handle, 3 * BLOCK_BYTES - 1, 2, NEVER);
    await granted.filesystem.read(handle, SIZE - 1, 100, NEVER);
    await settle();
    expect(granted.grants).toEqual([
      { handle, start: 2 * BLOCK_BYTES, end: 4 * BLOCK_BYTES },
      { handle, start: 12 * BLOCK_BYTES, end: SIZE },
    ]);
    await granted.filesystem.read(handle, SIZE, 10, NEVER);
    expect(granted.grants.length).toBe(2);

    const exact = bigFile({ backing: 'exact' });
    const opened = await openBig(exact.filesystem);
    expect(opened.backing).toMatchObject({ offset: 0, exact: true, verified: true });
    await exact.filesystem.read(opened.handle, 0, 10, NEVER);
    expect(exact.grants).toEqual([]);

    const none = bigFile({ backing: 'none' });
    expect((await openBig(none.filesystem)).backing).toBeUndefined();
  });

  it('R4: A sequential reader has at most 4 MiB of a local file verified ahead, one that jumps nothing.', async () => {
    const { filesystem, grants, view } = bigFile({ backing: 'granted' });
    const { handle } = await openBig(filesystem);
    await filesystem.read(handle, 0, 4096, NEVER);
    await settle();
    expect(grantedBlocks(grants)).toEqual([0]);
    await filesystem.read(handle, BLOCK_BYTES, 4096, NEVER);
    await vi.waitFor(() => expect(grantedBlocks(grants)).toEqual([0, 1, 2, 3, 4, 5]));
    await settle();
    expect(grantedBlocks(grants).length).toBe(6);
    // The driver has served blocks 2 to 5; the next call is for the block after them.
    await filesystem.read(handle, 6 * BLOCK_BYTES, 4096, NEVER);
    await vi.waitFor(() => expect(grantedBlocks(grants).at(-1)).toBe(10));
    const reads = view.reads.length;
    for (const block of [3, 12]) await filesystem.read(handle, block * BLOCK_BYTES, 1, NEVER);
    await settle();
    expect(view.reads.length).toBe(reads + 2);
    filesystem.release(handle);
  });

  it('R5: A file stays open until the last read on it has ended, and is closed once.', async () => {
    const gate = newGate();
    const { filesystem, view, grants } = bigFile({
      backing: 'granted',
      onRead: () => gate.passed,
    });
    const { handle } = await openBig(filesystem);
    const read = filesystem.read(handle, 5, 10, NEVER);
    filesystem.release(handle);
    await settle();
    expect(view.opened).toBe(1);
    gate.open();
    expect(await read).toEqual(BIG.slice(5, 15));
    expect(view.opened).toBe(0);
    expect(grants).toEqual([]);
  });

  it('R6: A fault in fetching or verifying reaches the reader as an error, and never as bytes.', async () => {
    const corrupt = new TarnError('corrupt', 'block 2 of big does not hash to its name');
    const { filesystem, grants, view } = bigFile({
      backing: 'granted',
      onRead: (_, offset) => {
        if (offset >= 2 * BLOCK_BYTES && offset < 3 * BLOCK_BYTES) throw corrupt;
      },
    });
    const { handle } = await openBig(filesystem);
    await filesystem.read(handle, 0, BLOCK_BYTES, NEVER);
    await filesystem.read(handle, BLOCK_BYTES, BLOCK_BYTES, NEVER);
    await settle();
    await expect(filesystem.read(handle, 2 * BLOCK_BYTES, 1, NEVER)).rejects.toBe(corrupt);
    expect(grantedBlocks(grants)).toEqual([0, 1]);
    const aborted = AbortSignal.abort();
    await expect(filesystem.read(handle, 0, 1, aborted)).rejects.toThrow('aborted');
    filesystem.release(handle);
    expect(view.opened).toBe(0);
  });

  it('stops verifying ahead when the file is released', async () => {
    const gate = newGate();
    const { filesystem, view } = bigFile({
      backing: 'granted',
      onRead: (_, offset) => (offset < 2 * BLOCK_BYTES ? undefined : gate.passed),
    });
    const { handle } = await openBig(filesystem);
    await filesystem.read(handle, 0, 1, NEVER);
    await filesystem.read(handle, BLOCK_BYTES, 1, NEVER);
    filesystem.release(handle);
    expect(view.opened).toBe(1);
    gate.open();
    await vi.waitFor(() => expect(view.opened).toBe(0));
    expect(view.reads.map(({ offset }) => offset / BLOCK_BYTES)).toEqual([0, 1, 2]);
  });

  it('closes a file whose local copy cannot be found out', async () => {
    const { filesystem, view } = bigFile({ slow: true });
    const open = view.open.bind(view);
    const fault = new TarnError('io', 'no cache');
    view.open = async (key, entry) => {
      const content = await open(key, entry);
      content.backing = () => Promise.reject(fault);
      return content;
    };
    await expect(openBig(filesystem)).rejects.toBe(fault);
    expect(view.opened).toBe(0);
  });
});
