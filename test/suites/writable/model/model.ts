import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { patterned } from '../../filesystem-files.js';
import { Caller, type Outcome } from '../caller.js';
import { draw, LARGE, LARGE_BYTES, type Control, type Drawing, type Step } from './steps.js';
import { PlainUnderTest, type WritableSetup, type WritableUnderTest } from './under-test.js';

const run = promisify(execFile);

/** How a sequence went: undefined, or what differed from the plain directory. */
export type Difference = string | undefined;

/**
 * Draws a sequence of calls, gives it to a plain directory and to the one under test, and compares
 * the outcome of every call and, after every round, all that is there. A sequence that goes wrong is
 * shrunk; the error holds its seed and what is left of it.
 */
export async function checkModel(
  setup: WritableSetup,
  drawing: Drawing,
  triesToShrink = 60,
): Promise<void> {
  const base = await makeBase(drawing.processes);
  try {
    let steps = draw(drawing);
    let difference = await compare(setup, base, steps, drawing.processes);
    if (difference === undefined) return;
    const attempt = (fewer: readonly Step[]) => compare(setup, base, fewer, drawing.processes);
    [steps, difference] = await shrink(steps, difference, attempt, triesToShrink);
    const told = steps.map((step) => JSON.stringify(step)).join('\n');
    throw new Error(`seed ${drawing.seed}, ${steps.length} steps left: ${difference}\n${told}`);
  } finally {
    await rm(base, { recursive: true });
  }
}

/** Runs one sequence on both; the first difference. */
async function compare(
  setup: WritableSetup,
  base: string,
  steps: readonly Step[],
  processes: number,
): Promise<Difference> {
  const plain = new Side(await PlainUnderTest.create(base), processes);
  try {
    const tested = new Side(await setup(base), processes);
    try {
      return await inStep(plain, tested, steps);
    } finally {
      await tested.close();
    }
  } finally {
    await plain.close();
  }
}

async function inStep(plain: Side, tested: Side, steps: readonly Step[]): Promise<Difference> {
  for (let start = 0; start < steps.length;) {
    const round = steps.slice(start).filter((step) => step.round === steps[start]?.round);
    start += round.length;
    for (const step of round) {
      if (!('control' in step)) continue;
      const difference = await control(plain, tested, step.control);
      if (difference !== undefined) return difference;
    }
    const [expected, seen] = await Promise.all([plain.calls(round), tested.calls(round)]);
    for (const [at, step] of round.entries()) {
      const [one, two] = [JSON.stringify(expected[at]), JSON.stringify(seen[at])];
      if (one !== two) return `${JSON.stringify(step)} gave ${two} and not ${one}`;
    }
    const difference = treeDifference(await plain.tree(), await tested.tree());
    if (difference !== undefined) return `after ${JSON.stringify(round.at(-1))} ${difference}`;
  }
  return undefined;
}

async function control(plain: Side, tested: Side, what: Control): Promise<Difference> {
  await Promise.all([plain.closeAll(), tested.closeAll()]);
  const inodes = await tested.inodes();
  await Promise.all([plain.under[what](), tested.under[what]()]);
  const difference = treeDifference(await plain.tree(), await tested.tree());
  if (difference !== undefined) return `after ${what} ${difference}`;
  if (what === 'reset') return undefined;
  for (const [path, inode] of Object.entries(await tested.inodes())) {
    if (inodes[path] !== inode) {
      return `after ${what} the inode number of ${path} is ${inode} and no more ${inodes[path]}`;
    }
  }
  return what === 'commit' ? compareCommits(plain, tested) : undefined;
}

