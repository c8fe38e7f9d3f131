import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MountedBranch } from './mounted-branch.js';
import { Sandbox } from './sandbox.js';
import { WRITERS } from './writers.js';

describe('unmodified programs that write on a branch mounted for writing', () => {
  let samples: Sandbox;

  beforeAll(async () => {
    samples = await Sandbox.create();
    await samples.python('make_samples.py', samples.path('original'));
  });

  afterAll(() => samples.dispose());

  it.each(WRITERS)('$name', async (writer) => {
    const mount = await MountedBranch.create(samples.path('original'), 'native');
    try {
      const { sandbox } = mount;
      const plain = sandbox.path('plain');
      await mkdir(plain);
      await sandbox.must('cp', '-a', `${samples.path('original')}/.`, plain);
      const expected = await writer.run(sandbox, plain);
      expect(await writer.run(sandbox, mount.directory)).toBe(expected);
      const committed = sandbox.path('committed');
      await mount.commit();
      await mount.exportCommit(committed);
      await sandbox.must('diff', '-r', '--no-dereference', mount.directory, committed);
      if (writer.writesSame) await sandbox.must('diff', '-r', '--no-dereference', plain, committed);
    } finally {
      await mount.close();
    }
  });
});
