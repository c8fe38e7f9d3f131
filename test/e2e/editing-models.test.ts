import { describe, it } from 'vitest';
import { checkCrashes } from '../suites/writable/crash.js';
import { checkModel } from '../suites/writable/model/model.js';
import type { Drawing } from '../suites/writable/model/steps.js';
import { MountedBranch } from './mounted-branch.js';

const RUNS = Number(process.env['TARN_WRITING_RUNS'] ?? 2);
const STEPS = Number(process.env['TARN_WRITING_STEPS'] ?? 120);
const KILLS = Number(process.env['TARN_WRITING_KILLS'] ?? 5);
const SEED = Number(process.env['TARN_WRITING_SEED'] ?? 8421);

const mounted = (base: string) => MountedBranch.create(base, 'native');
const minutes = (count: number): number => count * 60_000;

describe('a branch that is mounted for writing, and a plain directory', () => {
  const cases: readonly (readonly [string, Omit<Drawing, 'seed'>])[] = [
    ['every call', { steps: STEPS, processes: 3, controls: ['remount', 'kill'] }],
    [
      // Without what a commit turns into separate files or does not take: attributes of directories too.
      'commits in between',
      {
        steps: STEPS,
        processes: 3,
        controls: ['commit', 'reset', 'remount', 'kill'],
        without: ['link', 'mknod', 'setxattr'],
      },
    ],
  ];
  it.each(cases)(
    'agree after every step: %s',
    async (_what, drawing) => {
      for (let run = 0; run < RUNS; run += 1) {
        await checkModel(mounted, { ...drawing, seed: SEED + run });
      }
    },
    minutes(2 + RUNS * 2),
  );
});

describe('a daemon that is killed while programs write', () => {
  it(
    'has all that was acknowledged when it is back, and in the next commit',
    async () => {
      await checkCrashes(mounted, { kills: KILLS, seed: SEED });
    },
    minutes(2 + KILLS / 4),
  );
});
