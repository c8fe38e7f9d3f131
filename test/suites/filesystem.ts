import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants, promises as fs } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CROWD, CROWD_COUNT, FILES, LOG, LOG_BYTES, type FileSpec } from './filesystem-files.js';

const run = promisify(execFile);

export interface FilesystemUnderTest {
  readonly directory: string;
  teardown(): Promise<void>;
}

/** Makes `files` appear, with what they need above them, under a new directory. */
export type FilesystemSetup = (files: readonly FileSpec[]) => Promise<FilesystemUnderTest>;

/**
 * What any file system shows to programs that read. It runs over a plain directory too, which is
 * the proof that it asks nothing that a disk would not answer. `lacks` names what the implementation
 * says it cannot do.
 */
export function runFilesystemSuite(
  name: string,
  setup: FilesystemSetup,
  lacks: { readonly inodesInListings?: boolean } = {},
): void {
  describe(`a filesystem: ${name}`, () => {
    let root = '';
    let under: FilesystemUnderTest | undefined;
    const at = (path: string): string => join(root, path);

    beforeAll(async () => {
      under = await setup(FILES);
      root = under.directory;
    });
    afterAll(async () => {
      await under?.teardown();
    });

    describeReading(at);
    describeListing(at);
    if (lacks.inodesInListings !== true) describeInodes(at);
    describeAttributes(at);
    describeErrors(at);
    describePrograms(at);
  });
}

type At = (path: string) => string;

const regularFiles = FILES.filter((f) => f.symlink === undefined && !f.path.endsWith('/'));
const symlinks = FILES.filter((f) => f.symlink !== undefined);

function describeReading(at: At): void {
  it('gives every file its bytes', async () => {
    for (const file of regularFiles) {
      const bytes = await fs.readFile(at(file.path));
      expect(bytes.equals(Buffer.from(file.bytes ?? '')), file.path).toBe(true);
    }
  });

  it('gives any range, cut at the end of the file', async () => {
    const file = await fs.open(at(LOG));
    try {
      const size = LOG_BYTES.length;
      const offsets = [0, 1, 4095, 4096, 131_071, 1_048_575, 1_048_576, 2_097_151, 3_145_728];
      for (const offset of [...offsets, size - 5000, size - 1, size, size + 1, size + 10_000_000]) {
        for (const length of [1, 4096, 131_073, 1_048_577]) {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
          const expected = LOG_BYTES.subarray(offset, offset + length);
          expect(bytesRead).toBe(expected.length);
          expect(buffer.subarray(0, bytesRead).equals(expected), `${offset}+${length}`).toBe(true);
        }
      }
    } finally {
      await file.close();
    }
  });

  it('serves many readers of many files at once, each its own', async () => {
    const readers = Array.from({ length: 32 }, async (_, i) => {
      const file = regularFiles[(i * 97) % regularFiles.length] as FileSpec;
      const [one, two] = [await fs.open(at(file.path)), await fs.open(at(LOG))];
      const bytes = await one.readFile();
      await one.close();
      const start = (i * 104_729) % 3_000_000;
      const { buffer } = await two.read(Buffer.alloc(8192), 0, 8192, start);
      await two.close();
      expect(bytes.equals(Buffer.from(file.bytes ?? '')), file.path).toBe(true);
      expect(buffer.equals(LOG_BYTES.subarray(start, start + 8192))).toBe(true);
    });
    await Promise.all(readers);
  });

  it('gives a symlink its target as stored, and follows it', async () => {
    for (const link of symlinks) {
      expect(await fs.readlink(at(link.path))).toBe(link.symlink);
    }
    expect(await fs.readFile(at('links/hello'), 'utf8')).toBe('hello\n');
    expect(await fs.readFile(at('links/run/calibration.yaml'), 'utf8')).toBe('fx: 1042.5\n');
  });

  it('maps files into memory', async () => {
    const program =
      'import mmap,sys,hashlib\n' +
      'f=open(sys.argv[1],"rb"); m=mmap.mmap(f.fileno(),0,access=mmap.ACCESS_READ)\n' +
      'print(hashlib.sha256(m[3000000:]+m[:3000000]).hexdigest())';
    const { stdout } = await run('python3', ['-c', program, at(LOG)]);
    const swapped = createHash('sha256')
      .update(LOG_BYTES.subarray(3_000_000))
      .update(LOG_BYTES.subarray(0, 3_000_000));
    expect(stdout.trim()).toBe(swapped.digest('hex'));
  });
}

