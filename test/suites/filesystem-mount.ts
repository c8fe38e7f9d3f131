import { execFile } from 'node:child_process';
import { constants, promises as fs } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DriverName } from '../../src/mount/driver.js';
import { isMounted, mountLine, ServedMount } from '../mount/served.js';
import { patterned, type FileSpec } from './filesystem-files.js';

const run = promisify(execFile);

const NOTES = 'notes.txt';
const BROKEN = 'raw/broken.bin';
const FILES: readonly FileSpec[] = [
  { path: NOTES, bytes: 'frozen\n', contentType: 'text/plain', metadata: { sensor: 'front-left' } },
  { path: 'raw/run-8421/log.mcap', bytes: patterned(5_000_000) },
  { path: BROKEN, bytes: patterned(70_000) },
  { path: 'latest', symlink: 'raw/run-8421' },
  // Both a file and a directory, and what no file system can name.
  { path: 'labels', bytes: 'a file beside a directory' },
  { path: 'labels/000000.json', bytes: '{}' },
  { path: 'raw//double', bytes: 'x' },
  { path: 'raw/../up', bytes: 'x' },
  { path: `raw/${'n'.repeat(256)}`, bytes: 'x' },
];
const TOTAL_BYTES = FILES.reduce(
  (sum, f) => sum + Buffer.byteLength(f.symlink ?? f.bytes ?? ''),
  0,
);

/** What a mount of a frozen view promises besides being a file system that can be read. */
export function runFrozenMountSuite(driver: DriverName): void {
  describe(`a frozen mount: ${driver}`, () => {
    let served: ServedMount | undefined;
    const at = (path: string): string => join(served?.directory ?? '', path);
    beforeAll(async () => {
      const view = { backing: 'granted' } as const;
      served = await ServedMount.start(driver, FILES, { view, corrupt: BROKEN });
    });
    afterAll(async () => {
      await served?.stop();
    });

    describeRefusals(at);
    describeProvenance(at);

    it('shows a file beside the directory of its name as `name~file`, hides what has no name', async () => {
      expect((await fs.readdir(at(''))).toSorted()).toEqual(
        ['labels', 'labels~file', 'latest', NOTES, 'raw'].toSorted(),
      );
      expect(await fs.readFile(at('labels~file'), 'utf8')).toBe('a file beside a directory');
      expect(await fs.readdir(at('labels'))).toEqual(['000000.json']);
      expect(await fs.readdir(at('raw'))).toEqual(['broken.bin', 'run-8421']);
    });

    it('answers EIO where bytes are not what they should be, tells the log, and works on', async () => {
      await expect(fs.readFile(at(BROKEN))).rejects.toMatchObject({ code: 'EIO' });
      await expect(run('cat', [at(BROKEN)])).rejects.toThrow('Input/output error');
      await vi.waitFor(() => expect(served?.errors).toContain('does not hash to its name'));
      expect(await fs.readFile(at(NOTES), 'utf8')).toBe('frozen\n');
    });
  });

  describe(`the life of a mount: ${driver}`, () => {
    describeLife(driver);
  });
}

type At = (path: string) => string;

