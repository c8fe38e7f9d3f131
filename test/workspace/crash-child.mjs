// A process that puts or commits and is killed on the way; what it runs is the built product.
import process from 'node:process';
import { runCommit } from '../../dist/workspace/jobs/commit.js';
import { runPut } from '../../dist/workspace/jobs/put.js';

const [work, input] = process.argv.slice(2);
process.stdout.write('started\n');
try {
  if (work === 'put') await runPut(JSON.parse(input));
  else process.stdout.write(`${await runCommit(JSON.parse(input))}\n`);
} catch (error) {
  process.stdout.write(`${error.kind}: ${error.message}\n`);
  process.exitCode = 1;
}
