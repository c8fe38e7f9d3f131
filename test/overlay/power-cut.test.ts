import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { COPY_BYTES_MAX } from '../../src/overlay/bytes/staged-folder.js';
import { Mounted, NEVER, READ, WRITE } from './mount-model.js';

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
