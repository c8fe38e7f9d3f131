import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { CommitId } from '../../../src/model/ids.js';
import { TarnError } from '../../../src/util/errors.js';
import { fileEntry, key } from '../../workspace/sandbox.js';
import { Live } from './live.js';

const REQUEST = { message: 'labels', author: 'rosa' };

let live: Live;

beforeEach(async () => {
  live = await Live.make();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await live.remove();
});

function commit(): Promise<CommitId> {
  const staged = () => live.workspace.commit(REQUEST);
  return live.live.commit({ takesOpen: true }, REQUEST, staged).then(({ id }) => id);
}

it('does not take what a mount still has for a change of what others made after the commit', async () => {
  await live.write('label.json', 'ours');
  vi.spyOn(live.live.overlay, 'rebase').mockImplementation(() => {
    throw new TarnError('no-space', 'the disk is full');
  });
  await commit();
  await live.stop();
  vi.restoreAllMocks();
  await live.others.stage([{ key: key('label.json'), entry: fileEntry('theirs') }]);
  await live.others.commit({ message: 'theirs', author: 'ada' });
  await live.start();
  await expect(commit()).rejects.toMatchObject({ kind: 'conflict' });
});
