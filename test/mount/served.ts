import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { DriverName, MountOptions } from '../../src/mount/driver.js';
import type { FileSpec } from '../suites/filesystem-files.js';
import type { MemoryViewOptions } from '../vfs/memory-view.mjs';

export interface ServeOptions {
  readonly view?: MemoryViewOptions;
  /** As a branch that is followed, or in `branches/main` of a repository; else as a commit. */
  readonly shows?: 'branch' | 'repository';
  readonly mount?: Partial<Pick<MountOptions, 'noPassthrough' | 'allowOther'>>;
  /** A file whose every read fails as corrupt. */
  readonly corrupt?: string;
  /** Where to mount instead of a new directory; it is left alone afterwards. */
  readonly on?: string;
}

/** A mount of a memory view, served by a child process. */
export class ServedMount {
  readonly directory: string;
  readonly #scratch: string;
  readonly #own: boolean;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: Interface;
  readonly #said: string[] = [];
  #errors = '';

  static async start(
    driver: DriverName,
    files: readonly FileSpec[],
    options: ServeOptions = {},
  ): Promise<ServedMount> {
    const served = new ServedMount(driver, files, options);
    try {
      await served.line('mounted ');
    } catch (error) {
      await served.stop();
      throw error;
    }
    return served;
  }

  private constructor(driver: DriverName, files: readonly FileSpec[], options: ServeOptions) {
    this.#scratch = mkdtempSync(join(tmpdir(), 'tarn-served-'));
    this.#own = options.on === undefined;
    this.directory = options.on ?? join(this.#scratch, 'mount');
    if (this.#own) mkdirSync(this.directory);
    const spec = join(this.#scratch, 'spec.json');
    const packed = files.map(({ bytes, ...file }) => ({
      ...file,
      base64: Buffer.from(bytes ?? '').toString('base64'),
    }));
    writeFileSync(spec, JSON.stringify({ files: packed, options }));
    const program = new URL('./fixtures/serve-view.mjs', import.meta.url).pathname;
    this.#child = spawn(process.execPath, [program, driver, this.directory, spec], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on('line', (line) => this.#said.push(line));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What the child wrote on standard error: its faults. */
  get errors(): string {
    return this.#errors;
  }

  /** Sends a command and gives the line that answers it. */
  async ask(command: 'unmount' | 'force' | 'remount' | 'reads'): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    return this.line(command);
  }

  /** The next line that starts with `start`, taken out of what the child said. */
  async line(start: string): Promise<string> {
    for (;;) {
      const at = this.#said.findIndex((line) => line.startsWith(start));
      if (at >= 0) return this.#said.splice(at, 1)[0] ?? '';
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`the child ended without saying '${start}': ${this.#errors}`);
      }
      const heard = new AbortController();
      const lines = once(this.#lines, 'line', { signal: heard.signal });
      const closed = once(this.#child, 'close', { signal: heard.signal });
      await Promise.race([lines, closed]);
      heard.abort();
      await Promise.allSettled([lines, closed]);
    }
  }

  /** Ends the child and takes the mount away, whatever state they are in. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const closed = once(this.#child, 'close');
      this.#child.stdin.end();
      const killer = setTimeout(() => this.#child.kill('SIGKILL'), 15_000);
      await closed;
      clearTimeout(killer);
    }
    if (this.#own && isMounted(this.directory)) execFileSync('umount', ['-l', this.directory]);
    rmSync(this.#scratch, { recursive: true });
  }
}

export function isMounted(directory: string): boolean {
  return mountLine(directory) !== undefined;
}

/** The mount's line in /proc/mounts. */
export function mountLine(directory: string): string | undefined {
  const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
  return lines.find((line) => line.split(' ')[1] === directory);
}
