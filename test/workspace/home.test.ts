import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { homePath } from '../../src/workspace/home-path.js';
import { Home, lockHome } from '../../src/workspace/home.js';
import { ensureBuilt } from './built.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tarn-home-'));
  path = join(directory, 'deep', 'home');
});
afterEach(() => rmSync(directory, { recursive: true }));

const failure = (kind: string, words: string) =>
  expect.objectContaining({ kind, message: expect.stringContaining(words) as string }) as unknown;

function thrown(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

describe('the home directory', () => {
  it('is where the environment says', () => {
    expect(homePath({ TARN_HOME: '/x/y' })).toBe('/x/y');
    expect(homePath({ TARN_HOME: '', XDG_DATA_HOME: '/data' })).toBe('/data/tarn');
    expect(homePath({ XDG_DATA_HOME: 'relative' })).toMatch(/\/\.local\/share\/tarn$/);
    expect(homePath({})).toMatch(/\/\.local\/share\/tarn$/);
  });

  it('is made private, and refused when others may write to it', () => {
    Home.open(path).close();
    expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const mode of [0o770, 0o702]) {
      chmodSync(path, mode);
      expect(thrown(() => Home.open(path))).toEqual(failure('denied', path));
      expect(thrown(() => lockHome(path))).toEqual(failure('denied', path));
    }
    chmodSync(path, 0o750);
    Home.open(path).close();
  });

  it('is refused when it is a file', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(thrown(() => Home.open(join(directory, 'file')))).toMatchObject({ name: 'TarnError' });
  });

  it('remembers repositories, each name once', () => {
    let home = Home.open(path);
    home.addRepository({ name: 'drive', storage: '/a' });
    home.addRepository({ name: 'aerial', storage: '/b' });
    expect(thrown(() => home.addRepository({ name: 'drive', storage: '/c' }))).toEqual(
      failure('exists', "'drive'"),
    );
    home.close();
    home = Home.open(path);
    expect(home.repositories().map(({ name }) => name)).toEqual(['aerial', 'drive']);
    expect(home.repository('drive').storage).toBe('/a');
    home.removeRepository('drive');
    expect(thrown(() => home.repository('drive'))).toEqual(failure('not-found', "'drive'"));
    home.close();
  });

  it('says so when its list of repositories is damaged', () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(join(path, 'repositories.db'), 'not a database'.repeat(1000));
    expect(thrown(() => Home.open(path))).toEqual(failure('corrupt', 'repositories.db'));
  });
});

describe('the lock of a home', () => {
  beforeAll(ensureBuilt);

  it('is held by one at a time', () => {
    const lock = lockHome(path);
    expect(thrown(() => lockHome(path))).toEqual(failure('busy', path));
    lock.release();
    lockHome(path).release();
  });

  it('ends with the process that held it, even with kill -9', async () => {
    const url = new URL('../../dist/workspace/home.js', import.meta.url).href;
    const script = `import { lockHome } from '${url}';
      globalThis.lock = lockHome('${path}'); console.log('locked'); setInterval(() => 0, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    await once(child.stdout, 'data');
    expect(thrown(() => lockHome(path))).toEqual(failure('busy', path));
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    lockHome(path).release();
  });
});
