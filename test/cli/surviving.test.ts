import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Shell, killAndWait } from './shell.js';
import { patterned } from '../suites/filesystem-files.js';
import { Chance } from '../suites/writable/model/steps.js';

const KILLS = Number(process.env['TARN_SURVIVING_KILLS'] ?? 6);
const SEED = Number(process.env['TARN_SURVIVING_SEED'] ?? 8421);
/** More than a daemon has to serve to count as sound. */
const SOUND_MS = 500;
const PROGRAM = fileURLToPath(new URL('./survivors.py', import.meta.url));
const WRITERS = ['read_log', 'walk', 'append', 'database', 'rename', 'unlinked', 'lock'];

let shell: Shell;
const programs: Program[] = [];

beforeEach(async () => {
  shell = await Shell.open();
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const program of programs.splice(0)) program.process.kill('SIGKILL');
  await shell.dispose();
});

/** One of survivors.py, at work. */
class Program {
  readonly process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #complaint = '';
  #rounds = 0;

  constructor(kind: string, directory: string) {
    this.process = spawn('python3', [PROGRAM, kind, directory], { stdio: 'pipe' });
    this.#ended = once(this.process, 'close');
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream }).on('line', () => {
      this.#rounds += 1;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text;
    });
    programs.push(this);
  }

  /** Resolves when it has done another whole round. */
  async goesOn(): Promise<void> {
    const before = this.#rounds;
    const isOn = (): boolean => this.#rounds > before + 1 || this.process.exitCode !== null;
    await vi.waitUntil(isOn, { timeout: 30_000, interval: 20 });
  }

  /** What it complained of, up to its end. */
  async end(): Promise<string> {
    this.process.stdin?.end();
    await this.#ended;
    return this.process.exitCode === 0 ? '' : `${this.#complaint} (${this.process.exitCode})`;
  }
}

async function makeDrive(): Promise<void> {
  await shell.file('base/recording.mcap', Buffer.from(patterned(6_000_000)));
  for (let i = 0; i < 60; i += 1) {
    await shell.file(`base/labels/${i % 7}/frame-${i}.json`, JSON.stringify({ i }));
  }
  await shell.must('repo', 'create', 'drive');
  await shell.must('put', '-r', shell.path('base'), 'drive/main');
  await shell.must('commit', 'drive/main', '-m', 'Ingest');
}

async function started(): Promise<readonly number[]> {
  const events = await shell.events();
  return events.flatMap(({ event, pid }) => (event === 'started' && pid ? [pid] : []));
}

/** Kills the daemon; resolves when there is another one. */
async function killOnce(): Promise<void> {
  const before = await started();
  await killAndWait(before.at(-1) ?? 0);
  const isBack = async (): Promise<boolean> => (await started()).length > before.length;
  await vi.waitUntil(isBack, { timeout: 20_000, interval: 20 });
}

async function killOften(all: readonly Program[]): Promise<void> {
  const chance = new Chance(SEED);
  for (let kill = 0; kill < KILLS; kill += 1) {
    await Promise.all(all.map((program) => program.goesOn()));
    // One that is killed again and again at once is given up in the end.
    await delay(SOUND_MS + chance.below(400));
    await killOnce();
  }
  await Promise.all(all.map((program) => program.goesOn()));
}

describe('programs in a mount whose daemon is killed', () => {
  it(
    'K1: While a killed daemon is started again, programs wait; they see no error and no other bytes.',
    async () => {
      await makeDrive();
      const writable = await shell.mountPoint('writable');
      const frozen = await shell.mountPoint('frozen');
      await shell.must('mount', 'drive/main', frozen);
      await shell.must('mount', '--write', 'drive/main', writable);
      const all = [
        ...WRITERS.map((kind) => new Program(kind, writable)),
        ...['read_log', 'walk'].map((kind) => new Program(kind, frozen)),
      ];
      await killOften(all);
      expect(await Promise.all(all.map((program) => program.end()))).toEqual(all.map(() => ''));
      const { length } = await started();
      expect(length).toBe(KILLS + 1);
    },
    60_000 + KILLS * 20_000,
  );

  it(
    'go on changing a large committed file in place',
    async () => {
      await makeDrive();
      const directory = await shell.mountPoint('writable');
      await shell.must('mount', '--write', 'drive/main', directory);
      const patching = new Program('patch', directory);
      await killOften([patching]);
      expect(await patching.end()).toBe('');
    },
    60_000 + KILLS * 20_000,
  );

  it('K3: Without a daemon for 30 seconds programs get errors from then on.', async () => {
    vi.stubEnv('TARN_KEEPER_SECONDS', '2');
    await makeDrive();
    const directory = await shell.mountPoint('m');
    await shell.must('mount', 'drive/main', directory);
    const pid = await shell.daemonPid();
    // What no daemon starts in.
    await chmod(shell.home, 0o777);
    await killAndWait(pid);
    await expect(readFile(`${directory}/recording.mcap`)).rejects.toThrow(
      /ENOTCONN|ECONNABORTED|EIO/,
    );
    await chmod(shell.home, 0o700);
    await shell.must('ls', 'drive/main');
    expect((await readFile(`${directory}/recording.mcap`)).length).toBe(6_000_000);
  });

  it('are unmounted by a command at once after the kill, as always', async () => {
    await makeDrive();
    const directory = await shell.mountPoint('m');
    await shell.must('mount', '--write', 'drive/main', directory);
    await mkdir(`${directory}/made`);
    await killAndWait(await shell.daemonPid());
    await shell.must('umount', directory);
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
    expect(await shell.must('ls', 'drive/main')).toContain('made/');
  });
});
