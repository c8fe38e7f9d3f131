import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Result {
  readonly place: string;
  readonly checks: readonly { readonly name: string; readonly outcome: string }[];
}

/** What a judge says of the disk and of a mounted branch, in the same run. */
async function judge(name: string): Promise<readonly Result[]> {
  const program = `${ROOT}/dist/scripts/judge/main.js`;
  const { stdout } = await run(process.execPath, [program, '--mount', '--json', '--only', name], {
    maxBuffer: 1 << 26,
  }).catch((error: unknown) => {
    // It ends with 1 when a check failed, and says which.
    const { stdout: said = '' } = error as { stdout?: string };
    if (!said.startsWith('[')) throw error;
    return { stdout: said };
  });
  return JSON.parse(stdout) as Result[];
}

const isBuilt = existsSync(`${ROOT}/.cache/judge/bin/pjdfstest`);

describe('programs by others find on a branch mounted for writing what they find on the disk', () => {
  it.each(['fio', 'sqlite', 'git'])('%s', expectSame, 240_000);
  // Built by cargo, where that is: scripts/judge/install.
  it.skipIf(!isBuilt).each(['pjdfstest', 'fsx'])('%s', expectSame, 240_000);
});

async function expectSame(name: string): Promise<void> {
  const [disk, tarn] = await judge(name);
  const passed = (result: Result | undefined): readonly string[] =>
    result?.checks.filter(({ outcome }) => outcome !== 'failed').map((check) => check.name) ?? [];
  expect(passed(disk).length).toBeGreaterThan(3);
  expect(passed(tarn)).toEqual(expect.arrayContaining([...passed(disk)]));
}
