import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { patterned } from '../filesystem-files.js';
import { Caller } from './caller.js';
import { Chance } from './model/steps.js';
import type { WritableSetup, WritableUnderTest } from './model/under-test.js';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('./crash.py', import.meta.url));
const WRITERS = 2;

/**
 * Processes write and log each acknowledged step; what serves the directory is killed at moments of
 * chance. After every kill, and in the commit at the end, all that was acknowledged must be there.
 */
export async function checkCrashes(
  setup: WritableSetup,
  { kills, seed }: { readonly kills: number; readonly seed: number },
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'tarn-crash-'));
  const under = await setup(await makeBase(scratch));
  try {
    const chance = new Chance(seed);
    for (let round = 0; round < kills; round += 1) {
      await writeUntilKilled(under, scratch, round, chance);
      await check(under.directory, scratch, `kill ${round + 1} of ${kills}, seed ${seed}`);
      if (chance.below(5) === 0) await under.commit();
    }
    await under.commit();
    const committed = join(scratch, 'committed');
    await under.exportCommit(committed);
    await check(committed, scratch, `the commit after ${kills} kills, seed ${seed}`);
  } finally {
    await under.close();
    await rm(scratch, { recursive: true });
  }
}

/** Logs that were committed: pages of one are changed in place, the other is copied. */
async function makeBase(scratch: string): Promise<string> {
  const base = join(scratch, 'base');
  await mkdir(base);
  const caller = new Caller(base);
  for (let writer = 0; writer < WRITERS; writer += 1) {
    await caller.call('mkdir', `writer-${writer}`);
    for (const name of ['log.mcap', 'frozen.mcap']) {
      await caller.put(`writer-${writer}/${name}`, patterned(400 * 4096));
    }
  }
  await caller.stop();
  return base;
}

async function writeUntilKilled(
  under: WritableUnderTest,
  scratch: string,
  round: number,
  chance: Chance,
): Promise<void> {
  const writers = Array.from({ length: WRITERS }, (_, writer) => {
    const args = [`writer-${writer}`, `${writer}.log`] as const;
    const paths = [join(under.directory, args[0]), join(scratch, args[1])];
    return spawn('python3', [PROGRAM, 'write', ...paths, String(round)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  });
  const ended = writers.map((writer) => once(writer, 'close'));
  // Some acknowledgements, and then a moment in the middle of whatever comes next.
  const wanted = 1 + chance.below(40);
  try {
    await Promise.all(writers.map((writer) => linesOf(writer.stdout, wanted)));
    await under.kill();
  } finally {
    for (const writer of writers) writer.kill('SIGKILL');
    await Promise.all(ended);
  }
}

/** Resolves when so many lines were said. */
function linesOf(output: Readable, wanted: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = 0;
    createInterface({ input: output })
      .on('line', () => {
        seen += 1;
        if (seen === wanted) resolve();
      })
      .on('close', () => reject(new Error('a writer ended before anything was killed')));
  });
}

async function check(directory: string, scratch: string, when: string): Promise<void> {
  for (let writer = 0; writer < WRITERS; writer += 1) {
    const paths = [join(directory, `writer-${writer}`), join(scratch, `${writer}.log`)];
    await run('python3', [PROGRAM, 'check', ...paths]).catch((error: unknown) => {
      const told = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
      throw new Error(`after ${when}: ${told}`);
    });
  }
}
