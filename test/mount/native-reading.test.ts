import { createHash } from 'node:crypto';
import { open, readdir, readFile, readlink, stat, statfs } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listTarnMounts } from '../../src/mount/mounts.js';
import { NativeDriver } from '../../src/mount/native/driver.js';
import { NativeChild, program, python } from './native-child.js';

const MANY = 10_000;
const LONG_NAME = 'n'.repeat(255);
const SPARSE_AT = 5 * 2 ** 30 + 12345;
const PATTERN_SIZE = 3 * 2 ** 20 + 17;

const missing = await new NativeDriver().unavailable();

function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = at * 7 + (at >> 8) * 13 + (at >> 16);
  return bytes;
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

const WANTED = md5(pattern(PATTERN_SIZE));

describe.skipIf(missing !== undefined)('what a native mount shows', () => {
  let child: NativeChild;
  beforeAll(async () => {
    child = await NativeChild.mounted();
  });
  afterAll(() => child.stop());

  const calls = async (name: string): Promise<number> => (await child.counts()).calls[name] ?? 0;

  it('is listed with its source, odd characters escaped', async () => {
    const mounts = await listTarnMounts();
    const here = mounts.find((mount) => mount.directory === child.directory);
    expect(here?.source).toBe('tarn://drive/0123%20commit%2Cx');
  });

  it('lists 10,000 entries with their attributes and no lookup for each', async () => {
    const before = await calls('lookup');
    const listed = await program('find', child.path('many'), '-name', 'f*', '-printf', '%f %s\n');
    const lines = listed.trim().split('\n').sort();
    expect(lines.length).toBe(MANY);
    expect(lines[1234]).toBe('f01234 1234');
    expect((await calls('lookup')) - before).toBeLessThanOrEqual(1);
  });

  it('answers a second listing from the kernel alone', async () => {
    const before = await calls('readdir');
    expect((await readdir(child.path('many'))).length).toBe(MANY);
    expect(await calls('readdir')).toBe(before);
  });

  it('remembers that a name is absent', async () => {
    const before = await calls('lookup');
    for (let times = 0; times < 3; times++) {
      await expect(stat(child.path('absent'))).rejects.toMatchObject({ code: 'ENOENT' });
    }
    expect(await calls('lookup')).toBe(before + 1);
  });

  it('answers what is not at hand when it comes', async () => {
    expect((await stat(child.path('later'))).size).toBe(PATTERN_SIZE);
  });

  it('shows inode numbers of 52 bits and times before 1970 exactly', async () => {
    const far = await stat(child.path('far'), { bigint: true });
    expect(far.ino).toBe(2n ** 52n - 1n);
    expect(far.mtimeNs).toBe(-86_400n * 1_000_000_000n + 999_999_999n);
  });

  it('counts blocks of 512 bytes, as du does', async () => {
    const plain = await stat(child.path('plain'));
    expect(plain.blocks).toBe(Math.ceil(PATTERN_SIZE / 512));
  });

  it('takes names of 255 bytes and refuses longer ones', async () => {
    expect((await stat(child.path(LONG_NAME))).size).toBe(1);
    const tooLong = stat(child.path(`${LONG_NAME}n`));
    await expect(tooLong).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
  });

  it('reads links', async () => {
    expect(await readlink(child.path('link'))).toBe('plain');
    expect(md5(await readFile(child.path('link')))).toBe(WANTED);
  });

  it('tells the totals of the whole filesystem', async () => {
    const totals = await statfs(child.directory);
    expect(totals).toMatchObject({ bsize: 4096, blocks: 2442, bfree: 0, files: 10_009, ffree: 0 });
  });

  it('gives extended attributes by the protocol of sizes', async () => {
    const read = 'import os,sys; print(os.getxattr(sys.argv[1], sys.argv[2]).decode())';
    expect(await python(read, child.path('plain'), 'user.tarn.path')).toBe('inode 3');
    expect(await python(read, child.path('plain'), 'user.tarn.long')).toBe('x'.repeat(1000));
    await expect(python(read, child.path('plain'), 'user.none')).rejects.toThrow('Errno 61');
    const list = 'import os,sys; print(os.listxattr(sys.argv[1]))';
    expect(await python(list, child.path('plain'))).toBe("['user.tarn.path', 'user.tarn.long']");
    const sizes = `
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1].encode()
print(libc.getxattr(path, b'user.tarn.long', None, 0), libc.listxattr(path, None, 0))
print(libc.getxattr(path, b'user.tarn.long', ctypes.create_string_buffer(10), 10), ctypes.get_errno())`;
    expect(await python(sizes, child.path('plain'))).toBe('1000 30\n-1 34');
  });

  it('knows user attributes only, and says so, for ls to ask once and not for each file', async () => {
    const before = await calls('getxattr');
    const read = 'import os,sys; os.getxattr(sys.argv[1], sys.argv[2])';
    for (const name of ['security.selinux', 'trusted.x', 'security.capability']) {
      await expect(python(read, child.path('plain'), name)).rejects.toThrow('Errno 95');
    }
    expect(await calls('getxattr')).toBe(before);
  });

  it('turns a fault into EIO and reports it', async () => {
    await expect(readFile(child.path('broken'))).rejects.toMatchObject({ code: 'EIO' });
    await expect(stat(child.path('throws'))).rejects.toMatchObject({ code: 'EIO' });
    const { faults } = await child.counts();
    expect(faults).toContain('the bytes are gone');
    expect(faults).toContain('a fault in the filesystem');
  });
});

