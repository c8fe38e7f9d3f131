import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TARN = fileURLToPath(new URL('../../scripts/tarn', import.meta.url));
const PYTHON = fileURLToPath(new URL('../../.cache/venv/bin/python', import.meta.url));

/** Characters of the daemon's log in the error of a program that failed. */
const LOG_SHOWN = 3_000;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A tarn home of its own with a daemon of its own, and folders beside it. */
export class Sandbox {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), 'tarn-e2e-')));
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  /** Runs any program and says how it ended. */
  run(program: string, args: readonly string[], cwd = this.root): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd,
        env: { ...process.env, TARN_HOME: this.path('home'), LC_ALL: 'C.UTF-8' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const out = { stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, ...out }));
    });
  }

  /** Runs a program that must succeed; its standard output. */
  async must(program: string, ...args: string[]): Promise<string> {
    const ran = await this.run(program, args);
    if (ran.code !== 0) {
      throw new Error(
        `${program} ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}${ran.stdout}\n${await this.#lastOfLog()}`,
      );
    }
    return ran.stdout;
  }

  tarn(...args: string[]): Promise<string> {
    return this.must(TARN, ...args);
  }

  tryTarn(...args: string[]): Promise<Ran> {
    return this.run(TARN, args);
  }

  python(script: string, ...args: string[]): Promise<string> {
    const path = fileURLToPath(new URL(`./readers/${script}`, import.meta.url));
    return this.must(PYTHON, path, ...args);
  }

  /** What the daemon did before something failed. */
  async #lastOfLog(): Promise<string> {
    const log = await readFile(this.path('home', 'log', 'daemon.jsonl'), 'utf8').catch(() => '');
    return log.slice(-LOG_SHOWN);
  }

  async dispose(): Promise<void> {
    await this.tryTarn('umount', '--all', '--force');
    await this.tryTarn('daemon', 'stop');
    await rm(this.root, { recursive: true, force: true });
  }
}
