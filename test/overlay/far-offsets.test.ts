import { expect, it } from 'vitest';
import { FALLOCATE_ZERO_RANGE } from '../../src/overlay/bytes/file-calls.js';
import { Mounted, NEVER, WRITE } from './mount-model.js';

it('refuses what would make a file longer than any disk takes with EFBIG', async () => {
  const mounted = new Mounted([{ path: 'log', bytes: 'log' }]);
  try {
    const inode = await mounted.inode('log');
    const opened = await mounted.fs.openFor(inode, WRITE, NEVER);
    if (typeof opened === 'string') throw new Error(opened);
    const { handle } = opened;
    const zeroed = mounted.fs.fallocate(handle, FALLOCATE_ZERO_RANGE, 2 ** 62, 4096, NEVER);
    expect(await zeroed).toBe('EFBIG');
    expect(await mounted.fs.setattr(inode, { size: 2 ** 62 }, NEVER)).toBe('EFBIG');
    mounted.fs.release(handle);
    expect(await mounted.bytes(inode)).toBe('log');
  } finally {
    await mounted.dispose();
  }
});
