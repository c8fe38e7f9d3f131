import { closeSync, writeSync } from 'node:fs';
import { asTarnError } from '../util/errors.js';
import { runDaemon } from './daemon.js';
import { toWireError } from './frames.js';
import { daemonPaths } from './paths.js';

/** The daemon as its own process; spawn.ts starts it and reads what it reports. */
const home = process.env['TARN_HOME'];
const reportFd = Number(process.env['TARN_REPORT_FD']);
if (home === undefined || !Number.isSafeInteger(reportFd)) {
  throw new Error("this program is started by tarn; to run a daemon use 'tarn daemon run'");
}

let isReported = false;
const controller = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => controller.abort());
}
// Closing the terminal that the first command was typed in must not unmount anything.
process.on('SIGHUP', () => undefined);

try {
  await runDaemon(daemonPaths(home), {
    onReady: () => report('ready'),
    stop: controller.signal,
  });
} catch (error) {
  const fault = asTarnError(error);
  report(fault.kind === 'busy' ? 'locked' : JSON.stringify({ error: toWireError(fault) }));
  process.exitCode = 1;
}
process.exit();

function report(word: string): void {
  if (isReported) return;
  isReported = true;
  try {
    writeSync(reportFd, word);
  } catch (error) {
    // The command that started this daemon has gone; others will come.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
  closeSync(reportFd);
}
