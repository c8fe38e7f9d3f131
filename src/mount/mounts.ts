import { readFile, statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { TarnError } from '../util/errors.js';
import type { MountEntry } from '../util/mount-info.js';
import { MOUNTS_FILE, parseMountInfo, TARN_MOUNT_TYPE } from '../util/mount-info.js';
import { errnoName } from './errno.js';
import { findAddon } from './native/addon.js';

/** Every mount this process sees, oldest first: of two on one directory the later one covers. */
export async function listMounts(): Promise<readonly MountEntry[]> {
  return parseMountInfo(await readFile(MOUNTS_FILE, 'latin1'));
}

/** Mounts of this or any other tarn on this machine, dead ones too. */
export async function listTarnMounts(): Promise<readonly MountEntry[]> {
  return (await listMounts()).filter((mount) => mount.type === TARN_MOUNT_TYPE);
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
    const { unmountByHelper } = await import('./native/fusermount.js');
    await unmountByHelper(directory, { detach: true });
    return;
  }
  const error = await addon.unmountDirect(directory, true);
  if (error === 0) return;
  throw new TarnError('io', `the dead mount at ${directory} does not go: ${errnoName(error)}`, {
    hint: `run 'umount -l ${directory}' as root`,
  });
}
