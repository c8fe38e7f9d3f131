import { afterEach, beforeEach, expect, it } from 'vitest';
import { Live } from './live.js';

let live: Live;
beforeEach(async () => void (live = await Live.make()));
afterEach(() => live.remove());

it('keeps a file that a program had open for writing while its bytes were stored', async () => {
  await live.write('log', 'one');
  live.beforeJob = async (name) => {
    if (name !== 'stage-changes') return;
    const handle = await live.openForWriting('log');
    if (typeof handle === 'string') throw new Error(handle);
    live.filesystem.release(handle);
  };
  expect(await live.live.stage({ takesOpen: true })).toEqual([]);
  expect(live.live.overlay.isEmpty).toBe(false);
  live.beforeJob = () => undefined;
  expect(await live.live.stage({ takesOpen: true })).toEqual([]);
  expect(live.live.overlay.isEmpty).toBe(true);
  expect(await live.staged()).toEqual(await live.tree());
});

it('keeps attributes of a directory, which no commit has, in the mount', async () => {
  expect(await live.mkdir('labels')).toBe('ok');
  expect(await live.setXattr('labels', 'user.rig', 'front')).toBe('ok');
  for (let round = 0; round < 2; round += 1) {
    expect(await live.live.stage({ takesOpen: true })).toEqual([
      expect.objectContaining({ path: 'labels/', reason: 'unfit' }),
    ]);
    await live.stop();
    await live.start();
    expect(await live.xattr('labels', 'user.rig')).toBe('front');
  }
  expect(await live.staged()).toEqual({ 'labels/': 'directory' });
  expect(await live.removeXattr('labels', 'user.rig')).toBe('ok');
  expect(await live.live.stage({ takesOpen: true })).toEqual([]);
  expect(live.live.overlay.isEmpty).toBe(true);
});
