import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitResult, StatResult } from '../../src/daemon/protocol.js';
import type { ChangeRow } from '../../src/daemon/protocol/staging.js';
import { Shell } from './shell.js';

const run = promisify(execFile);
const BRANCH = 'drive/labels-v2';
const THEN = new Date('2025-06-14T05:31:07.250Z');
const BIG_BYTES = 20_000_000;

let shell: Shell;
beforeEach(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive', '--storage', shell.path('storage'));
  await shell.must('branch', 'create', BRANCH, '--from', 'main');
  await shell.must('put', await shell.file('f/a', 'a'), `${BRANCH}/labels/a.json`);
  await shell.must('put', await shell.file('f/b', 'b'), `${BRANCH}/labels/b.json`);
  await shell.must('put', await shell.file('f/big', bigBytes()), `${BRANCH}/raw/big.bag`);
  await shell.must('commit', BRANCH, '-m', 'Labels of run 8421');
});
afterEach(() => shell.dispose());

/** No two blocks are equal. */
function bigBytes(): Buffer {
  const bytes = Buffer.alloc(BIG_BYTES);
  for (let at = 0; at < BIG_BYTES; at += 4) bytes.writeUInt32LE(at, at);
  return bytes;
}

async function mounted(name: string, ...args: string[]): Promise<string> {
  const directory = await shell.mountPoint(name);
  await shell.must('mount', ...args, directory);
  return directory;
}

async function status(): Promise<string[]> {
  const rows = await shell.jsonRows<ChangeRow>('status', BRANCH);
  return rows.flatMap((row) => ('change' in row ? [`${row.change} ${row.path}`] : []));
}

async function storedBytes(): Promise<number> {
  const { stdout } = await run('du', ['-s', '--bytes', shell.path('storage')]);
  return Number.parseInt(stdout, 10);
}

describe('what programs did in a mounted branch', () => {
  it('keeps modes, times, attributes and links through a commit, and numbers through a restart', async () => {
    const at = await mounted('m', '--write', BRANCH);
    await mkdir(join(at, 'set'), { mode: 0o750 });
    await writeFile(join(at, 'one'), 'shared');
    await link(join(at, 'one'), join(at, 'two'));
    expect((await stat(join(at, 'two'))).nlink).toBe(2);
    await chmod(join(at, 'one'), 0o640);
    await run('setfattr', ['-n', 'user.reviewer', '-v', 'av-team', join(at, 'labels/a.json')]);
    for (const name of ['set', 'one', 'labels']) await utimes(join(at, name), THEN, THEN);
    const names = ['set', 'one', 'labels', 'labels/a.json', 'raw/big.bag'];
    const numbers = async (): Promise<number[]> =>
      Promise.all(names.map(async (name) => (await stat(join(at, name))).ino));
    const before = await numbers();
    const { commit } = await shell.json<CommitResult>('commit', BRANCH, '-m', 'Kept');
    expect(await numbers()).toEqual(before);

    const frozen = await mounted('frozen', `drive/${commit}`);
    const looks = await Promise.all(
      ['set', 'one', 'two', 'labels'].map(async (name) => {
        const { mode, mtimeMs } = await stat(join(frozen, name));
        return `${name} ${(mode & 0o777).toString(8)} ${mtimeMs - THEN.getTime()}`;
      }),
    );
    expect(looks).toEqual(['set 750 0', 'one 640 0', 'two 640 0', 'labels 755 0']);
    const labelled = await shell.json<StatResult>('stat', `${BRANCH}@/labels/a.json`);
    expect(labelled.metadata).toEqual({ 'user.reviewer': 'av-team' });
    const contents = ['one', 'two'].map((name) =>
      shell.json<StatResult>('stat', `${BRANCH}@/${name}`),
    );
    const [one, two] = await Promise.all(contents);
    expect(one?.content).toBe(two?.content);

    await shell.must('daemon', 'stop');
    await shell.must('mount', '--write', BRANCH, at);
    expect(await numbers()).toEqual(before);
  });

  it('commits and gives up part of it, and asks before it gives up', async () => {
    const at = await mounted('m', '--write', BRANCH, '--uid', '1234', '--gid', '4321');
    expect(await stat(join(at, 'labels/a.json'))).toMatchObject({ uid: 1234, gid: 4321 });
    await writeFile(join(at, 'labels/a.json'), 'relabelled');
    await writeFile(join(at, 'raw/new'), 'new');
    await shell.must('commit', BRANCH, '-m', 'Labels alone', '--path', 'labels');
    expect(await status()).toEqual(['added raw/new']);
    expect(await shell.must('cat', `${BRANCH}@/labels/a.json`)).toBe('relabelled');
    const asked = await shell.tarn(['reset', BRANCH, '--path', 'raw']);
    expect(asked.code).toBe(2);
    expect(await readFile(join(at, 'raw/new'), 'utf8')).toBe('new');
    await writeFile(join(at, 'kept'), 'kept');
    await shell.must('reset', BRANCH, '--path', 'raw', '--yes');
    expect(await readdir(join(at, 'raw'))).toEqual(['big.bag']);
    expect(await status()).toEqual(['added kept']);
  });

  it('stores one block of a large file of which one byte was changed, and none of a copy or a move', async () => {
    const at = await mounted('m', '--write', BRANCH);
    const before = await storedBytes();
    await run('cp', [join(at, 'raw/big.bag'), join(at, 'raw/copy.bag')]);
    expect((await readFile(join(at, 'raw/copy.bag'))).equals(bigBytes())).toBe(true);
    const file = await open(join(at, 'raw/big.bag'), 'r+');
    await file.write('X', 12_345_678);
    await file.close();
    await rename(join(at, 'raw'), join(at, 'moved'));
    await shell.must('commit', BRANCH, '-m', 'One byte');
    expect((await storedBytes()) - before).toBeLessThan(2 * 1_048_576);
    const wanted = bigBytes();
    wanted.write('X', 12_345_678);
    expect((await readFile(join(at, 'moved/big.bag'))).equals(wanted)).toBe(true);
  });

  it('is decided by a file where it conflicts', async () => {
    const others = await Shell.open();
    try {
      await others.must('repo', 'add', 'drive', '--storage', shell.path('storage'));
      const at = await mounted('m', '--write', BRANCH);
      await writeFile(join(at, 'labels/a.json'), 'mine');
      await others.must('put', await others.file('f/a', 'theirs'), `${BRANCH}/labels/a.json`);
      await others.must('commit', BRANCH, '-m', 'Theirs');
      expect((await shell.tarn(['commit', BRANCH, '-m', 'Mine'])).code).toBe(3);
      const both = await shell.file('f/both', 'mine and theirs');
      await shell.must('resolve', BRANCH, 'labels/a.json', '--file', both);
      expect(await readFile(join(at, 'labels/a.json'), 'utf8')).toBe('mine and theirs');
      await shell.must('commit', BRANCH, '-m', 'Both');
      expect(await shell.must('cat', `${BRANCH}@/labels/a.json`)).toBe('mine and theirs');
      expect(await status()).toEqual([]);
    } finally {
      await others.dispose();
    }
  });
});