describe.skipIf(missing !== undefined)('how a native mount reads', () => {
  let child: NativeChild;
  beforeAll(async () => {
    child = await NativeChild.mounted();
  });
  afterAll(() => child.stop());

  const reads = async (): Promise<number> => (await child.counts()).calls['read'] ?? 0;
  const feature = async (name: string): Promise<number> => Number((await child.features())[name]);

  it('through the filesystem where there is no backing', async () => {
    const before = await reads();
    expect(md5(await readFile(child.path('plain')))).toBe(WANTED);
    expect(await reads()).toBeGreaterThan(before);
  });

  it('through kernel passthrough where a whole, verified file backs it', async () => {
    const [readsBefore, opensBefore] = [await reads(), await feature('passthroughOpens')];
    const nativeBefore = await feature('nativeReads');
    expect(md5(await readFile(child.path('whole')))).toBe(WANTED);
    expect(await reads()).toBe(readsBefore);
    if ((await child.features())['passthrough'] !== true) return;
    expect(await feature('passthroughOpens')).toBe(opensBefore + 1);
    expect(await feature('nativeReads')).toBe(nativeBefore);
  });

  it('shares one backing among the opens of an inode', async () => {
    const files = await Promise.all([1, 2, 3].map(() => open(child.path('whole'))));
    for (const file of files) expect(md5(await file.readFile())).toBe(WANTED);
    await files[0]?.close();
    expect(md5(await readFile(child.path('whole')))).toBe(WANTED);
    for (const file of files.slice(1)) await file.close();
    expect(md5(await readFile(child.path('whole')))).toBe(WANTED);
  });

  it('by itself what lies at an offset of a larger file', async () => {
    const before = await reads();
    expect(md5(await readFile(child.path('packed')))).toBe(md5(pattern(5000)));
    expect(await reads()).toBe(before);
    expect(await feature('nativeReads')).toBeGreaterThan(0);
  });

  it('by itself what was granted, and asks for the rest', async () => {
    const [readsBefore, nativeBefore] = [await reads(), await feature('nativeReads')];
    const file = await open(child.path('granted'));
    // Far apart, so that read-ahead does not join them.
    const first = Buffer.alloc(4096);
    await file.read(first, 0, 4096, 0);
    expect(first).toEqual(pattern(4096));
    expect(await reads()).toBeGreaterThan(readsBefore);
    const readsThen = await reads();
    await file.read(first, 0, 4096, 2 ** 21);
    await file.close();
    expect(md5(await readFile(child.path('granted')))).toBe(WANTED);
    expect(await reads()).toBeGreaterThanOrEqual(readsThen);
    expect(await feature('nativeReads')).toBeGreaterThan(nativeBefore);
  });

  it('beyond 4 GiB', async () => {
    const file = await open(child.path('sparse'));
    const bytes = Buffer.alloc(6);
    await file.read(bytes, 0, 6, SPARSE_AT - 1);
    await file.close();
    expect(bytes.toString('latin1')).toBe('\0deep\0');
  });

  it('with EIO, never with other bytes, when the backing file has shrunk', async () => {
    await child.call('shrink');
    await expect(readFile(child.path('shrinking'))).rejects.toMatchObject({ code: 'EIO' });
  });

  it('keeps an inode in the way it was first opened until its last release', async () => {
    const opensBefore = await feature('passthroughOpens');
    const cached = await open(child.path('mixed'));
    await child.call('backMixed');
    expect(md5(await readFile(child.path('mixed')))).toBe(WANTED);
    expect(md5(await cached.readFile())).toBe(WANTED);
    expect(await feature('passthroughOpens')).toBe(opensBefore);
    const { released } = await child.counts();
    await cached.close();
    await child.until((counts) => counts.released > released);
    expect(md5(await readFile(child.path('mixed')))).toBe(WANTED);
    if ((await child.features())['passthrough'] !== true) return;
    expect(await feature('passthroughOpens')).toBe(opensBefore + 1);
  });

  it('into memory maps', async () => {
    const code = `
import hashlib, mmap, sys
with open(sys.argv[1], 'rb') as f:
    print(hashlib.md5(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)).hexdigest())`;
    for (const name of ['plain', 'whole', 'granted']) {
      expect(await python(code, child.path(name))).toBe(WANTED);
    }
  });

  it('a hundred files at once', async () => {
    const all = Array.from({ length: 100 }, (_, i) =>
      readFile(child.path(['plain', 'whole', 'granted', 'packed'][i % 4] ?? 'plain')),
    );
    const sums = (await Promise.all(all)).map(md5);
    expect(new Set(sums)).toEqual(new Set([WANTED, md5(pattern(5000))]));
  });
});

describe.skipIf(missing !== undefined)('a native mount without passthrough', () => {
  let child: NativeChild;
  beforeAll(async () => {
    child = await NativeChild.mounted({ noPassthrough: true });
  });
  afterAll(() => child.stop());

  it('reads whole files on its own threads', async () => {
    expect(md5(await readFile(child.path('whole')))).toBe(WANTED);
    const features = await child.features();
    expect(features['passthrough']).toBe(false);
    expect(features['passthroughOpens']).toBe(0);
    expect(features['nativeReads']).toBeGreaterThan(0);
    expect((await child.counts()).calls['read']).toBeUndefined();
  });
});
