import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FileEntry } from '../../src/model/entry.js';
import { BLOCK_BYTES, EMPTY_CONTENT } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import { keyToText } from '../../src/model/path.js';
import type { ImportInput } from '../../src/workspace/jobs/import.js';
import { ensureBuilt } from './built.js';
import { all, key, Sandbox, scan } from './sandbox.js';

const RUN = 'raw/2025-06-14/run-8421/';

let sandbox: Sandbox;
let source: string;

beforeAll(ensureBuilt);
beforeEach(async () => {
  sandbox = await Sandbox.make();
  source = join(sandbox.directory, 'run-8421');
  mkdirSync(source);
});
afterEach(() => sandbox.remove());

function write(name: string, content: string | Buffer = name): string {
  const path = join(source, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  utimesSync(path, 1_749_902_400.5, 1_749_902_400.5);
  return path;
}

function importFolder(values: Partial<ImportInput> = {}, signal?: AbortSignal) {
  const wanted = { isVerified: false, isDryRun: false, include: [], exclude: [] };
  const input = { ...sandbox.target, source, prefix: key(RUN.slice(0, -1)), ...wanted, ...values };
  return sandbox.threads.run('import', input, signal === undefined ? {} : { signal });
}

async function paths(): Promise<string[]> {
  const found = await scan(await (await sandbox.workspace()).view());
  return found.map(([path]) => keyToText(path as Key));
}

async function fileAt(path: string): Promise<FileEntry> {
  const view = await (await sandbox.workspace()).view();
  const entry = await view.get(key(path));
  if (entry?.kind !== 'file') throw new Error(`there is no file ${path}`);
  return entry;
}

async function contentOf(path: string): Promise<string> {
  const view = await (await sandbox.workspace()).view();
  const content = await view.open(key(path), await fileAt(path));
  try {
    return Buffer.from(await content.read(0, content.size)).toString();
  } finally {
    content.close();
  }
}

/** Objects in the repository's storage that hold bytes of files. */
function storedContents(): string[] {
  const names = readdirSync(sandbox.storage, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /^(files|packs|manifests)\/../.test(name) && name.length > 60);
}

describe('an import of a folder', () => {
  it('points at its files, and copies none', async () => {
    const path = write('front/000001.jpg', 'jpeg');
    write('log.mcap', 'lidar');
    const result = await importFolder();
    expect(result).toMatchObject({ files: 2, bytes: 9, url: `file://${source}`, failureCount: 0 });
    expect(await paths()).toEqual([`${RUN}front/000001.jpg`, `${RUN}log.mcap`]);
    expect(await fileAt(`${RUN}front/000001.jpg`)).toMatchObject({
      size: 4,
      mtimeSec: 1_749_902_400,
      mtimeNsec: 500_000_000,
      content: expect.stringMatching(/^pinned:[0-9a-f]{64}$/) as string,
      address: {
        kind: 'imported',
        url: `file://${path}`,
        pin: { kind: 'mtime', mtimeSec: 1_749_902_400, mtimeNsec: 500_000_000 },
      },
    });
    expect(storedContents()).toEqual([]);
    expect(await contentOf(`${RUN}log.mcap`)).toBe('lidar');
  });

  it('stays readable in a commit, and below another name', async () => {
    write('front/000001.jpg', 'jpeg');
    await importFolder();
    const workspace = await sandbox.workspace();
    await workspace.commit({ message: 'import run 8421', author: 'ada' });
    expect(await contentOf(`${RUN}front/000001.jpg`)).toBe('jpeg');
    await workspace.move(key('raw/2025-06-14'), key('glare'));
    expect(await contentOf('glare/run-8421/front/000001.jpg')).toBe('jpeg');
    await workspace.commit({ message: 'rename', author: 'ada' });
    expect(await contentOf('glare/run-8421/front/000001.jpg')).toBe('jpeg');
  });

  it('keeps what put keeps: rights, links, empty folders, names; and leaves out pipes', async () => {
    write('b.txt', '');
    chmodSync(write('é/run.sh', 'x'), 0o755);
    mkdirSync(join(source, 'empty'));
    symlinkSync('b.txt', join(source, 'link'));
    execFileSync('mkfifo', [join(source, 'pipe')]);
    const result = await importFolder();
    expect(result).toMatchObject({ files: 2, symlinks: 1, directories: 1, skippedCount: 1 });
    expect(await paths()).toEqual([`${RUN}b.txt`, `${RUN}empty/`, `${RUN}link`, `${RUN}é/run.sh`]);
    expect(await fileAt(`${RUN}b.txt`)).toMatchObject({
      content: EMPTY_CONTENT,
      address: { kind: 'none' },
    });
    expect(await fileAt(`${RUN}é/run.sh`)).toMatchObject({ mode: 0o755 });
  });

  it('adds to what is there, and again points at the files as they are by then', async () => {
    const workspace = await sandbox.workspace();
    write('a.txt', 'old');
    write('b.txt', 'same');
    await importFolder();
    await workspace.commit({ message: 'import', author: 'ada' });
    write('a.txt', 'newer');
    rmSync(join(source, 'b.txt'));
    write('c.txt', 'third');
    await importFolder();
    expect(await paths()).toEqual(['a.txt', 'b.txt', 'c.txt'].map((name) => `${RUN}${name}`));
    expect(await contentOf(`${RUN}a.txt`)).toBe('newer');
    const changes = await all(workspace.changes());
    expect(changes.map(({ change, path }) => `${change} ${path}`)).toEqual([
      `changed ${RUN}a.txt`,
      `added ${RUN}c.txt`,
    ]);
  });

  it('of what is on the branch already is no change', async () => {
    write('a.txt', 'same');
    await importFolder();
    const workspace = await sandbox.workspace();
    await workspace.commit({ message: 'import', author: 'ada' });
    await importFolder();
    expect(await all(workspace.changes())).toEqual([]);
  });

  it('takes only what is wanted', async () => {
    for (const name of ['a.jpg', 'a.txt', 'tmp/b.jpg', 'deep/er/c.jpg']) write(name);
    mkdirSync(join(source, 'empty'));
    const chosen = { include: ['**/*.jpg'], exclude: ['tmp/**'] };
    expect(await importFolder(chosen)).toMatchObject({ files: 2, directories: 0 });
    expect(await paths()).toEqual([`${RUN}a.jpg`, `${RUN}deep/er/c.jpg`]);
    await expect(importFolder({ include: ['{'] })).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('only counts in a dry run', async () => {
    write('a.jpg', '12345');
    expect(await importFolder({ isDryRun: true, isVerified: true })).toMatchObject({
      files: 1,
      bytes: 5,
    });
    expect(await paths()).toEqual([]);
  });

  it('stages all or nothing when it is interrupted', async () => {
    for (let i = 0; i < 3_000; i++) write(`${i}`);
    const controller = new AbortController();
    const running = importFolder({}, controller.signal);
    controller.abort();
    await expect(running).rejects.toMatchObject({ kind: 'aborted' });
    expect(await paths()).toEqual([]);
  });

  it('of an empty folder leaves its marker', async () => {
    expect(await importFolder()).toMatchObject({ files: 0, directories: 1 });
    expect(await paths()).toEqual([RUN]);
  });

  it('of a single file gives it the path, or puts it into a directory', async () => {
    const path = write('log.mcap', 'lidar');
    await importFolder({ source: path, prefix: key('raw/log.mcap') });
    await importFolder({ source: path, prefix: key('copy/') });
    expect(await paths()).toEqual(['copy/log.mcap', 'raw/log.mcap']);
    expect(await contentOf('copy/log.mcap')).toBe('lidar');
  });

  it('of a link to a folder names the folder itself', async () => {
    write('a.txt', 'text');
    const link = join(sandbox.directory, 'link');
    symlinkSync(source, link);
    expect(await importFolder({ source: link })).toMatchObject({ url: `file://${source}` });
    rmSync(link);
    expect(await contentOf(`${RUN}a.txt`)).toBe('text');
  });
});

describe('an import that reads what it takes', () => {
  it('records the ids that a put would give, and only manifests are stored', async () => {
    const large = Buffer.alloc(2 * BLOCK_BYTES + 5, 'lidar');
    write('log.mcap', large);
    write('notes.txt', 'glare');
    write('none', '');
    await importFolder({ isVerified: true });
    expect(storedContents().filter((name) => !name.startsWith('manifests/'))).toEqual([]);
    const imported = await Promise.all(
      ['log.mcap', 'notes.txt', 'none'].map(
        async (name) => (await fileAt(`${RUN}${name}`)).content,
      ),
    );
    const target = { ...sandbox.target, prefix: key('put'), sources: [source], recursive: true };
    await sandbox.threads.run('put', target);
    const put = await Promise.all(
      ['log.mcap', 'notes.txt', 'none'].map(async (name) => (await fileAt(`put/${name}`)).content),
    );
    expect(imported).toEqual(put);
    expect(Buffer.compare(Buffer.from(await contentOf(`${RUN}log.mcap`)), large)).toBe(0);
  });

  it('notices a change that left size and time as they were', async () => {
    write('notes.txt', 'glare');
    await importFolder({ isVerified: true });
    write('notes.txt', 'flare');
    await expect(contentOf(`${RUN}notes.txt`)).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining('are not those that were imported') as string,
    });
  });
});

describe('an import', () => {
  const refusal = (kind: string, words: string) => ({
    kind,
    message: expect.stringContaining(words) as string,
  });

  it('refuses what is not there, tarn’s own places, and a name that is too long', async () => {
    await expect(importFolder({ source: join(source, 'no') })).rejects.toMatchObject({
      kind: 'not-found',
    });
    for (const place of [sandbox.storage, join(sandbox.storage, 'trees'), sandbox.home.path]) {
      await expect(importFolder({ source: place })).rejects.toMatchObject(
        refusal('invalid', 'tarn keeps its own files'),
      );
    }
    await expect(importFolder({ prefix: key('x'.repeat(1024)) })).rejects.toMatchObject(
      refusal('invalid', '1025 bytes'),
    );
    execFileSync('mkfifo', [join(source, 'pipe')]);
    await expect(importFolder({ source: join(source, 'pipe') })).rejects.toMatchObject(
      refusal('invalid', 'socket'),
    );
  });

  it('leaves out tarn’s own places, and names that are not UTF-8 or too long', async () => {
    write('a.txt', 'text');
    mkdirSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff])]));
    const long = Array.from({ length: 5 }, () => 'x'.repeat(240)).join('/');
    mkdirSync(join(source, long), { recursive: true });
    const result = await importFolder({ source: sandbox.directory });
    expect(result.files).toBe(1);
    expect(result.failures.map(({ why }) => why)).toEqual([
      expect.stringContaining('at most 1024') as string,
      'its name is not valid UTF-8',
    ]);
    expect(result.skipped.map(({ path }) => basename(path))).toEqual(['drive', 'home']);
  });
});
