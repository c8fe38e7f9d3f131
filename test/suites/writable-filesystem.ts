import { afterAll, beforeAll, describe } from 'vitest';
import type { FilesystemSetup, FilesystemUnderTest } from './filesystem.js';
import { BASE, type Lacks, type Stage } from './writable/stage.js';
import { Caller } from './writable/caller.js';
import { describeAttributes } from './writable/attributes.js';
import { describeBytes } from './writable/bytes.js';
import { describeNames } from './writable/names.js';
import { describeSharing } from './writable/sharing.js';
import { describeSparse } from './writable/sparse.js';

/**
 * What any file system that can be written shows to programs: system calls by processes of their own,
 * on files that were there before (BASE) and on new ones. It runs over a plain directory too, which is
 * the proof that it asks nothing that a disk would not answer. `lacks` names what an implementation
 * says it cannot do.
 */
export function runWritableFilesystemSuite(
  name: string,
  setup: FilesystemSetup,
  lacks: Lacks = {},
): void {
  describe(`a filesystem that can be written: ${name}`, () => {
    let under: FilesystemUnderTest | undefined;
    let callers: readonly Caller[] = [];
    const caller = (at: number): Caller => {
      const found = callers[at];
      if (found === undefined) throw new Error('the processes were not started');
      return found;
    };
    const stage: Stage = {
      lacks,
      get one() {
        return caller(0);
      },
      get two() {
        return caller(1);
      },
    };

    beforeAll(async () => {
      under = await setup(BASE);
      const { directory } = under;
      callers = [new Caller(directory), new Caller(directory)];
      for (const each of callers) await each.call('umask', 0o022);
    });
    afterAll(async () => {
      for (const each of callers) await each.stop();
      await under?.teardown();
    });

    describe('names', () => describeNames(stage));
    describe('bytes', () => describeBytes(stage));
    describe('holes and ranges', () => describeSparse(stage));
    describe('attributes', () => describeAttributes(stage));
    describe('several processes', () => describeSharing(stage));
  });
}
