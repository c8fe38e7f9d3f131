import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, checkOf, run, type Check, type Judge } from './judge.js';

const PROGRAM = join(ROOT, 'scripts/judge/sqlite_torture.py');

const MODES = [
  ['wal', 'normal'],
  ['wal', 'full'],
  ['delete', 'full'],
  ['truncate', 'normal'],
  ['persist', 'normal'],
] as const;

/** Several processes insert into one database, and some are killed in the middle of it. */
export const sqlite: Judge = {
  name: 'sqlite',
  needs: ['python3'],
  async run({ directory, scratch }, isFull) {
    const folder = join(directory, 'sqlite');
    mkdirSync(folder);
    const checks: Check[] = [];
    for (const [mode, synchronous] of MODES) {
      const database = join(folder, `${mode}-${synchronous}.db`);
      const rounds = isFull ? '40' : '2';
      const ran = await run('python3', [PROGRAM, database, scratch, mode, synchronous, rounds], {
        seconds: 1200,
      });
      checks.push(checkOf(`journal ${mode}, synchronous ${synchronous}`, ran));
    }
    return { checks };
  },
};
