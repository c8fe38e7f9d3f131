/**
 * Loaded into a daemon by NODE_OPTIONS=--import: on SIGUSR2 appends a line to the file that
 * TARN_BENCH_STALLS names, the longest stall of the event loop in milliseconds since the last one.
 */
import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const file = process.env.TARN_BENCH_STALLS;
if (isMainThread && file !== undefined && process.argv[1]?.endsWith('/daemon.js')) {
  // Each delay that it records has the resolution in it.
  const resolution = 1;
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  process.on('SIGUSR2', () => {
    appendFileSync(file, `${delays.max / 1e6 - resolution}\n`);
    delays.reset();
  });
}
