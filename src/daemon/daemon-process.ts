import { installed } from '../util/installation.js';
import type { DaemonPaths } from './paths.js';

/** The descriptor of the pipe that a starting daemon reports on. */
export const REPORT_FD = 3;
/**
 * Threads in the daemon's pool, which its mounts need to answer a read. The jobs that run at one time
 * hold no more than 33 of them with writes and syncs (3 jobs, each with 2 files being written, 4 being
 * synced with their manifests, and a pack), so that a slow disk leaves some for the mounts.
 */
const POOL_THREADS = 64;

/** Program and arguments of a daemon. */
export function daemonCommand(): [program: string, ...args: string[]] {
  return [process.execPath, installed('dist/bin/daemon.js')];
}

export function daemonEnvironment(paths: DaemonPaths): NodeJS.ProcessEnv {
  // Of a company's own authority: scripts/tarn starts the command line without them.
  const certificates = process.env['TARN_EXTRA_CA_CERTS'];
  return {
    ...process.env,
    ...(certificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificates }),
    TARN_HOME: paths.home,
    TARN_REPORT_FD: String(REPORT_FD),
    UV_THREADPOOL_SIZE: String(POOL_THREADS),
  };
}
