import { readFile, statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { TarnError } from '../util/errors.js';
import { errnoName } from './errno.js';
import { findAddon } from './native/addon.js';
import { unmountByHelper } from './native/fusermount.js';

/** One line of /proc/self/mountinfo. */
export interface MountEntry {
  readonly directory: string;
  /** As /proc/mounts shows it, unescaped. */
  readonly source: string;
  /** `fuse.tarn` for a mount of ours. */
  readonly type: string;
  /** `major:minor` of the file system. */
  readonly device: string;
}

export const TARN_MOUNT_TYPE = 'fuse.tarn';

/** Every mount this process sees, oldest first: of two on one directory the later one covers. */
export async function listMounts(): Promise<readonly MountEntry[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'latin1'));
}

/** Mounts of this or any other tarn on this machine, dead ones too. */
export async function listTarnMounts(): Promise<readonly MountEntry[]> {
  return (await listMounts()).filter((mount) => mount.type === TARN_MOUNT_TYPE);
}

/** `text`: the file's bytes, one to a char. A line that is not understood is left out. */
export function parseMountInfo(text: string): readonly MountEntry[] {
  const mounts: MountEntry[] = [];
  for (const line of text.split('\n')) {
    // id parent major:minor root directory options [tag…] - type source options
    const [before, after] = line.split(' - ', 2);
    const left = before?.split(' ') ?? [];
    const right = after?.split(' ') ?? [];
    const [device, directory] = [left[2], left[4]];
    const [type, source] = right;
    if (device === undefined || directory === undefined) continue;
    if (type === undefined || source === undefined) continue;
    mounts.push({ device, directory: unescape(directory), type, source: unescape(source) });
  }
  return mounts;
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescape(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

const ANSWER_MS_MAX = 2000;
/** Of a connection that has gone, and of a request that was under way when it went. */
const DEAD = new Set(['ENOTCONN', 'ECONNABORTED']);

/**
 * Whether nothing serves this mount any more, so that every program gets ENOTCONN from it. A
 * server that is slow to answer counts as alive.
 */
export async function isDeadMount(directory: string): Promise<boolean> {
  // Not stat: the kernel may answer that from its cache.
  const answer = statfs(directory).then(
    () => false,
    (error: unknown) => DEAD.has((error as NodeJS.ErrnoException).code ?? ''),
  );
  const timer = new AbortController();
  const late = delay(ANSWER_MS_MAX, false, { signal: timer.signal, ref: false });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}

/**
 * Takes a mount whose daemon was killed out of the directory tree.
 * @throws TarnError denied, io
 */
export async function removeDeadMount(directory: string): Promise<void> {
  const addon = findAddon();
  // A mount of the other driver may have to go on a machine where the addon is not built.
  if (addon?.hasAdminCapability() !== true) {
    await unmountByHelper(directory, { detach: true });
    return;
  }
  const error = await addon.unmountDirect(directory, true);
  if (error === 0) return;
  throw new TarnError('io', `the dead mount at ${directory} does not go: ${errnoName(error)}`, {
    hint: `run 'umount -l ${directory}' as root`,
  });
}