/** Kind letter of every path that must be seen, `find -printf %y` style. */
function expectedPaths(): Map<string, string> {
  const kinds = new Map<string, string>([['.', 'd']]);
  for (const file of FILES) {
    const parts = file.path.split('/');
    const name = parts.pop() ?? '';
    let path = '.';
    for (const part of parts) {
      path = `${path}/${part}`;
      kinds.set(path, 'd');
    }
    if (name !== '') kinds.set(`${path}/${name}`, file.symlink === undefined ? 'f' : 'l');
  }
  return kinds;
}

function describeListing(at: At): void {
  it('lists every name once, with its kind', async () => {
    const { stdout } = await run('find', ['.', '-printf', '%y%p\\0'], {
      cwd: at(''),
      maxBuffer: 1 << 24,
    });
    const seen = stdout.split('\0').slice(0, -1);
    const expected = [...expectedPaths()].map(([path, kind]) => `${kind}${path}`);
    expect(seen.toSorted()).toEqual(expected.toSorted());
  });

  it('lists a large directory in small pieces', async () => {
    const names: string[] = [];
    for await (const { name } of await fs.opendir(at(CROWD), { bufferSize: 1 })) names.push(name);
    expect(names.length).toBe(CROWD_COUNT);
    expect(new Set(names).size).toBe(CROWD_COUNT);
  });

  it('resumes a listing from any position it gave', async () => {
    const program =
      'opendir(D,$ARGV[0]) or die $!; my (@n,@p); ' +
      'while(1){my $p=telldir(D); my $n=readdir(D); last unless defined $n; push @p,$p; push @n,$n;} ' +
      'for my $i (2000,5,0,1,2,1500,3001){seekdir(D,$p[$i]); my $n=readdir(D); ' +
      'die "at $i: $n, not $n[$i]" unless $n eq $n[$i];} print scalar(@n);';
    const { stdout } = await run('perl', ['-e', program, at(CROWD)]);
    expect(stdout).toBe(String(CROWD_COUNT + 2));
  });

  it('lists itself as `.` and its parent as `..`', async () => {
    const inode = async (path: string): Promise<number> => (await fs.lstat(at(path))).ino;
    expect(await inode('raw/.')).toBe(await inode('raw'));
    expect(await inode('raw/run-8421/..')).toBe(await inode('raw'));
    expect(await inode('raw/run-8421/../../hello.txt')).toBe(await inode('hello.txt'));
    const { stdout } = await run('ls', ['-a', at('void')]);
    expect(stdout.split('\n').filter(Boolean)).toEqual(['.', '..']);
  });
}

function describeInodes(at: At): void {
  it('gives each node a number of its own, the same by every road', async () => {
    const { stdout } = await run('find', ['.', '-printf', '%i\\0%p\\0'], {
      cwd: at(''),
      maxBuffer: 1 << 24,
    });
    const fields = stdout.split('\0');
    const inodes = new Set<string>();
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const [inode = '', path = ''] = [fields[i], fields[i + 1]];
      inodes.add(inode);
      if (i % 64 === 0) expect(String((await fs.lstat(at(path))).ino), path).toBe(inode);
    }
    expect(inodes.size).toBe(expectedPaths().size);
  });
}

function describeAttributes(at: At): void {
  it('shows sizes, modes, times and kinds as stored', async () => {
    for (const file of FILES) {
      const { path, bytes = '', symlink, mode, mtimeMs } = file;
      const stat = await fs.lstat(at(path));
      const kind = symlink !== undefined ? 'l' : path.endsWith('/') ? 'd' : 'f';
      expect(stat.isSymbolicLink() ? 'l' : stat.isDirectory() ? 'd' : 'f', path).toBe(kind);
      if (kind !== 'd') expect(stat.size, path).toBe(Buffer.byteLength(symlink ?? bytes));
      if (mode !== undefined) expect(stat.mode & 0o7777, path).toBe(mode);
      if (mtimeMs !== undefined) expect(stat.mtimeMs, path).toBe(mtimeMs);
      expect(stat.nlink).toBeGreaterThan(0);
      expect(stat.uid).toBe(process.getuid?.());
      if (kind === 'f') expect(stat.blocks * 512, path).toBeGreaterThanOrEqual(stat.size);
    }
  });

  it('shows an open file as its name does', async () => {
    const file = await fs.open(at(LOG));
    try {
      const [byHandle, byName] = [await file.stat(), await fs.stat(at(LOG))];
      expect(byHandle).toEqual(byName);
    } finally {
      await file.close();
    }
  });

  it('runs what is executable and refuses what is not', async () => {
    const { stdout } = await run(at('bin/replay'), ['run-8421']);
    expect(stdout).toBe('replayed run-8421\n');
    await expect(run(at('bin/notes'))).rejects.toMatchObject({ code: 'EACCES' });
    await expect(fs.access(at('bin/notes'), constants.X_OK)).rejects.toThrow('EACCES');
  });
}