function describeRefusals(at: At): void {
  const now = new Date();
  const setXattr = 'import os,sys; os.setxattr(sys.argv[1],"user.x",b"1")';
  const writes: readonly [string, () => Promise<unknown>][] = [
    ['writing', () => fs.writeFile(at(NOTES), 'x')],
    ['appending', () => fs.appendFile(at(NOTES), 'x')],
    ['opening to read and write', () => fs.open(at(NOTES), constants.O_RDWR)],
    ['creating', () => fs.writeFile(at('new'), 'x')],
    ['truncating', () => fs.truncate(at(NOTES), 0)],
    ['mkdir', () => fs.mkdir(at('new'))],
    ['rmdir', () => fs.rmdir(at('labels'))],
    ['unlink', () => fs.unlink(at(NOTES))],
    ['rename', () => fs.rename(at(NOTES), at('renamed'))],
    ['link', () => fs.link(at(NOTES), at('linked'))],
    ['symlink', () => fs.symlink('x', at('new'))],
    ['chmod', () => fs.chmod(at(NOTES), 0o600)],
    ['chown', () => fs.chown(at(NOTES), 1, 1)],
    ['utimes', () => fs.utimes(at(NOTES), now, now)],
    ['mkfifo', () => run('env', ['LC_ALL=C', 'mkfifo', at('fifo')])],
    ['setxattr', () => run('python3', ['-c', setXattr, at(NOTES)])],
  ];
  it.each(writes)(
    'W1: Every call that would change something answers EROFS.: %s',
    async (_, act) => {
      await expect(act()).rejects.toThrow(/EROFS|Read-only file system/);
    },
  );
}

function describeProvenance(at: At): void {
  const xattrsOf = async (path: string): Promise<Record<string, string>> => {
    const program =
      'import os,sys,json; p=sys.argv[1]; ' +
      'print(json.dumps({n: os.getxattr(p,n).decode() for n in os.listxattr(p)}))';
    const { stdout } = await run('python3', ['-c', program, at(path)]);
    return JSON.parse(stdout) as Record<string, string>;
  };
  const source = {
    'user.tarn.repository': 'drive',
    'user.tarn.ref': 'prod-2025-08-15',
    'user.tarn.commit': 'c0ffee'.repeat(11).slice(0, 64),
  };

  it('tells of every file where it comes from', async () => {
    expect(await xattrsOf(NOTES)).toEqual({
      ...source,
      'user.tarn.path': NOTES,
      'user.tarn.content': expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
      'user.mime_type': 'text/plain',
      'user.meta.sensor': 'front-left',
    });
    expect(await xattrsOf('raw/run-8421')).toEqual({ ...source, 'user.tarn.path': 'raw/run-8421' });
    expect(await xattrsOf('labels~file')).toMatchObject({ 'user.tarn.path': 'labels' });
  });

  it('tells of the commit on the root', async () => {
    expect(await xattrsOf('')).toEqual({
      ...source,
      'user.tarn.tree': 'ab'.repeat(32),
      'user.tarn.author': 'Ada <ada@example.org>',
      'user.tarn.date': '2025-06-14T18:30:00.250Z',
      'user.tarn.message': 'Freeze run-8421',
      'user.tarn.meta.vehicle': 'ego-7',
      'user.tarn.meta.weather': 'low sun',
    });
  });

  it('answers ENODATA or ENOTSUP for other attributes and ERANGE for too small a buffer', async () => {
    const program =
      'import ctypes,os,sys,errno; c=ctypes.CDLL(None,use_errno=True); p=sys.argv[1].encode()\n' +
      'def e(r): return r if r>=0 else errno.errorcode[ctypes.get_errno()]\n' +
      'b=ctypes.create_string_buffer(4)\n' +
      'print(e(c.getxattr(p,b"user.none",b,4)), e(c.getxattr(p,b"user.tarn.ref",b,4)),' +
      'e(c.getxattr(p,b"user.tarn.ref",None,0)), e(c.listxattr(p,b,4)),' +
      'e(c.getxattr(p,b"security.capability",b,4)))';
    const { stdout } = await run('python3', ['-c', program, at(NOTES)]);
    expect(stdout.trim()).toBe('ENODATA ERANGE 15 ERANGE ENOTSUP');
  });

  it('shows the totals of the commit to statfs', async () => {
    const { bsize, blocks, bfree, bavail, files, ffree } = await fs.statfs(at(''));
    expect(blocks).toBe(Math.ceil(TOTAL_BYTES / bsize));
    expect({ bfree, bavail, ffree, files }).toEqual({
      bfree: 0,
      bavail: 0,
      ffree: 0,
      files: FILES.length,
    });
  });

  it('names repository and commit as the source of the mount, which is read-only', () => {
    const [from, , type, options] = mountLine(at('').replace(/\/$/, ''))?.split(' ') ?? [];
    expect(from).toBe(`tarn://drive/${source['user.tarn.commit']}`);
    expect(type).toBe('fuse.tarn');
    expect(options?.split(',')).toEqual(expect.arrayContaining(['ro', 'nosuid', 'nodev']));
  });
}

