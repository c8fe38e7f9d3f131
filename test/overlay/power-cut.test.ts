import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { COPY_BYTES_MAX } from '../../src/overlay/bytes/staged-folder.js';
import type { FileEntry } from '../../src/model/entry.js';
import { EMPTY_CONTENT } from '../../src/model/ids.js';
import type { Node } from '../../src/overlay/nodes.js';
import type { Inode } from '../../src/vfs/filesystem.js';
import { Mounted, NEVER, READ, ROOT, WRITE } from './mount-model.js';

it.each([
  ['its staged file', ''],
  ['its page map', '.pages'],
])('leaves a file of the base as it was where %s never reached the disk', async (_, suffix) => {
  const bytes = 'x'.repeat(COPY_BYTES_MAX + 1);
  const mounted = new Mounted([{ path: 'log.mcap', bytes }]);
  try {
    const inode = await mounted.inode('log.mcap');
    const opened = await mounted.fs.openFor(inode, WRITE, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    mounted.fs.release(opened.handle);
    const { folder } = mounted.overlay.files;
    await mounted.reopen(() => rmSync(folder.pathOf(inode) + suffix));
    // Threads that store files see what is there, too.
    expect(folder.isThere(inode, true)).toBe(true);
    expect(await mounted.at('log.mcap')).toMatchObject({ size: bytes.length });
    const again = await mounted.fs.openFor(await mounted.inode('log.mcap'), READ, NEVER);
    if (typeof again === 'string') throw new Error(again);
    const read = await mounted.fs.read(again.handle, 0, bytes.length, NEVER);
    mounted.fs.release(again.handle);
    expect(Buffer.from(read as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
  } finally {
    await mounted.dispose();
  }
});

it('does not take bytes for stored that were synced without their times', async () => {
  const mounted = new Mounted([]);
  try {
    const made = await mounted.create(ROOT, 'labels.db', 'one');
    if (typeof made === 'string') throw new Error(made);
    const { inode } = made;
    const stored = { stamp: mounted.overlay.files.stat(node(mounted, inode)), entry: ENTRY };
    mounted.overlay.journal.write({ putStored: [{ inode, stored }] });
    await mounted.reopen();
    expect(node(mounted, inode).stored?.entry).toEqual(ENTRY);
    const opened = await mounted.fs.openFor(inode, WRITE, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    await mounted.fs.write(opened.handle, 0, Buffer.from('two'), NEVER);
    expect(await mounted.fs.fsync(opened.handle, 'data')).toBeUndefined();
    mounted.fs.release(opened.handle);
    await mounted.reopen();
    expect(node(mounted, inode).stored).toBeUndefined();
  } finally {
    await mounted.dispose();
  }
});

const ENTRY: FileEntry = {
  kind: 'file',
  size: 3,
  content: EMPTY_CONTENT,
  address: { kind: 'none' },
  mtimeSec: 0,
  mtimeNsec: 0,
  mode: 0,
};

function node(mounted: Mounted, inode: Inode): Node {
  const found = mounted.overlay.node(inode);
  if (found === undefined) throw new Error(`no node ${inode}`);
  return found;
}
