import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./caller.py', import.meta.url));

/** What a call gave: its value, or the name of its error. */
export type Outcome = { readonly ok: unknown } | { readonly errno: string };

export interface SeenAttributes {
  /** S_IFMT >> 12: 1 fifo, 2 character, 4 directory, 6 block, 8 file, 10 symlink, 12 socket. */
  readonly kind: number;
  readonly mode: number;
  readonly size: number;
  readonly nlink: number;
  readonly inode: number;
  readonly uid: number;
  readonly gid: number;
  readonly device: number;
  readonly blocks: number;
  /** Nanoseconds since 1970, in decimal. */
  readonly atime: string;
  readonly mtime: string;
  readonly ctime: string;
}

/** A process of its own that makes the system calls it is told, below one directory. */
export class Caller {
  readonly directory: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #errors = '';

  constructor(directory: string) {
    this.directory = directory;
    this.#child = spawn('python3', [PROGRAM, directory], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    this.#child.stdin.on('error', () => undefined);
    const lines = createInterface({ input: this.#child.stdout });
    lines.on('line', (line) => this.#waiting.shift()?.resolve(line));
    this.#child.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) {
        reject(new Error(`the process that makes the calls ended: ${this.#errors}`));
      }
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Makes one call; calls of one process are made in the order in which they were asked. */
  async outcome(...call: unknown[]): Promise<Outcome> {
    const line = await new Promise<string>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(call)}\n`);
    });
    return JSON.parse(line) as Outcome;
  }

  /** Makes a call that must succeed. */
  async call<T = unknown>(...call: unknown[]): Promise<T> {
    const outcome = await this.outcome(...call);
    if ('errno' in outcome) throw new Error(`${JSON.stringify(call)}: ${outcome.errno}`);
    return outcome.ok as T;
  }

  /** The error of a call that must fail. */
  async errno(...call: unknown[]): Promise<string> {
    const outcome = await this.outcome(...call);
    return 'errno' in outcome ? outcome.errno : `done: ${JSON.stringify(outcome.ok)}`;
  }

  attributes(path: string): Promise<SeenAttributes> {
    return this.call('lstat', path);
  }

  /** Bytes of an open file. */
  async bytes(file: string, offset: number, length: number): Promise<Buffer> {
    return Buffer.from(await this.call<string>('pread', file, offset, length), 'base64');
  }

  /** Makes a file of these bytes. */
  async put(path: string, bytes: string | Uint8Array): Promise<void> {
    await this.call('open', 'put', path, 'O_WRONLY|O_CREAT|O_TRUNC');
    await this.call('write', 'put', base64(bytes));
    await this.call('close', 'put');
  }

  async text(path: string): Promise<string> {
    await this.call('open', 'text', path, 'O_RDONLY');
    const read = await this.bytes('text', 0, 1 << 20);
    await this.call('close', 'text');
    return read.toString();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.stdin.end();
    await closed;
  }
}

export function base64(bytes: string | Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
