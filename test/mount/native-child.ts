import { execFile, fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { chownSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { FileSpec } from '../suites/filesystem-files.js';
import type { MemoryViewOptions } from '../vfs/memory-view.mjs';
import { listMounts } from '../../src/mount/mounts.js';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('fixtures/serve-native.mjs', import.meta.url));

export interface Counts {
  readonly calls: Readonly<Record<string, number | undefined>>;
  readonly aborted: number;
  readonly released: number;
  readonly handles: number;
  /** Nodes that the kernel holds, of the filesystem that can be written. */
  readonly held?: number;
  readonly faults: readonly string[];
}

export interface ChildOptions {
  readonly uid?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly noPassthrough?: boolean;
  readonly allowOther?: boolean;
  /** For the filesystem that can be written: what is there before. */
  readonly writable?: readonly FileSpec[];
  readonly grants?: boolean;
  /** The other driver, over the filesystem that can be written. */
  readonly driver?: 'fuse-native';
  /** With `writable`: a real workspace, over a view with these options. */
  readonly workspace?: Pick<MemoryViewOptions, 'slow' | 'backing'>;
}

/** A process that serves the memory filesystem on a directory of its own. */
export class NativeChild {
  readonly directory: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly exited: Promise<void>;
  #lastId = 0;

  private constructor(directory: string, options: ChildOptions) {
    this.directory = directory;
    const { uid, env = {}, writable, ...passed } = options;
    if (writable !== undefined) writeFileSync(specOf(directory), specText(writable));
    const files = { writable: specOf(directory), staged: stagedOf(directory) };
    const told = { ...passed, ...(writable !== undefined && files) };
    this.#process = fork(PROGRAM, [directory, JSON.stringify(told)], {
      execArgv: [],
      env: { ...process.env, ...env },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.#process.on('message', (message: Message) => {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    });
    this.exited = new Promise((resolve) => {
      this.#process.on('exit', () => {
        for (const settle of this.#waiting.values()) {
          settle({ id: 0, error: { kind: 'internal', message: 'the serving process has ended' } });
        }
        resolve();
      });
    });
  }

  /** Starts the process without mounting. */
  static async start(options: ChildOptions = {}): Promise<NativeChild> {
    const directory = await mkdtemp(join(tmpdir(), 'tarn-native-mount-'));
    if (options.uid !== undefined) chownSync(directory, options.uid, options.uid);
    return new NativeChild(directory, options);
  }

  static async mounted(options: ChildOptions = {}): Promise<NativeChild> {
    const child = await NativeChild.start(options);
    await child.call('mount');
    return child;
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  /** Rejects with the plain fields of a TarnError. */
  call<T = undefined>(command: string, argument?: unknown): Promise<T> {
    const id = ++this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T);
        else reject(Object.assign(new Error(error.message), error));
      });
      this.#process.send({ id, command, argument });
    });
  }

  counts(): Promise<Counts> {
    return this.call<Counts>('counts');
  }

  /** Asks for the counts until they are as wanted; the test's own time limit ends it otherwise. */
  async until(wanted: (counts: Counts) => boolean): Promise<Counts> {
    for (;;) {
      const counts = await this.counts();
      if (wanted(counts)) return counts;
    }
  }

  features(): Promise<Record<string, string | number | boolean>> {
    return this.call('features');
  }

  async isMounted(): Promise<boolean> {
    return (await listMounts()).some((mount) => mount.directory === this.directory);
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.exited;
  }

  /** Whatever the test did, nothing is left behind. */
  async stop(): Promise<void> {
    await this.kill();
    while (await this.isMounted()) await run('umount', ['-l', this.directory]);
    await rm(this.directory, { recursive: true });
    await rm(specOf(this.directory), { force: true });
    await rm(stagedOf(this.directory), { force: true, recursive: true });
  }
}

function specOf(directory: string): string {
  return `${directory}.files.json`;
}

/** Where the bytes are that are written. */
function stagedOf(directory: string): string {
  return `${directory}.staged`;
}

function specText(files: readonly FileSpec[]): string {
  return JSON.stringify(
    files.map(({ bytes, ...file }) => ({
      ...file,
      ...(bytes !== undefined && { base64: Buffer.from(bytes).toString('base64') }),
    })),
  );
}

interface Message {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly kind: string; readonly message: string; readonly hint?: string };
}

/** Runs a program that uses a mount; its output, or what it wrote to stderr. */
export async function program(name: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(name, args, { timeout: 20_000, maxBuffer: 2 ** 26 });
  return stdout;
}

/** Python, for system calls that node does not offer. */
export async function python(code: string, ...args: string[]): Promise<string> {
  return (await program('python3', '-c', code, ...args)).trim();
}
