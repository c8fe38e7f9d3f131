import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isMounted } from './served.js';

const MIB = 1_048_576;
const MEBIBYTES = 24;
const SIZE = MEBIBYTES * MIB + 77;

interface Counts {
  readonly requests: number;
  readonly bytes: number;
  readonly reads: number;
  readonly healed: number;
  readonly verified: number;
}

/** A mount of one file that lies far away, served by a child process. */
class FarMount {
  readonly file: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string, undefined>;

  constructor(directory: string, scratch: string) {
    this.file = join(directory, 'log.mcap');
    const program = new URL('./fixtures/serve-far.mjs', import.meta.url).pathname;
    const args = [program, directory, scratch, String(MEBIBYTES)];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]() as AsyncIterator<string, undefined>;
  }

  async features(): Promise<{ passthrough?: boolean }> {
    return this.#answer() as Promise<{ passthrough?: boolean }>;
  }

  async counts(): Promise<Counts> {
    this.#child.stdin.write('counts\n');
    return (await this.#answer()) as Counts;
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    if (signal === undefined) this.#child.stdin.end();
    else this.#child.kill(signal);
    await closed;
  }

  async #answer(): Promise<unknown> {
    const next = await this.#answers.next();
    if (next.done === true) throw new Error('the child ended');
    return JSON.parse(next.value) as unknown;
  }
}

let scratch: string;
let directory: string;
let mounted: FarMount | undefined;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tarn-far-'));
  directory = join(scratch, 'mount');
  mkdirSync(directory);
});
afterEach(async () => {
  await mounted?.stop();
  if (isMounted(directory)) execFileSync('umount', ['-l', directory]);
  rmSync(scratch, { recursive: true });
});

async function mount(): Promise<FarMount> {
  mounted = new FarMount(directory, scratch);
  await mounted.features();
  return mounted;
}

function expected(): Buffer {
  const bytes = Buffer.alloc(SIZE);
  for (let at = 0; at + 4 <= SIZE; at += 4) {
    bytes.writeUInt32LE(Math.imul(at + 1, 2_654_435_761) >>> 0, at);
  }
  return bytes;
}

function readPiece(file: string, offset: number, length: number): Buffer {
  const fd = openSync(file, 'r');
  try {
    const piece = Buffer.alloc(length);
    return piece.subarray(0, readSync(fd, piece, 0, length, offset));
  } finally {
    closeSync(fd);
  }
}

const canMount = process.getuid?.() === 0;

test.runIf(canMount)(
  'a piece of a far file fetches that piece, a replay all of it once; then it is a local one',
  async () => {
    const bytes = expected();
    const far = await mount();
    const piece = readPiece(far.file, 9 * MIB + 5, 4096);
    expect(Buffer.compare(piece, bytes.subarray(9 * MIB + 5, 9 * MIB + 4101))).toBe(0);
    const first = await far.counts();
    // The manifest, and the block in two halves at once.
    expect(first.requests).toBe(3);
    expect(first.bytes).toBeLessThan(2.1 * MIB);

    expect(Buffer.compare(readFileSync(far.file), bytes)).toBe(0);
    const whole = await far.counts();
    // The manifest beside the bytes, each of which came once.
    expect(whole.bytes).toBeLessThan(SIZE + 2000);
    expect(whole.healed).toBe(0);
    await vi.waitFor(async () => expect((await far.counts()).verified).toBe(1));
    await far.stop('SIGKILL');
    execFileSync('umount', ['-l', directory]);

    const again = await mount();
    expect(Buffer.compare(readFileSync(again.file), bytes)).toBe(0);
    const warm = await again.counts();
    expect(warm.requests).toBe(0);
    expect(warm.reads).toBe(0);
  },
  60_000,
);

test.runIf(canMount)(
  'what was damaged in the cache while nothing was mounted is fetched again, and no wrong byte is read',
  async () => {
    const bytes = expected();
    const far = await mount();
    readFileSync(far.file);
    await vi.waitFor(async () => expect((await far.counts()).verified).toBe(1));
    await far.stop();
    const data = join(scratch, 'cache', 'data');
    for (const found of readdirSync(data, { recursive: true, withFileTypes: true })) {
      if (!found.isFile()) continue;
      const fd = openSync(join(found.parentPath, found.name), 'r+');
      for (const at of [3, 7 * MIB + 1]) writeSync(fd, Buffer.from([0xaa]), 0, 1, at);
      closeSync(fd);
    }
    const again = await mount();
    expect(Buffer.compare(readFileSync(again.file), bytes)).toBe(0);
    const counts = await again.counts();
    // Two blocks, and the manifest, in which the first of the damaged bytes lies, too.
    expect(counts.healed).toBe(3);
    expect(counts.requests).toBe(3);
  },
  60_000,
);