async function compareCommits(plain: Side, tested: Side): Promise<Difference> {
  const folder = await mkdtemp(join(tmpdir(), 'tarn-model-commit-'));
  try {
    const trees: Tree[] = [];
    for (const [name, side] of [
      ['plain', plain],
      ['tested', tested],
    ] as const) {
      const into = join(folder, name);
      await side.under.exportCommit(into);
      const caller = new Caller(into);
      trees.push(await caller.call<Tree>('tree'));
      await caller.stop();
    }
    const [expected = [], seen = []] = trees.map(ofFiles);
    const difference = treeDifference(expected, seen);
    return difference === undefined ? undefined : `in the commit ${difference}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Tree = readonly (readonly unknown[])[];

/** What every export of a commit holds: which files there are, and their bytes. */
function ofFiles(tree: Tree): Tree {
  return tree.map(([path, mode, ...rest]) => {
    const kind = String(mode).slice(0, -4);
    return kind === '0o10' ? [path, kind, rest[1], rest[3]] : [path, kind];
  });
}

function treeDifference(expected: Tree, seen: Tree): Difference {
  const [one, two] = [expected, seen].map((tree) => tree.map((line) => JSON.stringify(line)));
  const missing = one?.filter((line) => two?.includes(line) !== true) ?? [];
  const extra = two?.filter((line) => one?.includes(line) !== true) ?? [];
  if (missing.length + extra.length === 0) return undefined;
  return `there is not ${missing.slice(0, 4).join(' ')} but ${extra.slice(0, 4).join(' ')}`;
}

/** One of the two directories, and the processes that work below it. */
class Side {
  readonly under: WritableUnderTest;
  readonly #callers: readonly Caller[];

  constructor(under: WritableUnderTest, processes: number) {
    this.under = under;
    this.#callers = Array.from({ length: processes }, () => new Caller(under.directory));
  }

  calls(round: readonly Step[]): Promise<(Outcome | undefined)[]> {
    return Promise.all(
      round.map(async (step) =>
        'control' in step ? undefined : this.#callers[step.process]?.outcome(...step.call),
      ),
    );
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#callers.map((caller) => caller.call('closeall')));
  }

  async tree(): Promise<Tree> {
    return (await this.#callers[0]?.call<Tree>('tree')) ?? [];
  }

  async inodes(): Promise<Record<string, number>> {
    return (await this.#callers[0]?.call<Record<string, number>>('inodes')) ?? {};
  }

  async close(): Promise<void> {
    await Promise.all(this.#callers.map((caller) => caller.stop()));
    await this.under.close();
  }
}

/** Drops runs of steps, shorter and shorter ones, as long as it still goes wrong. */
async function shrink(
  steps: Step[],
  difference: string,
  attempt: (steps: readonly Step[]) => Promise<Difference>,
  tries: number,
): Promise<[Step[], string]> {
  let left = tries;
  for (let length = Math.ceil(steps.length / 2); length >= 1 && left > 0;) {
    let isShorter = false;
    for (let at = steps.length - length; at > -length && left > 0; at -= length) {
      const start = Math.max(0, at);
      const fewer = [...steps.slice(0, start), ...steps.slice(start + length)];
      left -= 1;
      const still = await attempt(fewer);
      if (still === undefined) continue;
      [steps, difference, isShorter] = [fewer, still, true];
      at = Math.min(at, steps.length);
    }
    if (length === 1 && !isShorter) break;
    length = length === 1 ? 1 : Math.floor(length / 2);
  }
  return [steps, difference];
}

/** What is there before the first call, in the shared folder and in each process's own. */
async function makeBase(processes: number): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'tarn-model-base-'));
  const caller = new Caller(base);
  const own = Array.from({ length: processes }, (_, process) => `own-${process}`);
  for (const folder of ['shared', ...own]) {
    await caller.call('mkdir', folder);
    await caller.put(`${folder}/${LARGE}`, patterned(LARGE_BYTES));
    await caller.put(`${folder}/a`, 'small');
    for (const path of ['b', 'b/a', 'b/b']) await caller.call('mkdir', `${folder}/${path}`);
    for (const path of ['b/c', 'b/a/a', 'b/a/b', 'b/b/d'])
      await caller.put(`${folder}/${path}`, path);
  }
  await caller.stop();
  // Of files only: a folder of a commit that nobody gave a time has that of the commit.
  await run('find', [
    base,
    '-type',
    'f',
    '-exec',
    'touch',
    '-d',
    '2001-01-01T00:00:00Z',
    '{}',
    '+',
  ]);
  return base;
}
