import { readFile } from 'node:fs/promises';
import { fields } from '../arguments.js';
import type { OperationHandler } from '../operation.js';
import { PROTOCOL, VERSION } from '../protocol.js';

export const daemonStatus: OperationHandler<'daemon.status'> = {
  read: fields({}),
  run: async ({ paths, mounts, repositories, jobs, startedMs }) => ({
    pid: process.pid,
    version: VERSION,
    protocol: PROTOCOL,
    home: paths.home,
    uptimeSeconds: Math.round((Date.now() - startedMs) / 1000),
    rssBytes: process.memoryUsage.rss(),
    peakRssBytes: await peakRss(),
    mounts: mounts.size,
    repositories: repositories.openCount,
    jobs: jobs.rows(),
  }),
};

export const daemonStop: OperationHandler<'daemon.stop'> = {
  read: fields({}),
  run: async (context, _args, _output, signal) => {
    await context.stop(signal);
    return { pid: process.pid };
  },
};

/** VmHWM where there is one, else what getrusage says, in bytes. */
async function peakRss(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return (kib === undefined ? process.resourceUsage().maxRSS : Number(kib)) * 1024;
}
