import type { FSWatcher } from 'node:fs';
import { existsSync, mkdirSync, readdirSync, rmSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SqliteVerifiedStamps } from '../cache/verified-stamps.js';
import { NodeCache } from '../tree/nodes.js';
import { Home, lockHome } from '../workspace/home.js';
import { openObjectCache } from '../workspace/object-cache.js';
import { JobThreads } from '../workspace/jobs/threads.js';
import type { Context } from './context.js';
import { FollowedBranches } from './followed-branches.js';
import { DAEMON_JOBS } from './jobs.js';
import { Log } from './log.js';
import { findKept, resumeMounts, unnamedOn } from './kept-mounts.js';
import { MountTable } from './mount-table.js';
import { restoreMounts } from './mounting.js';
import { fileCalls } from './writable-mounts.js';
import { HANDLERS } from './operations.js';
import type { DaemonPaths } from './paths.js';
import { VERSION } from './protocol.js';
import { Repositories } from './repositories.js';
import { ControlServer } from './server.js';
import { Workspaces } from './workspaces.js';

/** Decoded tree nodes of all repositories. */
const NODE_CACHE_BYTES = 67_108_864;

export interface RunOptions {
  /** Called once requests are answered. */
  readonly onReady: () => void;
  /** Ends the daemon gracefully. */
  readonly stop: AbortSignal;
}

/**
 * The daemon of one home directory; resolves when it has stopped. The lock decides that it is the
 * only one, so that what a dead predecessor left (socket, mounts, spool) is its own to clear.
 * @throws TarnError busy when another daemon has the home; denied, corrupt, io
 */
export async function runDaemon(paths: DaemonPaths, options: RunOptions): Promise<void> {
  const lock = lockHome(paths.home);
  const log = new Log(paths.log);
  const onCrash = (error: unknown): void => log.fault('daemon crashed', error);
  process.on('uncaughtExceptionMonitor', onCrash);
  try {
    await serve(paths, log, options);
  } catch (error) {
    log.fault('daemon failed', error);
    throw error;
  } finally {
    process.off('uncaughtExceptionMonitor', onCrash);
    log.close();
    lock.release();
  }
}

async function serve(paths: DaemonPaths, log: Log, options: RunOptions): Promise<void> {
  const home = Home.open(paths.home);
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  clearSpool(paths.spool);
  mkdirSync(join(paths.home, 'cache'), { recursive: true, mode: 0o700 });
  const stamps = new SqliteVerifiedStamps(home.verifiedStampsFile());
  const objectCache = openObjectCache(home, (why) => log.warn('cache full', { why }));
  const shared = { nodeCache: new NodeCache(NODE_CACHE_BYTES), stamps, objectCache };
  const repositories = new Repositories(home, shared);
  const { keeper, left } = findKept(paths, log);
  const mounts = new MountTable(paths.mounts, log, keeper);
  const threads = new JobThreads(paths.home, DAEMON_JOBS, ({ name, repository }, counts) => {
    if (Object.keys(counts.requests).length === 0) return;
    repositories.traffic(repository).add(counts);
    log.info('job traffic', { job: name, repository, ...counts });
  });
  const followed = new FollowedBranches(repositories, log);
  const unnamed = (repository: string, branch: string) => unnamedOn(left, repository, branch);
  const parts = { home, repositories, threads, log, followed };
  const workspaces = new Workspaces({ ...parts, calls: fileCalls, unnamed });
  const leftAt = new Set(left.map(({ args }) => args.directory));
  const lost = (await mounts.clearDead(leftAt)).filter(({ directory }) => !leftAt.has(directory));

  let resolveStopped = (): void => undefined;
  const stopped = new Promise<void>((resolve) => (resolveStopped = resolve));
  let stopping: Promise<void> | undefined;
  const stop = async (keep: AbortSignal | undefined): Promise<void> => {
    log.info('stopping');
    const steps: readonly (() => Promise<void> | void)[] = [
      () => watcher.close(),
      () => mounts.restKeeper(),
      () => rmSync(paths.socket, { force: true }),
      () => server.stop(keep),
      () => mounts.close(),
      () => workspaces.closeAll(),
      () => threads.close(),
      () => repositories.close(),
      () => objectCache.close(),
      () => stamps.close(),
      () => home.close(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        // The later steps matter no less: mounts that nobody serves would stay behind.
        log.fault('stop', error);
      }
    }
  };
  const context: Context = {
    ...parts,
    paths,
    objectCache,
    mounts,
    workspaces,
    startedMs: Date.now(),
    stop: (keep) => {
      stopping ??= stop(keep).finally(resolveStopped);
      return stopping;
    },
  };
  const watcher = onceGone(paths.run, () => {
    log.warn('home deleted', { home: paths.home });
    void context.stop();
  });
  const server = new ControlServer(context, HANDLERS);
  const gaveUp = await resumeMounts(context, left);
  await restoreMounts(context, [...lost, ...gaveUp]);
  await server.listen(paths.socket);
  const stopOnSignal = (): void => void context.stop();
  if (options.stop.aborted) stopOnSignal();
  options.stop.addEventListener('abort', stopOnSignal, { once: true });
  log.info('started', { pid: process.pid, version: VERSION, node: process.version });
  options.onReady();
  void objectCache.sweep();
  void prepare(repositories, mounts, log);
  await stopped;
  await server.closed();
  log.info('stopped');
}

/** Does ahead what the first commands would wait for. */
async function prepare(repositories: Repositories, mounts: MountTable, log: Log): Promise<void> {
  for (const each of [mounts, repositories]) {
    await each.prepare().catch((error: unknown) => log.fault('prepare', error));
  }
}

/** A daemon that no command can find any more would hold its mounts for good. */
function onceGone(directory: string, onGone: () => void): FSWatcher {
  // Watched from above: the socket's own kernel object keeps its directory from ending.
  const watcher = watch(dirname(directory), (_event, name) => {
    if (name === basename(directory) && !existsSync(directory)) onGone();
  });
  return watcher.on('error', onGone);
}

/** What was spooled for commands that have died. */
function clearSpool(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    if (!isAlive(Number(name.split('-')[0]))) rmSync(join(directory, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
