import { constants } from 'node:fs';
import { access, lstat, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname } from 'node:path';
import type { CheckRow } from '../daemon/protocol.js';
import { VERSION } from '../daemon/protocol.js';
import { loadAddon } from '../mount/native/addon.js';
import { hasHelper, HELPER, HELPER_HINT } from '../mount/native/fusermount.js';
import { asTarnError } from '../util/errors.js';
import { askRunning } from './ask.js';
import type { CommandContext } from './command.js';
import { humanBytes, plural } from '../util/format.js';
import { deadMounts } from './mounts.js';

type Check = (context: CommandContext) => Promise<CheckRow> | CheckRow;

const NODE_MAJOR_MIN = 20;
/** First kernel in which FUSE files can pass through to others. */
const PASSTHROUGH_KERNEL = { major: 6, minor: 9 };
const FREE_BYTES_LOW = 1_073_741_824;

/** What tarn needs of this machine, each with the way to get it. Starts no daemon. */
export async function* machineChecks(context: CommandContext): AsyncGenerator<CheckRow> {
  const checks: readonly Check[] = [
    nodeVersion,
    kernel,
    device,
    addon,
    rights,
    fuseNative,
    homeDirectory,
    freeSpace,
    daemon,
    cache,
    mounts,
  ];
  for (const check of checks) {
    try {
      yield await check(context);
    } catch (error) {
      const { message, hint } = asTarnError(error);
      const fix = hint === undefined ? {} : { fix: hint };
      yield { check: check.name, state: 'fail', detail: message, ...fix };
    }
  }
}

function row(check: string, state: CheckRow['state'], detail: string, fix?: string): CheckRow {
  return fix === undefined ? { check, state, detail } : { check, state, detail, fix };
}

function nodeVersion(): CheckRow {
  const major = Number(process.versions.node.split('.')[0]);
  const detail = `${process.version} at ${process.execPath}`;
  if (major >= NODE_MAJOR_MIN) return row('node', 'ok', detail);
  return row('node', 'fail', detail, `install Node.js ${NODE_MAJOR_MIN} or later`);
}

function kernel(): CheckRow {
  if (process.platform !== 'linux') {
    const fix = "mount with '--driver fuse-native'";
    return row('kernel', 'warn', `${process.platform}: no native driver here`, fix);
  }
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const { major: wanted, minor: wantedMinor } = PASSTHROUGH_KERNEL;
  if (major > wanted || (major === wanted && minor >= wantedMinor)) {
    return row('kernel', 'ok', `Linux ${release()}, which can pass reads through to the disk`);
  }
  const fix = `Linux ${wanted}.${wantedMinor} or later reads large files at disk speed`;
  return row('kernel', 'warn', `Linux ${release()}, without passthrough`, fix);
}

async function device(): Promise<CheckRow> {
  const path = '/dev/fuse';
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return row('device', 'ok', `${path} can be opened`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      return row(
        'device',
        'fail',
        `${path} may not be opened by this user`,
        `as root: chmod 666 ${path}`,
      );
    }
    const fix = "run 'modprobe fuse' as root; start a container with '--device /dev/fuse'";
    return row('device', 'fail', `${path} is missing`, fix);
  }
}

function addon(): CheckRow {
  loadAddon();
  return row('addon', 'ok', 'the native driver is built and loads');
}

function rights(): CheckRow {
  if (loadAddon().hasAdminCapability()) {
    return row('rights', 'ok', 'may mount by itself, with passthrough');
  }
  if (hasHelper()) {
    const fix = 'run as root for passthrough';
    return row('rights', 'warn', `mounts through ${HELPER}, without passthrough`, fix);
  }
  return row('rights', 'fail', `may not mount, and ${HELPER} is not there`, HELPER_HINT);
}

async function fuseNative(): Promise<CheckRow> {
  const { FuseNativeDriver } = await import('../mount/fuse-native/driver.js');
  const reason = await new FuseNativeDriver().unavailable();
  if (reason === undefined) return row('fuse-native', 'ok', 'the second driver works as well');
  return row(
    'fuse-native',
    'warn',
    `not available: ${reason}`,
    'needed only for --driver fuse-native',
  );
}

async function homeDirectory({ paths }: CommandContext): Promise<CheckRow> {
  const found = await lstat(paths.home).catch(() => undefined);
  if (found === undefined) {
    return row('home', 'ok', `${paths.home} does not exist yet; the first command makes it`);
  }
  const mode = found.mode & 0o777;
  const shown = `${paths.home}, mode 0${mode.toString(8)}`;
  if (!found.isDirectory()) {
    return row('home', 'fail', `${paths.home} is not a directory`, 'set TARN_HOME to another one');
  }
  if ((mode & 0o022) !== 0) return row('home', 'fail', shown, `chmod 700 '${paths.home}'`);
  if ((mode & 0o077) !== 0) return row('home', 'warn', shown, `chmod 700 '${paths.home}'`);
  return row('home', 'ok', shown);
}

async function freeSpace({ paths }: CommandContext): Promise<CheckRow> {
  let path = paths.home;
  for (;;) {
    const found = await statfs(path).catch(() => undefined);
    if (found === undefined && dirname(path) !== path) {
      path = dirname(path);
      continue;
    }
    const free = found === undefined ? 0 : found.bavail * found.bsize;
    const detail = `${humanBytes(free)} free for ${paths.home}`;
    if (free >= FREE_BYTES_LOW) return row('space', 'ok', detail);
    const fix = 'free some space, or create repositories with --storage on another disk';
    return row('space', 'warn', detail, fix);
  }
}

async function daemon(context: CommandContext): Promise<CheckRow> {
  const status = await askRunning(context, 'daemon.status', {});
  if (status === undefined) {
    return row('daemon', 'ok', 'not running; the next command that needs it starts it');
  }
  const detail = `runs, pid ${status.pid}, tarn ${status.version}`;
  if (status.version === VERSION) return row('daemon', 'ok', detail);
  const fix = "run 'tarn daemon stop' (it unmounts); the next command starts the right one";
  return row('daemon', 'warn', `${detail}, while this is tarn ${VERSION}`, fix);
}

async function cache(context: CommandContext): Promise<CheckRow> {
  const state = await askRunning(context, 'cache.show', {});
  if (state === undefined) return row('cache', 'ok', 'looked at while the daemon runs');
  const { directory, bytes, bytesMax, refused } = state;
  const detail = `${humanBytes(bytes)} of at most ${humanBytes(bytesMax)}, in ${directory}`;
  if (refused === 0) return row('cache', 'ok', detail);
  return row(
    'cache',
    'warn',
    `${detail}; what was read of buckets was not kept ${plural(refused, 'time')}, for lack of room`,
    `make room on its disk, or 'tarn cache prune'; 'tarn cache show --help' has its limits`,
  );
}

async function mounts(context: CommandContext): Promise<CheckRow> {
  const served: string[] = [];
  await askRunning(
    context,
    'mounts',
    {},
    { onRow: ({ directory }) => void served.push(directory) },
  );
  const dead = (await deadMounts(served)).map(({ directory }) => directory);
  if (dead.length === 0) return row('mounts', 'ok', `${served.length} mounted, none dead`);
  const fix = `tarn umount ${dead.join('; tarn umount ')}`;
  return row('mounts', 'warn', `dead, their daemon was killed: ${dead.join(', ')}`, fix);
}
