import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../model/ids.js';
import { SPOOL_DIRECTORY } from '../workspace/home-path.js';

/** Where a home directory keeps what belongs to its daemon. */
export interface DaemonPaths {
  readonly home: string;
  readonly run: string;
  readonly socket: string;
  /** Where a daemon finds the mounts that a dead one has left. */
  readonly keeper: string;
  /** Structured log, one JSON object a line. */
  readonly log: string;
  /** What the daemon's process printed: nothing, unless it crashed. */
  readonly output: string;
  /** Mounts that this home's daemon has made and not yet unmade. */
  readonly mounts: string;
  /** Input that came through a pipe and waits to be put. */
  readonly spool: string;
}

/** Kernels cut a unix socket's path at 107 bytes. */
const SOCKET_PATH_BYTES_MAX = 100;

export function daemonPaths(home: string): DaemonPaths {
  const run = join(home, 'run');
  const socket = socketPath(home, run);
  return {
    home,
    run,
    socket,
    keeper: `${socket}.keeper`,
    log: join(home, 'log', 'daemon.jsonl'),
    output: join(home, 'log', 'daemon.out'),
    mounts: join(run, 'mounts.json'),
    spool: join(home, SPOOL_DIRECTORY),
  };
}

/** A home too deep for a socket gets one in a private directory elsewhere, named by its hash. */
function socketPath(home: string, run: string): string {
  const direct = join(run, 'daemon.sock');
  if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES_MAX) return direct;
  const name = sha256(home).slice(0, 16);
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const uid = process.getuid?.() ?? 0;
  const base =
    runtime !== undefined && runtime !== '' && Buffer.byteLength(runtime) <= 60
      ? join(runtime, 'tarn')
      : join(tmpdir(), `tarn-${uid}`);
  return join(base, `${name}.sock`);
}
