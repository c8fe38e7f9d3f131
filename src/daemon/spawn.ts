import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  watch,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { TarnError } from '../util/errors.js';
import type { CallOptions } from './client.js';
import { call } from './client.js';
import { daemonCommand, daemonEnvironment, REPORT_FD } from './daemon-process.js';
import type { DaemonPaths } from './paths.js';
import { fromWireError } from './frames.js';
import type { Arguments, OperationName, Result, WireError } from './protocol.js';

/** What a starting daemon writes to the pipe it was given; or `{"error":…}`. */
export type StartReport = 'ready' | 'locked';

/** A start includes clearing dead mounts and, with two commands at once, the other's start. */
const START_MS_MAX = 20_000;
/** How long to wait for a daemon that holds the lock but does not listen, yet or any more. */
const PEER_MS_MAX = 10_000;
/** Pause before the lock is tried anew: a daemon that is stopping gives no sign of its end. */
const PEER_PAUSE_MS = { first: 250, most: 4_000 };
const OUTPUT_BYTES_SHOWN = 2_000;

/** call(), after starting the daemon of this home if none listens. */
export async function callStarting<K extends OperationName>(
  paths: DaemonPaths,
  name: K,
  args: Arguments<K>,
  options: CallOptions<K> = {},
): Promise<Result<K>> {
  const deadlineMs = performance.now() + PEER_MS_MAX;
  let pauseMs = PEER_PAUSE_MS.first;
  for (;;) {
    const answer = await call(paths.socket, name, args, options);
    if (answer !== undefined) return answer.result;
    options.signal?.throwIfAborted();
    if (performance.now() > deadlineMs) throw neverReady(paths);
    if ((await startDaemon(paths)) === 'ready') continue;
    await signOfPeer(paths, pauseMs, options.signal);
    pauseMs = Math.min(PEER_PAUSE_MS.most, pauseMs * 2);
  }
}

/** Starts a daemon, unless another holds this home's lock. */
export async function startDaemon(paths: DaemonPaths): Promise<StartReport> {
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(paths.socket), { recursive: true, mode: 0o700 });
  mkdirSync(dirname(paths.output), { recursive: true, mode: 0o700 });
  const output = openSync(paths.output, 'a+', 0o600);
  try {
    const before = fstatSync(output).size;
    const report = await spawnDaemon(paths, output);
    if (report === undefined) throw startFailed(paths, readTail(output, before));
    return report;
  } finally {
    closeSync(output);
  }
}

/** Resolves to what the daemon reported, undefined when it ended without a word. */
async function spawnDaemon(paths: DaemonPaths, output: number): Promise<StartReport | undefined> {
  const [program, ...args] = daemonCommand();
  const child = spawn(program, args, {
    cwd: '/',
    detached: true,
    env: daemonEnvironment(paths),
    stdio: ['ignore', output, output, 'pipe'],
  });
  const failed = new Promise<never>((_resolve, reject) => child.once('error', reject));
  const pipe = child.stdio[REPORT_FD] as Readable;
  try {
    const text = await Promise.race([readText(pipe), failed, afterMs(START_MS_MAX, '')]);
    if (text.startsWith('{')) throw fromWireError((JSON.parse(text) as { error: WireError }).error);
    return text === 'ready' || text === 'locked' ? text : undefined;
  } finally {
    pipe.destroy();
    child.unref();
  }
}

async function readText(pipe: Readable): Promise<string> {
  let text = '';
  for await (const chunk of pipe.setEncoding('utf8')) text += String(chunk);
  return text;
}

function afterMs<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, value).unref();
  });
}

/** Ends when a socket appears, after `pauseMs` at the latest. */
async function signOfPeer(
  paths: DaemonPaths,
  pauseMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const watcher = watch(dirname(paths.socket), (_event, name) => {
      if (name === basename(paths.socket) && existsSync(paths.socket)) done();
    });
    const timer = setTimeout(done, pauseMs);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      watcher.close();
      resolve();
    }
    watcher.once('error', done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

function readTail(fd: number, from: number): string {
  const size = fstatSync(fd).size;
  const start = Math.max(from, size - OUTPUT_BYTES_SHOWN);
  const bytes = Buffer.alloc(Math.max(0, size - start));
  readSync(fd, bytes, 0, bytes.length, start);
  return bytes.toString('utf8').trim();
}

function startFailed(paths: DaemonPaths, said: string): TarnError {
  const last = said === '' ? 'it said nothing' : `it said:\n${said}`;
  return new TarnError('unavailable', `the daemon did not start; ${last}`, {
    hint: `see ${paths.log}, or run 'tarn daemon run' to watch it start`,
  });
}

function neverReady(paths: DaemonPaths): TarnError {
  const pid = lockHolder(join(paths.home, 'daemon.lock'));
  const end = pid === undefined ? 'end that process' : `end it with 'kill ${pid}'`;
  const who = pid === undefined ? 'a process' : `the process ${pid}`;
  return new TarnError(
    'unavailable',
    `${who} holds the lock of '${paths.home}' but does not answer at '${paths.socket}'`,
    { hint: `${end} and run the command again; what it did last is in ${paths.log}` },
  );
}

/** Who has locked the file, as far as this kernel tells. */
function lockHolder(file: string): number | undefined {
  try {
    const { ino } = statSync(file);
    const found = new RegExp(`POSIX +ADVISORY +WRITE +(\\d+) +\\S+:${ino} `).exec(
      readFileSync('/proc/locks', 'latin1'),
    );
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
