import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { StatsRow } from '../../src/daemon/protocol/stats.js';
import { killAndWait, run, Shell } from '../cli/shell.js';
import { ensureBuilt } from '../workspace/built.js';
import { BucketLog } from './bucket-log.js';

const LONG_MS = 120_000;
const MIB = 1_048_576;
const LOG_BYTES = 24 * MIB + 77;
/** The tree, its commits and the manifest: all that is needed to know a file. */
const KNOWING_BYTES_MAX = 64 * 1024;

/** Copies as many programs do: in pieces that its caller names, each asked of the kernel. */
const COPIER = `
import os, sys
source, target, piece = os.open(sys.argv[1], os.O_RDONLY), None, int(sys.argv[3])
target = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
while os.copy_file_range(source, target, piece) > 0:
    pass
os.fsync(target)
`;

let stored: BucketLog;
const shells: Shell[] = [];

beforeAll(ensureBuilt);
beforeAll(async () => {
  stored = await BucketLog.create(LOG_BYTES);
}, LONG_MS);
afterEach(async () => {
  for (const shell of shells.splice(0)) await shell.dispose();
}, LONG_MS);
afterAll(() => stored.dispose(), LONG_MS);

/** A home that knows the repository, and nothing of its contents, with a branch of its own mounted. */
async function mounted(branch: string, ...more: string[]): Promise<[Shell, string]> {
  const shell = await Shell.open();
  shells.push(shell);
  await shell.must('repo', 'add', stored.storage);
  await shell.must('branch', 'create', `drive/${branch}`, '--from', 'main');
  const directory = await shell.mountPoint('m');
  await shell.must('mount', '--write', `drive/${branch}`, directory, ...more);
  return [shell, directory];
}

async function traffic(shell: Shell): Promise<{ sent: number; fetched: number }> {
  const [row] = await shell.jsonRows<StatsRow>('stats');
  if (row?.kind !== 'repository') throw new Error('there is no repository in a bucket');
  return { sent: row.bytesSent, fetched: row.bytesFetched };
}

/** Bytes on the disk of what is staged. */
async function used(shell: Shell): Promise<number> {
  const found = await run('du', ['-s', '--block-size=1', shell.path('home/workspaces')]);
  return Number(found.stdout.split('\t')[0]);
}

async function mustRun(program: string, args: string[]): Promise<void> {
  expect(await run(program, args)).toMatchObject({ code: 0, stderr: '' });
}

async function expectRight(path: string): Promise<void> {
  await mustRun('cmp', [path, stored.first.path('run.mcap')]);
}

describe('a committed file that is copied within a mount', () => {
  it(
    'moves no bytes from the bucket, through the disk, or back',
    async () => {
      const [shell, at] = await mounted('copies');
      const log = join(at, 'run.mcap');
      const [before, usedBefore] = [await traffic(shell), await used(shell)];
      await mustRun('cp', [log, join(at, 'plain.mcap')]);
      await mustRun('cp', ['-a', '--reflink=auto', log, join(at, 'kept.mcap')]);
      for (const piece of [5 * MIB, 2 * MIB + 4095]) {
        await mustRun('python3', ['-c', COPIER, log, join(at, `${piece}.mcap`), String(piece)]);
      }
      expect((await used(shell)) - usedBefore).toBeLessThan(MIB);
      await shell.must('commit', 'drive/copies', '-m', 'copies');
      const after = await traffic(shell);
      expect(after.fetched - before.fetched).toBeLessThan(KNOWING_BYTES_MAX);
      expect(after.sent - before.sent).toBeLessThan(KNOWING_BYTES_MAX);
      const contents = new Set<string>();
      for (const name of ['run', 'plain', 'kept', 5 * MIB, 2 * MIB + 4095]) {
        const address = `drive/copies@/${name}.mcap`;
        contents.add((await shell.json<{ content: string }>('stat', address)).content);
      }
      expect([...contents]).toHaveLength(1);
      await expectRight(join(at, 'plain.mcap'));
    },
    LONG_MS,
  );

  it(
    'is there after the daemon is killed, with what was written and synced since',
    async () => {
      const [shell, at] = await mounted('killed');
      const [log, copy] = [join(at, 'run.mcap'), join(at, 'copy.mcap')];
      await mustRun('python3', ['-c', COPIER, log, copy, String(5 * MIB)]);
      const file = await open(copy, 'r+');
      await file.write('glare', 7 * MIB + 5);
      await file.sync();
      await killAndWait(await shell.daemonPid());
      await file.write(Buffer.alloc(5, 'x'), 0, 5, 9 * MIB);
      await file.close();
      const found = await run('cmp', ['-l', copy, stored.first.path('run.mcap')]);
      expect(found.stdout.trim().split('\n')).toHaveLength(10);
      await expectRight(log);
    },
    LONG_MS,
  );

  it(
    'is read and written where the driver has no such call',
    async () => {
      const [, at] = await mounted('portable', '--driver', 'fuse-native');
      await mustRun('cp', [join(at, 'run.mcap'), join(at, 'plain.mcap')]);
      await expectRight(join(at, 'plain.mcap'));
    },
    LONG_MS,
  );
});
