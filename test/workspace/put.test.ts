import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BLOCK_BYTES, EMPTY_CONTENT } from '../../src/model/ids.js';
import { keyToText } from '../../src/model/path.js';
import type { JobProgress } from '../../src/workspace/jobs/job.js';
import type { PutInput } from '../../src/workspace/jobs/put.js';
import { ensureBuilt } from './built.js';
import { all, key, Sandbox, scan } from './sandbox.js';

let sandbox: Sandbox;
let source: string;

beforeAll(ensureBuilt);
beforeEach(async () => {
  sandbox = await Sandbox.make();
  source = join(sandbox.directory, 'source');
  mkdirSync(source);
});
afterEach(() => sandbox.remove());

function write(name: string, content: string | Buffer = name): string {
  const path = join(source, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function put(values: Partial<PutInput> = {}, signal?: AbortSignal) {
  const input = { ...sandbox.target, sources: [source], prefix: key(''), recursive: true };
  return sandbox.threads.run(
    'put',
    { ...input, ...values },
    signal === undefined ? {} : { signal },
  );
}

async function view() {
  return (await sandbox.workspace()).view();
}

async function paths(): Promise<string[]> {
  return (await scan(await view())).map(([path]) => Buffer.from(path, 'latin1').toString());
}

async function contentOf(path: string): Promise<Buffer> {
  const seen = await view();
  const entry = await seen.get(key(path));
  if (entry === undefined) throw new Error(`there is no ${path}`);
  const content = await seen.open(key(path), entry);
  try {
    return Buffer.from(await content.read(0, content.size));
  } finally {
    content.close();
  }
}

const failure = (kind: string, words: string) => ({
  kind,
  message: expect.stringContaining(words) as string,
});

describe('putting a folder', () => {
  it('keeps names, bytes, rights and times to the nanosecond', async () => {
    write('raw/run-8421/camera.bin', 'frame');
    const script = write('raw/replay.sh', '#!/bin/sh');
    chmodSync(script, 0o751);
    execFileSync('touch', ['-d', '1969-12-31T23:59:58.123456789Z', script]);
    write('é/ü.txt', 'x');
    const result = await put();
    expect(result).toMatchObject({ files: 3, bytes: 15, failureCount: 0, skippedCount: 0 });
    expect(await paths()).toEqual(['raw/replay.sh', 'raw/run-8421/camera.bin', 'é/ü.txt']);
    expect(await (await view()).get(key('raw/replay.sh'))).toMatchObject({
      mode: 0o751,
      mtimeSec: -2,
      mtimeNsec: 123_456_789,
    });
    expect((await contentOf('raw/run-8421/camera.bin')).toString()).toBe('frame');
  });

  it('keeps symlinks as they are, empty directories, and unusual rights of directories', async () => {
    write('a/x');
    mkdirSync(join(source, 'empty'));
    mkdirSync(join(source, 'closed'));
    write('closed/y');
    chmodSync(join(source, 'closed'), 0o700);
    symlinkSync('../nowhere/ä', join(source, 'link'));
    symlinkSync('a', join(source, 'dirlink'));
    expect(await put()).toMatchObject({ files: 2, symlinks: 2, directories: 2 });
    expect(await paths()).toEqual(['a/x', 'closed/', 'closed/y', 'dirlink', 'empty/', 'link']);
    const seen = await view();
    expect(await seen.get(key('link'))).toMatchObject({ kind: 'symlink', target: '../nowhere/ä' });
    expect(await seen.get(key('closed/'))).toMatchObject({ mode: 0o700, content: EMPTY_CONTENT });
    expect(await seen.get(key('empty/'))).toMatchObject({ mode: 0o755, size: 0 });
  });

  it('stores files of every size around a block', async () => {
    const sizes = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 5];
    const contents = sizes.map((size) => randomBytes(size));
    contents.forEach((content, i) => write(`f${i}`, content));
    const result = await put();
    expect(result).toMatchObject({ files: 6, bytes: sizes.reduce((a, b) => a + b) });
    for (const [i, content] of contents.entries()) {
      expect((await contentOf(`f${i}`)).equals(content)).toBe(true);
    }
  });

  it('skips what is no file, and says so', async () => {
    write('x');
    execFileSync('mkfifo', [join(source, 'pipe')]);
    const result = await put();
    expect(result.skipped).toEqual([
      { path: join(source, 'pipe'), why: 'it is a socket, a pipe or a device' },
    ]);
    expect(await paths()).toEqual(['x']);
  });

  it('names what it cannot take, and stages all the rest', async () => {
    write('good');
    const bad = Buffer.concat([Buffer.from(`${source}/bad-`), Buffer.from([0xff, 0xfe])]);
    writeFileSync(bad, 'x');
    symlinkSync(Buffer.from([0xff]), join(source, 'link'));
    write('mark-\uFFFD');
    let deep = source;
    for (let i = 0; i < 5; i += 1) deep = join(deep, String(i).repeat(250));
    mkdirSync(deep, { recursive: true });
    const result = await put();
    expect(await paths()).toEqual(['good']);
    expect(result.failureCount).toBe(4);
    const reasons = Object.fromEntries(
      result.failures.map(({ path, why }) => [basename(path).slice(0, 4), why]),
    );
    expect(reasons).toEqual({
      'bad-': 'its name is not valid UTF-8',
      link: 'its target is not valid UTF-8',
      mark: 'its name holds U+FFFD, the mark of broken text',
      '4444': 'its path in the repository would be 1255 bytes long, at most 1024 are allowed',
    });
  });

  it("leaves tarn's own files out", async () => {
    write('x');
    const result = await put({ sources: [sandbox.directory] });
    expect(result.skipped.map(({ path }) => path).sort()).toEqual([
      sandbox.storage,
      sandbox.home.path,
    ]);
    expect(await paths()).toEqual(['source/x']);
  });

  it("refuses tarn's own files, by whatever way they are named, but not spooled input", async () => {
    const other = join(sandbox.directory, 'other');
    sandbox.home.addRepository({ name: 'other', storage: `file://${other}` });
    mkdirSync(other);
    writeFileSync(join(other, 'refs.db'), 'x');
    symlinkSync(sandbox.home.path, join(source, 'link'));
    const { path: home } = sandbox.home;
    const refused = [
      home,
      `${source}/link/repositories.db`,
      sandbox.home.stagingFile('drive'),
      join(sandbox.storage, 'refs.db'),
      `${source}/../other/refs.db`,
    ];
    for (const path of refused) {
      const name = basename(path);
      await expect(put({ sources: [path] })).rejects.toMatchObject(failure('invalid', name));
    }
    mkdirSync(join(home, 'spool'));
    writeFileSync(join(home, 'spool', 'piped'), 'from a pipe');
    await put({ sources: [join(home, 'spool', 'piped')], prefix: key('piped') });
    await put({ sources: [join(source, 'link')], prefix: key('link') });
    expect(await paths()).toEqual(['link', 'piped']);
  });

  it('tells how far it is', async () => {
    for (let i = 0; i < 50; i += 1) write(`f${i}`);
    const seen: JobProgress[] = [];
    await sandbox.threads.run(
      'put',
      { ...sandbox.target, sources: [source], prefix: key('p'), recursive: true },
      { onProgress: (progress) => seen.push(progress) },
    );
    expect(seen.length).toBeGreaterThan(0);
    expect(seen[0]).toMatchObject({ files: 1, current: join(source, 'f0') });
  });

  it('is no change the second time', async () => {
    write('a');
    write('b/c');
    write('big', randomBytes(BLOCK_BYTES * 2));
    symlinkSync('a', join(source, 'link'));
    mkdirSync(join(source, 'empty'));
    await put();
    await sandbox.threads.run('commit', { ...sandbox.target, message: 'm', author: 'rosa' });
    await put();
    const workspace = await sandbox.workspace();
    expect(await all(workspace.changes())).toEqual([]);
    await expect(
      sandbox.threads.run('commit', { ...sandbox.target, message: 'm', author: 'rosa' }),
    ).rejects.toMatchObject({ kind: 'nothing-to-commit' });
    utimesSync(join(source, 'a'), 1, 1);
    await put();
    expect((await all(workspace.changes())).map(({ path }) => path)).toEqual(['a']);
  });
});

describe('where sources go', () => {
  it.each([
    ['labels.json', 'labels.json'],
    ['labels/', 'labels/one.json'],
    ['', 'one.json'],
    ['raw', 'raw/one.json'],
  ])('a file put at %j is %j, where raw is a directory', async (prefix, path) => {
    const file = write('one.json');
    await put({ sources: [write('there')], prefix: key('raw/there') });
    await put({ sources: [file], prefix: key(prefix) });
    expect(await paths()).toContain(path);
  });

  it('a folder alone goes directly below, several keep their names', async () => {
    write('one/x');
    write('two/y');
    const [one, two] = [join(source, 'one'), join(source, 'two')];
    await put({ sources: [one], prefix: key('single') });
    await put({ sources: [one, two, write('z')], prefix: key('several') });
    expect(await paths()).toEqual(['several/one/x', 'several/two/y', 'several/z', 'single/x']);
  });

  it('refuses, before anything is staged, what cannot be right', async () => {
    const file = write('a');
    await expect(put({ recursive: false })).rejects.toMatchObject({
      ...failure('is-directory', source),
      hint: expect.stringContaining('-r') as string,
    });
    await expect(put({ sources: [file, join(source, 'gone')] })).rejects.toMatchObject(
      failure('not-found', 'gone'),
    );
    await expect(put({ branch: 'nope' })).rejects.toMatchObject(failure('not-found', 'nope'));
    const long = key(`${'x'.repeat(1020)}/`);
    await put({ sources: [file], prefix: long });
    await expect(put({ sources: [write('long-name')], prefix: long })).rejects.toMatchObject(
      failure('invalid', '1024'),
    );
    execFileSync('mkfifo', [join(source, 'pipe')]);
    await expect(put({ sources: [join(source, 'pipe')] })).rejects.toMatchObject(
      failure('invalid', 'pipe'),
    );
    expect(await paths()).toEqual([`${'x'.repeat(1020)}/a`]);
  });
});

describe('a put among others', () => {
  it('stops when it is aborted, and what is staged has its bytes', async () => {
    for (let i = 0; i < 3000; i += 1) write(`d${i % 10}/f${i}`, randomBytes(8192));
    const controller = new AbortController();
    const input = { ...sandbox.target, sources: [source], prefix: key(''), recursive: true };
    const running = sandbox.threads.run('put', input, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ kind: 'aborted' });
    for (const path of await paths()) {
      expect((await contentOf(path)).equals(readFileSync(join(source, path)))).toBe(true);
    }
    await expect(put({}, AbortSignal.abort())).rejects.toMatchObject({ kind: 'aborted' });
    await put();
    expect(await paths()).toHaveLength(3000);
  });

  it('at the same path at once leaves one of both, whole', async () => {
    const [one, two] = [write('one', randomBytes(50_000)), write('two', randomBytes(2_000_000))];
    await Promise.all(
      [one, two, one, two].map((file) => put({ sources: [file], prefix: key('same') })),
    );
    const content = await contentOf('same');
    expect([one, two].some((file) => readFileSync(file).equals(content))).toBe(true);
  });

  it('takes what it read of a file that changes meanwhile', async () => {
    const file = write('growing', Buffer.alloc(BLOCK_BYTES * 4, 1));
    const running = put();
    writeFileSync(file, Buffer.alloc(BLOCK_BYTES * 6, 2), { flag: 'r+' });
    await running;
    const entry = await (await view()).get(key('growing'));
    const content = await contentOf('growing');
    expect(content.length).toBe(entry?.kind === 'file' ? entry.size : -1);
    rmSync(file);
    const gone = await put({ sources: [source] });
    expect(gone.files).toBe(0);
    expect(keyToText(key('growing'))).toBe((await paths())[0]);
  });
});
