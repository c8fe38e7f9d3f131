import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Receiver } from '../../src/cli/receiver.js';
import type { GetRow } from '../../src/daemon/protocol.js';

let outside: string;
let root: string;

beforeEach(async () => {
  outside = await mkdtemp(join(tmpdir(), 'tarn-receiver-'));
  root = join(outside, 'root');
  await mkdir(root);
  await writeFile(join(outside, 'secret'), 'kept');
});

afterEach(() => rm(outside, { recursive: true, force: true }));

function row(path: string, kind: GetRow['kind'] = 'file', more: Partial<GetRow> = {}): GetRow {
  return { path, kind, size: 0, mode: 0o644, mtimeSec: 1_750_000_000, mtimeNsec: 0, ...more };
}

async function send(receiver: Receiver, path: string, text: string): Promise<void> {
  await receiver.row(row(path, 'file', { size: text.length }));
  for (const byte of text) await receiver.content(Buffer.from(byte));
}

describe('what a repository may write below a directory', () => {
  it.each(['../secret', 'a/../../secret', '/etc/x', 'a//b', '.', '..', 'a/./b', 'a\0b', ''])(
    'is not %j',
    async (path) => {
      const receiver = new Receiver(root, true);
      await send(receiver, path, 'evil');
      await send(receiver, 'good', 'fine');
      await receiver.done();
      expect(receiver.problems.map((problem) => problem.path)).toEqual([path]);
      expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('kept');
      expect(await readFile(join(root, 'good'), 'utf8')).toBe('fine');
      expect((await readdir(outside)).sort()).toEqual(['root', 'secret']);
    },
  );

  it('is nothing that lies behind a symbolic link, its own or one found', async () => {
    await symlink(outside, join(root, 'found'));
    const receiver = new Receiver(root, true);
    await receiver.row(row('own', 'symlink', { target: outside }));
    await send(receiver, 'own/secret', 'evil');
    await send(receiver, 'found/secret', 'evil');
    await receiver.row(row('found/', 'directory', { mode: 0o777 }));
    await receiver.row(row('file', 'symlink', { target: join(outside, 'secret') }));
    await send(receiver, 'file', 'whole');
    await receiver.done();
    expect(receiver.problems.map(({ path }) => path)).toEqual([
      'own/secret',
      'found/secret',
      'found/',
    ]);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('kept');
    expect(await readFile(join(root, 'file'), 'utf8')).toBe('whole');
  });

  it('is no part of a file: one that breaks off leaves nothing', async () => {
    const receiver = new Receiver(root, false);
    await receiver.row(row('a', 'file', { size: 100 }));
    await receiver.content(Buffer.from('part'));
    await receiver.abort();
    expect(await readdir(root)).toEqual([]);
  });

  it('has permissions and times, but never runs as someone else', async () => {
    const receiver = new Receiver(root, false);
    await receiver.row(row('d/', 'directory', { mode: 0o555, mtimeSec: 1_000 }));
    await receiver.row(row('d/a', 'file', { mode: 0o4755 }));
    await receiver.done();
    const directory = await stat(join(root, 'd'));
    expect([directory.mode & 0o7777, directory.mtimeMs]).toEqual([0o555, 1_000_000]);
    expect((await stat(join(root, 'd/a'))).mode & 0o7777).toBe(0o755);
    await chmod(join(root, 'd'), 0o755);
  });

  it('names what cannot be made and goes on', async () => {
    await mkdir(join(root, 'folder'));
    const receiver = new Receiver(root, true);
    await send(receiver, 'x'.repeat(256), 'long');
    await send(receiver, 'folder', 'in the way');
    await send(receiver, 'b', 'fine');
    expect(receiver.problems.map(({ path }) => path)).toEqual(['x'.repeat(256), 'folder']);
    expect(receiver.files).toBe(1);
    expect((await readdir(root)).sort()).toEqual(['b', 'folder']);
  });
});
