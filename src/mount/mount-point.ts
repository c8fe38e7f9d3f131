import { readdir, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { asTarnError, TarnError } from '../util/errors.js';
import type { MountEntry } from '../util/mount-info.js';
import { TARN_MOUNT_TYPE } from '../util/mount-info.js';
import { isDeadMount, listMounts } from './mounts.js';

/**
 * The directory, without symbolic links, if a mount may be put there: an existing, empty directory
 * that is neither a mount point nor inside a mount of tarn.
 * @throws TarnError not-found, not-directory, not-empty, busy, invalid, denied
 */
export async function checkMountPoint(given: string): Promise<string> {
  const mounts = await listMounts();
  // Before anything touches it: a dead mount answers no call, and one of ours would need us.
  await refuseMounted(resolve(given), mounts);
  const directory = await existing(given);
  await refuseMounted(directory, mounts);
  const found = await stat(directory).catch(refused(given));
  if (!found.isDirectory()) {
    throw new TarnError('not-directory', `${given} is not a directory`, {
      hint: 'name an empty directory to mount on',
    });
  }
  const names = await readdir(directory).catch(refused(given));
  if (names.length > 0) {
    throw new TarnError('not-empty', `${given} is not empty: it holds '${names[0] ?? ''}'`, {
      hint: 'a mount would hide what is there; name an empty directory',
    });
  }
  return directory;
}

async function existing(given: string): Promise<string> {
  try {
    return await realpath(given);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return refused(given)(error);
    throw new TarnError('not-found', `the mount point ${given} does not exist`, {
      hint: `make it with 'mkdir -p ${given}'`,
    });
  }
}

function refused(given: string): (error: unknown) => never {
  return (error) => {
    throw asTarnError(error, `looking at the mount point ${given}`);
  };
}

async function refuseMounted(directory: string, mounts: readonly MountEntry[]): Promise<void> {
  const here = mounts.findLast((mount) => mount.directory === directory);
  if (here !== undefined && here.type === TARN_MOUNT_TYPE) {
    const dead = await isDeadMount(directory);
    const what = dead ? 'is a mount whose daemon has died' : `already shows ${here.source}`;
    throw new TarnError('busy', `${directory} ${what}`, {
      hint: `run 'tarn umount ${directory}' first`,
    });
  }
  if (here !== undefined) {
    throw new TarnError('busy', `${directory} is already a mount point (of ${here.source})`, {
      hint: 'name another directory',
    });
  }
  const outer = mounts.findLast(
    (mount) => mount.type === TARN_MOUNT_TYPE && directory.startsWith(`${mount.directory}/`),
  );
  if (outer !== undefined) {
    throw new TarnError('invalid', `${directory} is inside the mount at ${outer.directory}`, {
      hint: 'name a directory outside of any mount of tarn',
    });
  }
}
