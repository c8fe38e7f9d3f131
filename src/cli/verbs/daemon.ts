import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseSize } from '../../cache/cache-limits.js';
import type { DaemonStatus } from '../../daemon/protocol.js';
import { TarnError } from '../../util/errors.js';
import { ask, askRunning } from '../ask.js';
import type { Command, Input } from '../command.js';
import { UsageError } from '../command.js';
import { humanBytes, plural } from '../../util/format.js';

const END_MS_MAX = 5_000;
const END_POLL_MS = 10;

const LIMIT_OPTIONS = {
  'cache-size': {
    value: 'BYTES',
    what: 'as TARN_CACHE_SIZE: what its cache holds, as 200GB or 64GiB',
  },
  'cache-free': {
    value: 'BYTES',
    what: 'as TARN_CACHE_FREE: what stays free on the disk of its cache',
  },
} as const;

const run: Command = {
  name: 'daemon run',
  summary: 'Run the daemon in the foreground until it is stopped',
  positionals: [],
  options: LIMIT_OPTIONS,
  notes: [
    'For service managers and for watching it start; every command starts one by itself. SIGINT, SIGTERM and SIGHUP end it, after unmounting.',
  ],
  examples: [{ command: 'tarn daemon run', what: 'ends on Ctrl-C, after unmounting' }],
  async run(input, context) {
    takeLimits(input);
    const { runDaemon } = await import('../../daemon/daemon.js');
    const controller = new AbortController();
    // These stay to the end: a second signal, or the terminal's closing, must not cut short the
    // unmounting that the first has begun.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => controller.abort());
    }
    context.terminal.note(`tarn daemon of ${context.paths.home}, pid ${process.pid}`);
    await runDaemon(context.paths, { onReady: () => undefined, stop: controller.signal });
  },
};

const start: Command = {
  name: 'daemon start',
  summary: 'Start the daemon in the background, if it does not run yet',
  positionals: [],
  options: LIMIT_OPTIONS,
  examples: [
    { command: 'tarn daemon start', what: 'what the first command does by itself' },
    { command: 'tarn daemon start --cache-size 200GB', what: 'with a larger cache of buckets' },
  ],
  async run(input, context) {
    const running = takeLimits(input) ? await askRunning(context, 'daemon.status', {}) : undefined;
    if (running !== undefined) {
      throw new TarnError(
        'busy',
        `the daemon runs already, pid ${running.pid}, with its own limits`,
        {
          hint: "'tarn daemon stop' ends it (it unmounts); then start it again",
        },
      );
    }
    const status = await ask(context, 'daemon.status', {});
    await context.terminal.result(status, `the daemon runs, pid ${status.pid}`);
  },
};

const stop: Command = {
  name: 'daemon stop',
  summary: 'Stop the daemon: it ends what it is doing and unmounts everything',
  positionals: [],
  options: {},
  notes: ['What is staged stays staged. A mount in use is detached after two seconds.'],
  examples: [{ command: 'tarn daemon stop', what: 'the next command starts a new one' }],
  async run(_input, context) {
    const gone = await askRunning(context, 'daemon.stop', {});
    if (gone !== undefined) await processEnd(gone.pid);
    const text = gone === undefined ? 'no daemon was running' : `stopped, pid ${gone.pid}`;
    await context.terminal.result({ stopped: gone !== undefined, ...gone }, text);
  },
};

const status: Command = {
  name: 'daemon status',
  summary: 'Show the daemon: process, memory, mounts and what it is busy with',
  positionals: [],
  options: {},
  notes: ['Exit code 1 when no daemon runs; this command starts none.'],
  examples: [{ command: 'tarn daemon status --json', what: 'for scripts' }],
  async run(_input, context) {
    const found = await askRunning(context, 'daemon.status', {});
    if (found === undefined) {
      throw new TarnError('unavailable', `no daemon runs for '${context.paths.home}'`, {
        hint: "'tarn daemon start' starts one, and so does any other command",
      });
    }
    await context.terminal.result(found, statusText(found));
  },
};

/** Sets them for the daemon that is started; returns whether any was given. @throws UsageError */
function takeLimits(input: Input): boolean {
  const given = Object.keys(LIMIT_OPTIONS).filter((name) => input.value(name) !== undefined);
  for (const name of given) {
    const value = input.value(name) ?? '';
    if (parseSize(value) === undefined) {
      throw new UsageError(`--${name} takes bytes, as 200GB or 64GiB, not '${value}'`);
    }
    process.env[`TARN_${name.replace('-', '_').toUpperCase()}`] = value;
  }
  return given.length > 0;
}

/** The daemon answers last of all, so that this takes some milliseconds. */
async function processEnd(pid: number): Promise<void> {
  const deadlineMs = performance.now() + END_MS_MAX;
  while (performance.now() < deadlineMs && (await isRunning(pid))) await delay(END_POLL_MS);
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // Where nobody reaps orphans an ended process stays listed, as a zombie.
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return !/\) Z /.test(stat);
}

function statusText(found: DaemonStatus): string {
  const lines = [
    `pid       ${found.pid}`,
    `version   ${found.version} (protocol ${found.protocol})`,
    `home      ${found.home}`,
    `uptime    ${found.uptimeSeconds} s`,
    `memory    ${humanBytes(found.rssBytes)} (peak ${humanBytes(found.peakRssBytes)})`,
    `mounts    ${found.mounts}`,
    `open      ${plural(found.repositories, 'repository', 'repositories')}`,
  ];
  for (const job of found.jobs) {
    lines.push(
      `job       ${job.operation} ${job.repository}, ${job.seconds} s, ${plural(job.files, 'file')}, ${humanBytes(job.bytes)}`,
    );
  }
  return lines.join('\n');
}

export const commands: readonly Command[] = [run, start, stop, status];
