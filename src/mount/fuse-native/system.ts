import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { TarnError } from '../../util/errors.js';
import { listMounts } from '../mounts.js';

/** How often the table of mounts is looked at, since the package does not say when libfuse ends. */
const WATCH_MS = 500;

const run = promisify(execFile);

/** What forbids this user to mount, and how to change it. */
export async function whyNoRights(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    await access('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      return 'this user may not open /dev/fuse: as root, chmod 666 /dev/fuse, or mount as root';
    }
    return (
      '/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the ' +
      'device (--device /dev/fuse --cap-add SYS_ADMIN)'
    );
  }
  if (process.getuid?.() === 0 || (await findProgram('fusermount')) !== undefined) return undefined;
  return 'the program fusermount is missing: apt-get install fuse3, or mount as root';
}

/** @throws TarnError busy, io */
export async function unmountDirectory(directory: string, force: boolean): Promise<void> {
  const [program, ...args] = await unmountCommand(force);
  try {
    await run(program, [...args, directory], { env: { ...process.env, LC_ALL: 'C' } });
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string };
    if (!(await isMounted(directory))) return;
    if (/busy/i.test(stderr)) {
      throw new TarnError(
        'busy',
        `${directory} is in use: a file in it is open, or a shell is there`,
        {
          cause,
          hint: 'close what uses it (fuser -vm shows it), or unmount with force',
        },
      );
    }
    throw new TarnError('io', `${program} could not unmount ${directory}: ${stderr.trim()}`, {
      cause,
    });
  }
}

/** Resolves when `directory` is a mount no longer, or when `signal` says that we know it is not. */
export async function waitUntilGone(directory: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // A table that cannot be read (too many open files, say) says nothing about the mount.
    if (!(await isMounted(directory).catch(() => true))) return;
    await delay(WATCH_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

async function unmountCommand(force: boolean): Promise<readonly [string, ...string[]]> {
  if (process.platform === 'darwin') {
    return force ? ['diskutil', 'unmount', 'force'] : ['umount'];
  }
  // -f has the kernel fail what waits on us, -l takes the mount out of sight at once.
  if (process.getuid?.() === 0) return force ? ['umount', '-f', '-l'] : ['umount'];
  const program = (await findProgram('fusermount3')) ?? 'fusermount';
  return force ? [program, '-u', '-z'] : [program, '-u'];
}

async function isMounted(directory: string): Promise<boolean> {
  if (process.platform === 'linux') {
    return (await listMounts()).some((mount) => mount.directory === directory);
  }
  const { stdout } = await run('mount', []);
  return stdout.includes(` on ${directory} (`);
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      await access(path);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}
