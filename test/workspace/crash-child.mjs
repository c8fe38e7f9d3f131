// A process that puts or commits and is killed on the way; what it runs is the built product.
import process from 'node:process';
import { JobThreads, WORKSPACE_JOBS } from '../../dist/workspace/jobs/threads.js';

const [work, home, input] = process.argv.slice(2);
const threads = new JobThreads(home, WORKSPACE_JOBS);
process.stdout.write('started\n');
try {
  const result = await threads.run(work, JSON.parse(input));
  if (work === 'commit') process.stdout.write(`${result}\n`);
} catch (error) {
  process.stdout.write(`${error.kind}: ${error.message}\n`);
  process.exitCode = 1;
}
