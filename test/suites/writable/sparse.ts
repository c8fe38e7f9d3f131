import { expect, it } from 'vitest';
import { base64 } from './caller.js';
import { LOG, type Stage } from './stage.js';

const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;

/** Holes, ranges and copies within files. */
export function describeSparse(stage: Stage): void {
  it.skipIf(stage.lacks.ranges)('allocates, with and without a new size', async () => {
    const { one, two } = stage;
    await one.call('open', 'f', 'allocated', 'O_RDWR|O_CREAT');
    await one.call('fallocate', 'f', 0, 1000, 50_000);
    expect((await two.attributes('allocated')).size).toBe(51_000);
    await one.call('fallocate', 'f', KEEP_SIZE, 0, 500_000);
    expect((await two.attributes('allocated')).size).toBe(51_000);
    expect((await one.bytes('f', 0, 60_000)).every((byte) => byte === 0)).toBe(true);
    expect(await one.errno('fallocate', 'f', 0, 0, 0)).toBe('EINVAL');
    await one.call('close', 'f');
  });

  it.skipIf(stage.lacks.ranges)('punches holes and zeros ranges', async () => {
    const { one, two } = stage;
    for (const path of ['punched', 'logs/punched.mcap']) {
      if (path === 'punched') await one.put(path, LOG.subarray(0, 300_000));
      const expected = Buffer.from(path === 'punched' ? LOG.subarray(0, 300_000) : LOG);
      await one.call('open', 'f', path, 'O_RDWR');
      await one.call('fallocate', 'f', PUNCH_HOLE | KEEP_SIZE, 5000, 20_000);
      expected.fill(0, 5000, 25_000);
      await one.call('fallocate', 'f', ZERO_RANGE, 100_001, 7);
      expected.fill(0, 100_001, 100_008);
      await one.call('pwrite', 'f', 12_000, base64('in the hole'));
      expected.write('in the hole', 12_000);
      await one.call('close', 'f');
      await two.call('open', 'f', path, 'O_RDONLY');
      expect((await two.bytes('f', 0, expected.length + 9)).equals(expected), path).toBe(true);
      await two.call('close', 'f');
    }
  });

  it.skipIf(stage.lacks.ranges)('dates a file that is zeroed behind its end', async () => {
    const { one, two } = stage;
    await one.put('zeroed-behind', 'short');
    for (const mode of [PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE]) {
      await one.call('open', 'f', 'zeroed-behind', 'O_RDWR');
      await one.call('utimes', 'zeroed-behind', '1', '1');
      await one.call('fallocate', 'f', mode, 5000, 100);
      await one.call('close', 'f');
      const { mtime, size } = await two.attributes('zeroed-behind');
      expect([BigInt(mtime) > 1n, size], String(mode)).toEqual([true, 5]);
    }
  });

  it.skipIf(stage.lacks.ranges)(
    'finds data and holes, and never a hole where data is',
    async () => {
      const { one } = stage;
      await one.call('open', 'f', 'holes', 'O_RDWR|O_CREAT');
      await one.call('ftruncate', 'f', 4 << 20);
      await one.call('pwrite', 'f', 1 << 20, [3, 65_536]);
      await one.call('fsync', 'f');
      const seek = (offset: number, whence: string): Promise<number> =>
        one.call<number>('seek', 'f', offset, whence);
      const data = await seek(0, 'SEEK_DATA');
      expect(data).toBeLessThanOrEqual(1 << 20);
      const hole = await seek(1 << 20, 'SEEK_HOLE');
      expect(hole).toBeGreaterThanOrEqual((1 << 20) + 65_536);
      expect(await seek(0, 'SEEK_HOLE')).toBeLessThanOrEqual(data);
      expect(await one.errno('seek', 'f', 4 << 20, 'SEEK_DATA')).toBe('ENXIO');
      expect(await seek(0, 'SEEK_END')).toBe(4 << 20);
      await one.call('close', 'f');
      await one.call('open', 'f', 'logs/copied.mcap', 'O_RDONLY');
      expect(await seek(1000, 'SEEK_DATA')).toBe(1000);
      expect(await seek(0, 'SEEK_HOLE')).toBe(LOG.length);
      await one.call('close', 'f');
    },
  );

  it('copies ranges from file to file', async () => {
    const { one, two } = stage;
    await one.call('open', 'from', 'logs/copied.mcap', 'O_RDONLY');
    await one.call('open', 'to', 'copy.mcap', 'O_RDWR|O_CREAT');
    let copied = 0;
    while (copied < 3_000_000) {
      const left = 3_000_000 - copied;
      const outcome = await one.outcome('copyrange', 'from', 1000 + copied, 'to', copied, left);
      // EXDEV, EOPNOTSUPP and EINVAL are how a file system says: read and write it yourself.
      if ('errno' in outcome) {
        expect(outcome.errno).toMatch(/EXDEV|ENOTSUP|EOPNOTSUPP|ENOSYS/);
        break;
      }
      expect(outcome.ok).toBeGreaterThan(0);
      copied += Number(outcome.ok);
    }
    const expected = Buffer.from(LOG.subarray(1000, 1000 + copied));
    await two.call('open', 'f', 'copy.mcap', 'O_RDONLY');
    expect((await two.bytes('f', 0, 4_000_000)).equals(expected)).toBe(true);
    await Promise.all([one.call('closeall'), two.call('closeall')]);
  });

  it('counts the space that bytes take', async () => {
    const { one } = stage;
    await one.call('open', 'f', 'taken', 'O_RDWR|O_CREAT');
    await one.call('write', 'f', [4, 1 << 20]);
    await one.call('fsync', 'f');
    expect((await one.attributes('taken')).blocks * 512).toBeGreaterThanOrEqual(1 << 20);
    await one.call('close', 'f');
    const totals = await one.call<{ bytes: number; free: number }>('statfs');
    expect(totals.free).toBeGreaterThan(0);
  });
}
