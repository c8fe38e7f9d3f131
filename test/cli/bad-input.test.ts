import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ran, RunOptions } from './shell.js';
import { MAIN, run, Shell } from './shell.js';

let shell: Shell;

beforeAll(async () => {
  shell = await Shell.open();
  await shell.must('repo', 'create', 'drive');
  const file = await shell.file('a.txt', 'alpha');
  await shell.must('put', file, 'drive/main/raw/a.txt');
  await shell.must('commit', 'drive/main', '-m', 'one');
});

afterAll(() => shell.dispose());

/** The command fails with `code` and says `words` on stderr, then how to go on. */
async function refuses(
  args: readonly string[],
  code: number,
  ...words: readonly string[]
): Promise<Ran> {
  return refusesWith(args, {}, code, ...words);
}

async function refusesWith(
  args: readonly string[],
  options: RunOptions,
  code: number,
  ...words: readonly string[]
): Promise<Ran> {
  const ran = await shell.tarn(args, options);
  expect(ran.stderr).toMatch(/^tarn: /);
  for (const word of words) expect(ran.stderr).toContain(word);
  expect(ran.code).toBe(code);
  expect(ran.stdout).toBe('');
  return ran;
}

describe('what is not there', () => {
  it('names a missing repository and how to make it', async () => {
    await refuses(['ls', 'nosuch/main'], 1, "no repository 'nosuch'", 'hint: ', 'tarn repo create');
    await refuses(['repo', 'show', 'nosuch'], 1, "no repository 'nosuch'");
    await refuses(['put', shell.path('a.txt'), 'nosuch/main/a'], 1, "no repository 'nosuch'");
  });

  it('names a missing ref', async () => {
    await refuses(['ls', 'drive/nosuch'], 1, "no branch, tag or commit 'nosuch'", 'hint: ');
    await refuses(['mount', 'drive/nosuch', await shell.mountPoint('m0')], 1, "'nosuch'");
    await refuses(['log', 'drive/main~9'], 1, 'goes back too far');
    await refuses(['put', shell.path('a.txt'), 'drive/nosuch/a'], 1, "'nosuch'");
    await refuses(['branch', 'delete', 'drive/nosuch', '--yes'], 1, "'nosuch'");
    await refuses(['tag', 'delete', 'drive/nosuch', '--yes'], 1, "'nosuch'");
  });

  it('names a missing path, in a commit, on a branch and on this machine', async () => {
    await refuses(['cat', 'drive/main/raw/b.txt'], 1, "nothing at 'drive/main/raw/b.txt'");
    await refuses(['stat', 'drive/main@/b'], 1, "nothing at 'drive/main@/b'");
    await refuses(['du', 'drive/main/b'], 1, "nothing at 'drive/main/b'");
    await refuses(['rm', 'drive/main/b'], 1, "'b'");
    await refuses(['get', 'drive/main/b', shell.path('out')], 1, "nothing at 'drive/main/b'");
    await refuses(['put', shell.path('nosuch'), 'drive/main/b'], 1, 'no file or folder');
  });

  it('names an ambiguous prefix of commits', async () => {
    const [newest] = await shell.jsonRows<{ commit: string }>('log', 'drive/main');
    const taken = String(newest?.commit);
    const { storage } = await shell.json<{ storage: string }>('repo', 'show', 'drive');
    // A second commit with the same first digits takes long to find; an object of such a name does.
    const shard = join(storage, 'commits', taken.slice(0, 2));
    const twin = `${taken.slice(0, 63)}${taken.endsWith('0') ? '1' : '0'}`;
    await writeFile(join(shard, twin), 'another');
    try {
      const prefix = taken.slice(0, 12);
      await refuses(['show', `drive/${prefix}`], 1, `begins with '${prefix}'`, 'more digits');
    } finally {
      await rm(join(shard, twin));
    }
  });
});

