import { readFile } from 'node:fs/promises';
import type { JobState } from '../../workspace/jobs/threads.js';
import { fields } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import type { JobRow } from '../protocol.js';
import { PROTOCOL, VERSION } from '../protocol.js';

export const daemonStatus: OperationHandler<'daemon.status'> = {
  read: fields({}),
  run: async ({ paths, mounts, repositories, threads, startedMs }) => ({
    pid: process.pid,
    version: VERSION,
    protocol: PROTOCOL,
    home: paths.home,
    uptimeSeconds: Math.round((Date.now() - startedMs) / 1000),
    rssBytes: process.memoryUsage.rss(),
    peakRssBytes: await peakRss(),
    mounts: mounts.size,
    repositories: repositories.openCount,
    jobs: threads.jobs().map(jobRow),
  }),
};

export const daemonStop: OperationHandler<'daemon.stop'> = {
  read: fields({}),
  run: async (context, _args, _output, signal) => {
    await context.stop(signal);
    return { pid: process.pid };
  },
};

function jobRow({ id, name, repository, startedMs, progress }: JobState): JobRow {
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  return { id, operation: name, repository, seconds, files: progress.files, bytes: progress.bytes };
}

/** VmHWM where there is one, else what getrusage says, in bytes. */
async function peakRss(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return (kib === undefined ? process.resourceUsage().maxRSS : Number(kib)) * 1024;
}
