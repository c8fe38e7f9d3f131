import { openSync } from 'node:fs';
import { findAddon } from '../mount/native/addon.js';
import { Keeper, type KeptMount } from '../mount/native/keeper.js';
import type { Inode } from '../vfs/filesystem.js';
import type { Context } from './context.js';
import { daemonCommand, daemonEnvironment } from './daemon-process.js';
import type { Log } from './log.js';
import type { RecordedMount } from './mount-record.js';
import { mountAs } from './mounting.js';
import type { DaemonPaths } from './paths.js';

/** How long programs wait for a daemon before they get errors. */
const LIMIT_SECONDS = 30;

/** A mount that a daemon before this one has left, with programs that wait in it. */
export interface LeftMount {
  readonly args: RecordedMount;
  readonly kept: KeptMount;
}

/** The keeper of this home's mounts, and what it holds; none without the native driver. */
export function findKept(
  paths: DaemonPaths,
  log: Log,
): { readonly keeper: Keeper | undefined; readonly left: readonly LeftMount[] } {
  const addon = findAddon();
  if (addon === undefined) return { keeper: undefined, left: [] };
  const keeper = new Keeper(addon, {
    socket: paths.keeper,
    limitMs: limitSeconds() * 1000,
    command: daemonCommand(),
    env: daemonEnvironment(paths),
    output: () => openSync(paths.output, 'a', 0o600),
    onFault: (error) => log.fault('keeper', error),
  });
  const left = keeper.find().map((kept) => {
    return { kept, args: JSON.parse(kept.contents.mount.text) as RecordedMount };
  });
  return { keeper, left };
}

/** Nodes without names that programs still have open on a branch. */
export function unnamedOn(
  left: readonly LeftMount[],
  repository: string,
  branch: string,
): ReadonlyMap<Inode, string> {
  const here = left.filter(({ args }) => args.repository === repository && args.ref === branch);
  return new Map(here.flatMap(({ kept }) => [...kept.contents.held.unnamed]));
}

/**
 * Goes on with the mounts that the last daemon has left; resolves to those that cannot go on and were
 * let go of.
 */
export async function resumeMounts(
  context: Context,
  left: readonly LeftMount[],
): Promise<readonly RecordedMount[]> {
  const { signal } = new AbortController();
  const lost: RecordedMount[] = [];
  for (const { args, kept } of left) {
    const { directory } = args;
    try {
      await mountAs(context, args, signal, kept);
      context.log.info('mount resumed', { directory });
    } catch (error) {
      context.log.fault('mount not resumed', error, { directory });
      context.mounts.letGo(kept);
      lost.push(args);
    }
  }
  await context.workspaces.resumed();
  return lost;
}

function limitSeconds(): number {
  const given = Number(process.env['TARN_KEEPER_SECONDS']);
  return Number.isFinite(given) && given > 0 ? given : LIMIT_SECONDS;
}