describe('files and folders taken for one another', () => {
  it('says which it is', async () => {
    await refuses(['cat', 'drive/main/raw'], 1, "'drive/main/raw' is a folder");
    await refuses(['ls', 'drive/main/raw/a.txt/'], 1, 'is a file, not a folder');
    await refuses(['get', '-r', 'drive/main/raw/a.txt', shell.path('o')], 1, 'is a file');
    await refuses(['get', 'drive/main/raw', shell.path('o')], 1, 'is a folder', 'add -r');
    await refuses(['rm', 'drive/main/raw'], 1, 'is a folder', 'add -r');
    await mkdir(shell.path('folder'), { recursive: true });
    await refuses(['put', shell.path('folder'), 'drive/main/x'], 1, 'is a folder', 'add -r');
  });
});

describe('addresses and paths that break a rule', () => {
  it('refuses paths that no file system could name', async () => {
    const long = 'a'.repeat(1025);
    await refuses(['ls', `drive/main/${long}`], 2, '1025 bytes long, at most 1024');
    await refuses(['ls', 'drive/main/a//b'], 1, "nothing at 'drive/main/a//b'");
    await refuses(['put', shell.path('a.txt'), 'drive/main/a//b'], 2, 'empty component');
    await refuses(['mv', 'drive/main/a.txt', 'drive/main//a'], 2, 'empty component');
    await refuses(['put', shell.path('a.txt'), 'drive/main/../a'], 2, "the component '..'");
    await refuses(['put', shell.path('a.txt'), 'drive/main/./a'], 2, "the component '.'");
    // Programs cannot pass a NUL in an argument; what arrives as invalid UTF-8 shows as U+FFFD.
    await refuses(['ls', 'drive/main/a\uFFFDb'], 2, 'not valid UTF-8');
  });

  it('refuses invalid UTF-8 as a shell would pass it', async () => {
    const script = `exec "$0" "$1" ls "drive/main/$(printf 'a\\377b')"`;
    const ran = await run('sh', ['-c', script, process.execPath, MAIN]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('not valid UTF-8');
  });

  it('says what an address looks like', async () => {
    await refuses(['ls', 'drive'], 2, 'names no branch, tag or commit', 'as in ');
    await refuses(['ls', 'Drive/main'], 2, "'Drive' is not a repository name");
    await refuses(['ls', 's3://bucket/x'], 2, 'not an address of tarn');
    await refuses(['log', 'drive/main/raw'], 2, 'goes on after the name of a ref');
    await refuses(['branch', 'create', 'drive/a.b'], 2, 'not a branch name');
    await refuses(
      ['put', shell.path('a.txt'), 'drive/main~1/a'],
      2,
      'only a branch can be changed',
    );
    await refuses(['branch', 'create', 'drive/x', '--from', 'other/main'], 2, "repository 'other'");
  });
});

describe('commands typed wrongly', () => {
  it('points to the help', async () => {
    await refuses(['frobnicate'], 2, "'tarn frobnicate' is not a command", "'tarn --help'");
    await refuses(['ls'], 2, 'ADDRESS is missing', "'tarn ls --help'");
    await refuses(['ls', 'drive/main', 'extra'], 2, "'extra'");
    await refuses(['ls', '--frob', 'drive/main'], 2, "'--frob'");
    await refuses(['branch'], 2, 'one of: list, create, rename, delete');
    await refuses(['branch', 'frob'], 2, "cannot 'frob'");
    await refuses(['log', 'drive/main', '--limit', 'ten'], 2, '--limit takes a whole number');
    await refuses(['cat', 'drive/main/raw/a.txt', '--range', '9-1'], 2, 'not a range of bytes');
    await refuses(['umount'], 2, 'a directory or --all');
    await refuses(['mount', 'drive/main', shell.path('m'), '--driver', 'x'], 2, "no driver 'x'");
  });

  it('refuses --meta without =, twice the same key, and no message', async () => {
    const commit = ['commit', 'drive/main', '-m', 'two'];
    await refuses([...commit, '--meta', 'vehicle'], 2, "--meta 'vehicle' has no '='", 'KEY=VALUE');
    await refuses([...commit, '--meta', '=av'], 2, 'has no key');
    await refuses([...commit, '--meta', 'a=1', '--meta', 'a=2'], 2, "'a' twice");
    await refuses(['commit', 'drive/main'], 2, 'needs a message');
    await refuses(['commit', 'drive/main', '-m', ' '], 2, 'needs a message');
  });

  it('destroys nothing where nobody can be asked', async () => {
    await refuses(['repo', 'delete', 'drive'], 2, 'nobody can be asked', '--yes');
    await refuses(['rm', '-r', 'drive/main/raw'], 2, '--yes');
    await refuses(['branch', 'delete', 'drive/main'], 2, '--yes');
    expect(await shell.must('ls', 'drive/main')).toBe('raw/\n');
  });

  it('reports errors as JSON when asked', async () => {
    const ran = await shell.tarn(['cat', 'drive/main/b', '--json']);
    expect(ran.code).toBe(2);
    const missing = await shell.tarn(['stat', 'drive/main/b', '--json']);
    expect(JSON.parse(missing.stderr)).toMatchObject({ error: { kind: 'not-found' } });
    expect(missing.code).toBe(1);
  });
});

describe('what cannot be done', () => {
  it('commits nothing when nothing is staged, or nothing changed', async () => {
    await refuses(['commit', 'drive/main', '-m', 'two'], 1, 'nothing is staged', 'tarn put');
    await shell.must('put', shell.path('a.txt'), 'drive/main/raw/a.txt');
    await refuses(['commit', 'drive/main', '-m', 'two'], 1, 'nothing is staged');
  });

  it('refuses names that are taken and storage it does not know', async () => {
    await refuses(['repo', 'create', 'drive'], 1, "a repository 'drive' already");
    await refuses(['repo', 'create', 'b', '--storage', 's3://bucket'], 1, 's3://');
    await refuses(['repo', 'create', 'b', '--storage', shell.root], 1, 'is not empty');
    await refuses(['branch', 'create', 'drive/main'], 1, "a branch 'main' already");
  });

  it('refuses a terminal-less stdin target that is a folder', async () => {
    await refusesWith(['put', '-', 'drive/main/dir/'], { input: 'x' }, 2, 'names no file');
  });

  it('keeps what is in the way of get, and names it', async () => {
    await shell.file('kept/a.txt', 'mine');
    const ran = await shell.tarn(['get', '-r', 'drive/main@/raw', shell.path('kept')]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("a.txt' exists (--force overwrites)");
    expect(await readFile(shell.path('kept/a.txt'), 'utf8')).toBe('mine');
    await shell.must('get', '-r', '--force', 'drive/main@/raw', shell.path('kept'));
    expect(await readFile(shell.path('kept/a.txt'), 'utf8')).toBe('alpha');
    expect(await readdir(shell.path('kept'))).toEqual(['a.txt']);
  });

  it('names the object of a damaged repository', async () => {
    await shell.must('repo', 'create', 'damaged');
    const big = await shell.file('big.bin', Buffer.alloc(3_000_000, 'x'));
    await shell.must('put', big, 'damaged/main/big.bin');
    await shell.must('commit', 'damaged/main', '-m', 'big');
    const { storage } = await shell.json<{ storage: string }>('repo', 'show', 'damaged');
    await shell.must('daemon', 'stop');
    const [object = ''] = (await readdir(join(storage, 'files'), { recursive: true })).filter(
      (name) => name.length > 60,
    );
    const file = await open(join(storage, 'files', object), 'r+');
    await file.write(Buffer.from('y'), 0, 1, 2_000_000);
    await file.close();
    const ran = await shell.tarn(['cat', 'damaged/main/big.bin']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(object.replace(/^.*\//, ''));
    await rm(join(storage, 'trees'), { recursive: true });
    await shell.must('daemon', 'stop');
    await refuses(['ls', 'damaged/main'], 1, 'trees/');
    const doctor = await shell.tarn(['doctor', 'damaged']);
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toContain('FAIL  branch main');
  });
});

describe('two at once', () => {
  it('stages one of two puts of the same path, whole', async () => {
    const one = await shell.file('one.bin', Buffer.alloc(2_500_000, '1'));
    const two = await shell.file('two.bin', Buffer.alloc(2_500_000, '2'));
    const put = (path: string): Promise<Ran> => shell.tarn(['put', path, 'drive/main/same.bin']);
    const both = await Promise.all([put(one), put(two)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    const digits = new Set(await shell.must('cat', 'drive/main/same.bin'));
    expect(digits.size).toBe(1);
    expect(await shell.json('stat', 'drive/main/same.bin')).toMatchObject({ size: 2_500_000 });
  });
});