function describeErrors(at: At): void {
  const cases: readonly [string, string, () => Promise<unknown>][] = [
    ['a name that is not there', 'ENOENT', () => fs.stat(at('raw/run-9999'))],
    ['a part of a name', 'ENOENT', () => fs.stat(at('raw/run-842'))],
    ['a name in another case', 'ENOENT', () => fs.stat(at('HELLO.TXT'))],
    ['a path through a missing directory', 'ENOENT', () => fs.stat(at('none/of/this'))],
    ['a path through a file', 'ENOTDIR', () => fs.stat(at('hello.txt/x'))],
    ['a file named as a directory', 'ENOTDIR', () => fs.stat(`${at('hello.txt')}/`)],
    ['listing a file', 'ENOTDIR', () => fs.readdir(at('hello.txt'))],
    ['reading a directory', 'EISDIR', () => fs.readFile(at('raw'))],
    ['a name of 256 bytes', 'ENAMETOOLONG', () => fs.stat(at('n'.repeat(256)))],
    ['readlink of a file', 'EINVAL', () => fs.readlink(at('hello.txt'))],
    ['readlink of a directory', 'EINVAL', () => fs.readlink(at('raw'))],
    ['a symlink to itself', 'ELOOP', () => fs.readFile(at('links/loop'))],
    ['a symlink to nowhere', 'ENOENT', () => fs.readFile(at('links/nowhere'))],
    [
      'opening a symlink without following',
      'ELOOP',
      () => fs.open(at('links/hello'), constants.O_RDONLY | constants.O_NOFOLLOW),
    ],
    [
      'opening a file as a directory',
      'ENOTDIR',
      () => fs.open(at('hello.txt'), constants.O_RDONLY | constants.O_DIRECTORY),
    ],
    ['creating over what exists', 'EEXIST', () => fs.mkdir(at('raw'))],
  ];
  it.each(cases)('answers %s with %s', async (_what, code, act) => {
    await expect(act()).rejects.toMatchObject({ code });
    // The answer is the same when the kernel has it in its cache.
    await expect(act()).rejects.toMatchObject({ code });
  });
}

function describePrograms(at: At): void {
  const withCopy = async (copy: (target: string) => Promise<unknown>): Promise<void> => {
    const target = await mkdtemp(join(tmpdir(), 'tarn-copy-'));
    try {
      await copy(target);
      await run('diff', ['-r', '--no-dereference', at(''), target], { maxBuffer: 1 << 24 });
    } finally {
      await rm(target, { recursive: true });
    }
  };

  it('is copied whole by tar', () =>
    withCopy((target) =>
      run('sh', ['-c', 'tar -C "$0" -cf - . | tar -C "$1" -xf -', at(''), target]),
    ));

  it('is copied whole by cp -a', () =>
    withCopy((target) => run('cp', ['-a', `${at('')}/.`, target])));

  it('is listed by ls in every manner', async () => {
    const { stdout } = await run('ls', ['-lAR', '--time-style=full-iso', at('')], {
      maxBuffer: 1 << 24,
    });
    expect(stdout).toContain('2025-06-14');
    expect(stdout.split('\n').filter((line) => line.endsWith('.jpg')).length).toBe(CROWD_COUNT);
  });

  it('is searched by grep and compared by cmp', async () => {
    const { stdout } = await run('grep', ['-rl', '^frame 2718$', at('frames')]);
    expect(stdout).toBe(`${at(CROWD)}/002718.jpg\n`);
    await run('cmp', ['-n', '4096', at('raw/page'), at('raw/page-and-one')]);
    await expect(run('cmp', [at('raw/page'), at('raw/page-and-one')])).rejects.toThrow('EOF');
  });

  it('answers md5sum -c of itself', async () => {
    const sums = await mkdtemp(join(tmpdir(), 'tarn-sums-'));
    try {
      const list = join(sums, 'list');
      const all =
        'find ./raw ./bin ./frames -type f -exec md5sum {} + > "$0" && md5sum --quiet -c "$0"';
      await run('sh', ['-c', all, list], { cwd: at('') });
    } finally {
      await rm(sums, { recursive: true });
    }
  });
}