function describeLife(driver: DriverName): void {
  const served = async (use: (mount: ServedMount) => Promise<void>): Promise<void> => {
    const mount = await ServedMount.start(driver, FILES);
    try {
      await use(mount);
    } finally {
      await mount.stop();
    }
  };

  it('unmounts, lets go of every file, and says that it ended', () =>
    served(async (mount) => {
      await fs.readFile(join(mount.directory, NOTES));
      expect(await mount.ask('unmount')).toBe('unmount done');
      await mount.line('ended');
      expect(isMounted(mount.directory)).toBe(false);
      expect(await mount.ask('reads')).toMatch(/ opened 0$/);
      expect(mount.errors).toBe('');
    }));

  it('refuses to unmount while a file is open, and works on', () =>
    served(async (mount) => {
      const file = await fs.open(join(mount.directory, 'raw/run-8421/log.mcap'));
      try {
        expect(await mount.ask('unmount')).toMatch(/^unmount failed: busy: .* in use/);
        const { buffer } = await file.read(Buffer.alloc(100), 0, 100, 4_000_000);
        expect(buffer.equals(patterned(5_000_000).subarray(4_000_000, 4_000_100))).toBe(true);
      } finally {
        await file.close();
      }
      expect(await mount.ask('unmount')).toBe('unmount done');
    }));

  it('goes by force while a file is open, and leaves nothing held', () =>
    served(async (mount) => {
      const file = await fs.open(join(mount.directory, 'raw/run-8421/log.mcap'));
      try {
        expect(await mount.ask('force')).toBe('force done');
        await mount.line('ended');
        expect(isMounted(mount.directory)).toBe(false);
        expect(await mount.ask('reads')).toMatch(/ opened 0$/);
        await expect(file.read(Buffer.alloc(100), 0, 100, 4_000_000)).rejects.toThrow();
      } finally {
        await file.close().catch(() => undefined);
      }
    }));

  it('notices that it was unmounted from outside', () =>
    served(async (mount) => {
      await fs.readdir(mount.directory);
      await run('umount', [mount.directory]);
      await mount.line('ended');
      expect(await mount.ask('unmount')).toBe('unmount done');
    }));

  it('leaves ENOTCONN, not a hang, when its process is killed', () =>
    served(async (mount) => {
      const file = await fs.open(join(mount.directory, NOTES));
      process.kill(mount.pid, 'SIGKILL');
      await expect(mount.line('ended')).rejects.toThrow('the child ended');
      await expect(fs.readdir(mount.directory)).rejects.toThrow(/ENOTCONN|ECONNABORTED/);
      await expect(file.close()).rejects.toThrow('ENOTCONN');
    }));

  it('refuses a directory that is mounted on already', () =>
    served(async (mount) => {
      const second = ServedMount.start(driver, FILES, { on: mount.directory });
      await expect(second).rejects.toThrow(/busy|already/);
      expect(await fs.readFile(join(mount.directory, NOTES), 'utf8')).toBe('frozen\n');
    }));

  it('mounts several moments in one process, one after the other', () =>
    served(async (mount) => {
      for (let round = 0; round < 3; round += 1) {
        expect(await mount.ask('unmount')).toBe('unmount done');
        expect(await mount.ask('remount')).toBe('remount done');
        expect(await fs.readFile(join(mount.directory, NOTES), 'utf8')).toBe('frozen\n');
      }
    }));
}
