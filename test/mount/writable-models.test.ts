import { lstatSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkCrashes } from '../suites/writable/crash.js';
import { checkModel } from '../suites/writable/model/model.js';
import type { Drawing } from '../suites/writable/model/steps.js';
import { PlainUnderTest } from '../suites/writable/model/under-test.js';

const DRAWING: Drawing = {
  seed: 8421,
  steps: 120,
  processes: 3,
  controls: ['commit', 'reset', 'remount', 'kill'],
};

/** Loses the end of every file whenever it comes back. */
class Forgetful extends PlainUnderTest {
  static override async create(base: string): Promise<Forgetful> {
    return new Forgetful(await PlainUnderTest.folderOf(base));
  }

  override async remount(): Promise<void> {
    for (const name of readdirSync(this.directory, { recursive: true, encoding: 'utf8' })) {
      const path = join(this.directory, name);
      const stats = lstatSync(path);
      if (stats.isFile() && stats.size > 5) truncateSync(path, 5);
    }
  }
}

describe('random system calls in two directories', () => {
  it('agree on two plain ones, so that the sequences ask nothing by chance', async () => {
    for (const seed of [1, 2, 3]) {
      await checkModel((base) => PlainUnderTest.create(base), { ...DRAWING, seed });
    }
  });

  it('find a directory that forgets, and what is left of the sequence says when', async () => {
    const checked = checkModel(
      (base) => Forgetful.create(base),
      { ...DRAWING, controls: ['remount'] },
      30,
    );
    await expect(checked).rejects.toThrow(/seed 8421, 1 steps left: after remount/);
  });
});

/** Loses the bytes of one new file whenever it is killed. */
class Careless extends PlainUnderTest {
  static override async create(base: string): Promise<Careless> {
    return new Careless(await PlainUnderTest.folderOf(base));
  }

  override async kill(): Promise<void> {
    const folder = join(this.directory, 'writer-0');
    const written = readdirSync(folder).filter((name) => name.startsWith('labels-'));
    for (const name of written) {
      try {
        truncateSync(join(folder, name), 3);
      } catch {
        // The writer, which is still at work, has renamed it.
      }
    }
  }
}

describe('a writer that logs what was acknowledged', () => {
  it('finds all of it on a plain directory after every kill', async () => {
    await checkCrashes((base) => PlainUnderTest.create(base), { kills: 4, seed: 1 });
  });

  it('finds what a careless directory loses', async () => {
    const checked = checkCrashes((base) => Careless.create(base), { kills: 10, seed: 2 });
    await expect(checked).rejects.toThrow(/after kill .* labels-\d.json holds 3 bytes/);
  });
});
