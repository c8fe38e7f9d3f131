import type * as fs from 'node:fs';
import * as fc from 'fast-check';
import { describe, it, vi } from 'vitest';
import { PORTABLE_CALLS } from '../../../src/overlay/bytes/file-calls.js';
import { NotedBase, PAGE, Pair, steps } from './model.js';

vi.mock('node:fs', async (original) => {
  const { withKilling } = await import('./killed.js');
  return withKilling(await original<typeof fs>());
});

const sizes = fc.constantFrom(undefined, 1, PAGE, 3 * PAGE + 17, 9 * PAGE - 1, 9 * PAGE, 40 * PAGE);

describe('a staged file', () => {
  it('has the bytes that a plain file would have, whole and partial', async () => {
    const property = fc.asyncProperty(sizes, steps(25), async (size, list) => {
      const pair = new Pair(
        PORTABLE_CALLS,
        size === undefined ? undefined : new NotedBase(size, 1),
      );
      try {
        for (const step of list) await pair.step(step);
        await pair.check();
      } finally {
        pair.dispose();
      }
    });
    await fc.assert(property, { seed: 5, numRuns: 60 });
  });

  it('has old or new bytes whichever system call was the last of a killed process', async () => {
    const killed = fc.tuple(steps(8), steps(3), fc.nat(4));
    const property = fc.asyncProperty(sizes, killed, async (size, [list, more, calls]) => {
      const pair = new Pair(
        PORTABLE_CALLS,
        size === undefined ? undefined : new NotedBase(size, 1),
      );
      try {
        for (const step of list) {
          await pair.step(step);
          for (const next of more) await pair.killedStep(next, calls);
        }
        await pair.check();
      } finally {
        pair.dispose();
      }
    });
    await fc.assert(property, { seed: 6, numRuns: 50 });
  });
});
