import { chmod } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/cli/failure.js';
import type { CheckRow } from '../../src/daemon/protocol.js';
import { TarnError } from '../../src/util/errors.js';
import { Shell } from './shell.js';

let shell: Shell;

beforeEach(async () => {
  shell = await Shell.open();
});

afterEach(() => shell.dispose());

async function checks(...args: string[]): Promise<Map<string, CheckRow>> {
  const ran = await shell.tarn(['doctor', ...args, '--json']);
  const rows = ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as CheckRow);
  expect(ran.code).toBe(rows.some(({ state }) => state === 'fail') ? 1 : 0);
  return new Map(rows.map((row) => [row.check, row]));
}

describe('doctor', () => {
  it('checks the machine without starting a daemon', async () => {
    const found = await checks();
    for (const name of ['node', 'kernel', 'device', 'addon', 'rights', 'home', 'space', 'daemon']) {
      expect(found.get(name)?.detail).toBeTruthy();
    }
    expect(found.get('node')).toMatchObject({ state: 'ok' });
    expect(found.get('daemon')?.detail).toContain('not running');
    expect((await shell.tarn(['daemon', 'status'])).code).toBe(1);
  });

  it('fails a home that others may write to, and says how to mend it', async () => {
    await shell.must('daemon', 'start');
    await shell.must('daemon', 'stop');
    await chmod(shell.home, 0o777);
    const home = (await checks()).get('home');
    expect(home).toMatchObject({ state: 'fail', fix: `chmod 700 '${shell.home}'` });
    await chmod(shell.home, 0o700);
    expect((await checks()).get('home')).toMatchObject({ state: 'ok' });
  });

  it('names dead mounts', async () => {
    await shell.must('repo', 'create', 'drive');
    const directory = await shell.mountPoint('m');
    await shell.must('mount', 'drive/main', directory);
    await shell.killAll();
    const mounts = (await checks()).get('mounts');
    expect(mounts?.state).toBe('warn');
    expect(mounts?.fix).toContain(`tarn umount ${directory}`);
    await shell.must('umount', directory);
  });

  it('names what a mount of a repository cannot show, and counts what is readable', async () => {
    await shell.must('repo', 'create', 'drive');
    const long = `labels/${'x'.repeat(300)}.json`;
    await shell.must('put', await shell.file('a'), `drive/main/${long}`);
    await shell.must('put', await shell.file('b'), 'drive/main/b');
    await shell.must('commit', 'drive/main', '-m', 'one');
    const ran = await shell.tarn(['doctor', 'drive']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain(`'${long}' is not shown in a mount`);
    expect(ran.stdout).toContain('2 entries are readable, 1 cannot be shown in a mount');
    expect(await shell.must('cat', `drive/main/${long}`)).toBe('a');
  });
});

describe('exit codes', () => {
  it.each([
    ['conflict', 3],
    ['invalid', 2],
    ['not-found', 1],
    ['corrupt', 1],
    ['no-space', 1],
  ] as const)('of %s is %i', (kind, code) => {
    expect(exitCodeOf(new TarnError(kind, 'why'))).toBe(code);
  });
});
