import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import type { MountRow } from '../../src/daemon/protocol.js';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** The built command line with a home directory, and so a daemon, of its own. */
export class Shell {
  readonly root: string;
  readonly home: string;
  readonly #mounts = new Set<string>();

  private constructor(root: string, home: string) {
    this.root = root;
    this.home = home;
  }

  static async open(home = 'home'): Promise<Shell> {
    const root = await mkdtemp(join(tmpdir(), 'tarn-cli-'));
    return new Shell(root, join(root, home));
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  get socket(): string {
    return join(this.home, 'run', 'daemon.sock');
  }

  async file(path: string, bytes: string | Buffer = path): Promise<string> {
    const full = this.path(path);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, bytes);
    return full;
  }

  /** An empty directory that dispose unmounts, whatever happened. */
  async mountPoint(name: string): Promise<string> {
    const directory = this.path(name);
    await mkdir(directory, { recursive: true });
    this.#mounts.add(directory);
    return directory;
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    return spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? this.root,
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env, TARN_HOME: this.home },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** Runs one command to its end. */
  tarn(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const child = this.start(args, options);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    return ended(child);
  }

  /** Runs one command that must succeed; what it printed. */
  async must(...args: string[]): Promise<string> {
    const ran = await this.tarn(args);
    if (ran.code !== 0) {
      throw new Error(`tarn ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
    }
    return ran.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.must(...args, '--json')) as T;
  }

  async jsonRows<T>(...args: string[]): Promise<T[]> {
    const lines = (await this.must(...args, '--json')).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as T);
  }

  /** Those of this shell: dead ones of any home are listed too. */
  async mounts(): Promise<MountRow[]> {
    const rows = await this.jsonRows<MountRow>('mounts');
    return rows.filter(({ directory }) => directory.startsWith(`${this.root}/`));
  }

  async daemonPid(): Promise<number> {
    return (await this.json<{ pid: number }>('daemon', 'status')).pid;
  }

  /**
   * Kills the daemon and, before, the keeper that would start another one for its mounts: as the end
   * of a container does, or a lack of memory.
   */
  async killAll(): Promise<void> {
    const pid = await this.daemonPid();
    await this.#killKeeper();
    await killAndWait(pid);
    // One that was only just being started.
    await this.#killKeeper();
  }

  /** Process that holds the mounts of the daemon, if one does. */
  keeper(): Promise<number | undefined> {
    return keeperOf(this.socket);
  }

  async #killKeeper(): Promise<void> {
    const keeper = await this.keeper();
    if (keeper !== undefined) await killAndWait(keeper);
  }

  /** What the daemon logged, oldest first. */
  async events(): Promise<{ event: string; pid?: number; directory?: string }[]> {
    const text = await readFile(join(this.home, 'log', 'daemon.jsonl'), 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as { event: string; pid?: number });
  }

  async dispose(): Promise<void> {
    await this.tarn(['daemon', 'stop']);
    for (const { event, pid } of await this.events()) {
      if (event === 'started' && pid !== undefined && isAlive(pid)) await killAndWait(pid);
    }
    for (const directory of this.#mounts) await run('umount', ['-l', directory]);
    await rm(this.root, { recursive: true, force: true });
  }
}

/** The process that holds the mounts of the daemon with this socket, if one does. */
async function keeperOf(socket: string): Promise<number | undefined> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'latin1').catch(() => '');
    const [program = '', given] = command.split('\0');
    if (program.endsWith('/tarn_keeper') && given === `${socket}.keeper`) return Number(entry);
  }
  return undefined;
}

/** A process that has ended counts as such also while nobody has reaped it. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Resolves when the process, which is no child of ours, has ended. */
export async function killAndWait(pid: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  process.kill(pid, signal);
  await vi.waitUntil(() => !isAlive(pid), { timeout: 20_000, interval: 10 });
}

export function run(program: string, args: readonly string[]): Promise<Ran> {
  return ended(spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
}

export function ended(child: ChildProcess): Promise<Ran> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
