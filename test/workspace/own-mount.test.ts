import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Shell } from '../cli/shell.js';
import { ensureBuilt } from './built.js';

const FILE_BYTES = 40_000_000;
/** A daemon that waits for itself never ends; a sound one takes a second or two. */
const TIMEOUT_MS = 60_000;

describe.each(['native', 'fuse-native'])(
  "sources on a mount of the daemon's own (%s)",
  (driver) => {
    let shell: Shell;
    beforeEach(async () => {
      ensureBuilt();
      shell = await Shell.open();
    });
    afterEach(() => shell.dispose());

    /** What was never verified since the daemon began has to be read and hashed to be served. */
    async function forgetVerified(): Promise<void> {
      await shell.must('daemon', 'stop');
      for (const suffix of ['', '-wal', '-shm']) {
        await rm(`${shell.home}/cache/verified.db${suffix}`, { force: true });
      }
    }

    it(
      'are read by several puts at once',
      async () => {
        await shell.must('repo', 'create', 'drive');
        const contents = [0, 1, 2, 3].map(() => randomBytes(FILE_BYTES));
        for (const [i, bytes] of contents.entries()) await shell.file(`raw/${i}.bin`, bytes);
        await shell.must('put', '-r', shell.path('raw'), 'drive/main/');
        await shell.must('commit', 'drive/main', '-m', 'raw');
        await forgetVerified();
        const directory = await shell.mountPoint('m');
        await shell.must('mount', 'drive/main', directory, '--driver', driver);
        const name = (i: number): string => `${directory}/${i}.bin`;
        const ran = await Promise.all([
          shell.tarn(['put', name(0), name(1), 'drive/main/one/']),
          shell.tarn(['put', name(2), name(3), 'drive/main/two/']),
        ]);
        expect(ran).toMatchObject([{ code: 0 }, { code: 0 }]);
        await shell.must('get', 'drive/main/two/3.bin', shell.path('copy'));
        expect((await readFile(shell.path('copy'))).equals(contents[3] as Buffer)).toBe(true);
      },
      TIMEOUT_MS,
    );
  },
);
