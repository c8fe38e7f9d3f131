import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findAddon } from '../../src/mount/native/addon.js';
import { nativeFileCalls } from '../../src/mount/native/file-calls.js';
import { FALLOCATE_KEEP_SIZE, FALLOCATE_PUNCH_HOLE } from '../../src/overlay/bytes/file-calls.js';

const addon = findAddon();

/** Maps a file, closes it, and lets the map go when its standard input ends. */
const MAPPER = `
import mmap, sys
with open(sys.argv[1], 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
print('mapped', flush=True)
sys.stdin.read()
`;

describe.skipIf(addon === undefined)('system calls on files that the addon makes', () => {
  const calls = addon === undefined ? undefined : nativeFileCalls(addon);
  let folder = '';
  let path = '';
  let fd = -1;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tarn-calls-'));
    path = join(folder, 'file');
    fd = openSync(path, 'w+');
  });
  afterEach(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  it('allocate, punch holes and find them', () => {
    calls?.fallocate(fd, 0, 0, 65_536);
    expect(fstatSync(fd).size).toBe(65_536);
    writeSync(fd, Buffer.alloc(65_536, 'x'), 0, 65_536, 0);
    calls?.fallocate(fd, FALLOCATE_PUNCH_HOLE | FALLOCATE_KEEP_SIZE, 16_384, 16_384);
    expect(calls?.seek(fd, 0, 'hole')).toBe(16_384);
    expect(calls?.seek(fd, 16_384, 'data')).toBe(32_768);
    expect(calls?.seek(fd, 65_536, 'data')).toBe('ENXIO');
    expect(() => calls?.fallocate(fd, 0, -1, 5)).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'fallocate' }),
    );
  });

  it('copy ranges, up to the end of the source', () => {
    writeSync(fd, 'raw/2025-06-14/run-8421');
    const other = openSync(join(folder, 'other'), 'w+');
    expect(calls?.copyRange(fd, 4, other, 2, 100)).toBe(19);
    const got = Buffer.alloc(30);
    expect(readSync(other, got, 0, 30, 0)).toBe(21);
    expect(got.toString('latin1', 0, 21)).toBe('\0\x002025-06-14/run-8421');
    expect(calls?.copyRange(fd, 23, other, 0, 100)).toBe(0);
    closeSync(other);
  });

  it('set times to the nanosecond, each alone', () => {
    calls?.setTimes(fd, { sec: 1, nsec: 2 }, { sec: -86_400, nsec: 999_999_999 });
    const { atimeNs, mtimeNs } = fstatSync(fd, { bigint: true });
    expect([atimeNs, mtimeNs]).toEqual([1_000_000_002n, -86_400_000_000_000n + 999_999_999n]);
    calls?.setTimes(fd, undefined, 'now');
    const after = fstatSync(fd, { bigint: true });
    expect(after.atimeNs).toBe(1_000_000_002n);
    expect(after.mtimeNs).toBeGreaterThan(mtimeNs);
  });

  it('do work alone, within itself too, and give what it gives or throws', () => {
    expect(calls?.alone(fd, () => calls.alone(fd, () => 8421))).toBe(8421);
    const fails = (): unknown =>
      calls?.alone(fd, () => {
        throw new Error('glare');
      });
    expect(fails).toThrow('glare');
    expect(calls?.alone(fd, () => 'free again')).toBe('free again');
  });

  it('tell whether a program may still write a file through a map', async () => {
    ftruncateSync(fd, 4096);
    expect(calls?.isWrittenElsewhere?.(fd)).toBe(false);
    const mapper = spawn('python3', ['-c', MAPPER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(mapper.stdout, 'data');
    expect(calls?.isWrittenElsewhere?.(fd)).toBe(true);
    const ended = once(mapper, 'exit');
    mapper.stdin.end();
    await ended;
    expect(calls?.isWrittenElsewhere?.(fd)).toBe(false);
  });
});
