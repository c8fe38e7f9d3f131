import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { MountRow } from '../daemon/protocol.js';
import type { MountEntry } from '../util/mount-info.js';
import { isDeadMount, listTarnMounts } from '../mount/mounts.js';

/** The mount of tarn at a directory, found by name alone: a dead one answers no call. */
export async function findMount(given: string): Promise<MountEntry | undefined> {
  const mounts = await listTarnMounts();
  const absolute = resolve(given);
  const direct = mounts.findLast((mount) => mount.directory === absolute);
  if (direct !== undefined) return direct;
  const parent = await realpath(dirname(absolute)).catch(() => undefined);
  if (parent === undefined) return undefined;
  const through = join(parent, basename(absolute));
  return mounts.findLast((mount) => mount.directory === through);
}

/** Mounts of tarn that no daemon serves any more; `served` are not asked. */
export async function deadMounts(served: readonly string[]): Promise<MountEntry[]> {
  const dead: MountEntry[] = [];
  for (const mount of await listTarnMounts()) {
    if (!served.includes(mount.directory) && (await isDeadMount(mount.directory))) dead.push(mount);
  }
  return dead;
}

export function deadRow({ directory, source }: MountEntry): MountRow {
  const [repository = '', commit] = source.replace(/^tarn:\/\//, '').split('/');
  const what = commit === undefined ? {} : { ref: commit, commit };
  return { directory, repository, ...what, driver: '', state: 'dead' };
}
