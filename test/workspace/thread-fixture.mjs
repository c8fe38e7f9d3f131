// A job thread with jobs that show how threads behave.
import { threadId } from 'node:worker_threads';
import { once } from 'node:events';
import process from 'node:process';
import { setImmediate } from 'node:timers';
import { serveJobs } from '../../dist/workspace/jobs/serve-jobs.js';
import { TarnError } from '../../dist/util/errors.js';

const JOBS = {
  thread: async () => threadId,
  head: async ({ repository }) => (await repository.resolve('main')).commitId,
  rows: async (_context, { count, size }, out) => {
    let handed = 0;
    for (let at = 0; at < count; at += 1) {
      out.progress({ files: at, bytes: 0 });
      await out.rows(Array.from({ length: size }, (_, i) => at * size + i));
      handed += size;
    }
    return handed;
  },
  fail: async () => {
    throw new TarnError('nothing-to-commit', 'nothing is staged', { hint: 'stage something' });
  },
  break: async () => undefined.x,
  die: () => {
    setImmediate(() => {
      throw new Error('a bug');
    });
    return new Promise(() => undefined);
  },
  exit: () => process.exit(3),
  wait: async (_context, _input, out) => {
    out.progress({ files: 1, bytes: 0 });
    await once(out.signal, 'abort');
    throw out.signal.reason;
  },
};
const entries = Object.entries(JOBS).map(([name, run]) => [name, { load: async () => ({ run }) }]);

// The registry's names decide how many of a job run at once; any job may be asked for by them.
serveJobs({
  ...Object.fromEntries(entries),
  ...Object.fromEntries(
    ['put', 'commit'].map((name) => [
      name,
      {
        load: async () => ({ run: (context, input, out) => JOBS[input.job](context, input, out) }),
      },
    ]),
  ),
});
