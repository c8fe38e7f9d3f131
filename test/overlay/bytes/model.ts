import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect } from 'vitest';
import type { BaseBytes } from '../../../src/overlay/bytes/base-bytes.js';
import type { FileCalls } from '../../../src/overlay/bytes/file-calls.js';
import { StagedFolder } from '../../../src/overlay/bytes/staged-folder.js';
import type { StagedFile } from '../../../src/overlay/bytes/staged-file.js';
import type { MaybePromise } from '../../../src/util/async.js';
import { noise } from '../../repo/content-fixture.js';
import { killing } from './killed.js';

export const PAGE = 4096;
const SIGNAL = new AbortController().signal;

/** A base that notes what is read of it, and answers now at once and now later. */
export class NotedBase implements BaseBytes {
  readonly bytes: Buffer;
  reads: [start: number, end: number][] = [];

  constructor(size: number, seed: number) {
    this.bytes = noise(size, seed);
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, length: number): MaybePromise<Uint8Array> {
    const bytes = Buffer.from(this.bytes.subarray(offset, offset + length));
    this.reads.push([offset, offset + bytes.length]);
    return this.reads.length % 2 === 0 ? bytes : Promise.resolve().then(() => bytes);
  }
}

export type Step =
  | { readonly kind: 'write'; readonly at: number; readonly length: number; readonly seed: number }
  | { readonly kind: 'truncate'; readonly size: number }
  | {
      readonly kind: 'allocate';
      readonly mode: number;
      readonly at: number;
      readonly length: number;
    }
  | { readonly kind: 'copy'; readonly from: number; readonly at: number; readonly length: number }
  | { readonly kind: 'share'; readonly at: number; readonly length: number }
  | { readonly kind: 'read'; readonly at: number; readonly length: number }
  | { readonly kind: 'reopen' | 'hydrate' | 'turn' };

const SPAN = 12 * PAGE;

/** Near the borders of pages more often than not. */
const offset = fc.oneof(
  fc.nat(SPAN),
  fc.tuple(fc.nat(12), fc.integer({ min: -2, max: 2 })).map(([p, d]) => Math.max(0, p * PAGE + d)),
);
const length = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 4 * PAGE }));

export const steps = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 10,
        arbitrary: fc.record({ kind: fc.constant('write'), at: offset, length, seed: fc.nat(1e6) }),
      },
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('truncate'), size: offset }) },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('allocate'),
          mode: fc.constantFrom(0, 1, 3, 16, 17),
          at: offset,
          length,
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('copy'), from: offset, at: offset, length }),
      },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('share'), at: offset, length }) },
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('read'), at: offset, length }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('hydrate') }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn') }) },
    ),
    { maxLength },
  );

/** A staged file and the plain bytes that it must have. */
export class Pair {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tarn-staged-'));
  readonly #calls: FileCalls;
  readonly #base: NotedBase;
  readonly #other: NotedBase;
  #file: StagedFile;
  /** As its row in a journal would say. */
  #isPartial: boolean;
  /** Bytes that the last step shared. */
  #shared = 0;
  bytes: Buffer;

  constructor(calls: FileCalls, base: NotedBase | undefined) {
    this.#calls = calls;
    this.#base = base ?? new NotedBase(0, 0);
    this.#other = new NotedBase(SPAN, 77);
    const look = { size: this.#base.size, mtimeSec: 1_700_000_000, mtimeNsec: 123_456_789 };
    this.#file = base === undefined ? this.#folder.create(7) : this.#folder.createOver(7, look);
    this.#isPartial = base !== undefined;
    this.bytes = Buffer.from(this.#base.bytes);
  }

  get file(): StagedFile {
    return this.#file;
  }

  dispose(): void {
    this.#file.close();
    rmSync(this.#directory, { recursive: true });
  }

  /** Does it to both; checks what a step returns and what it reads of the base. */
  async step(step: Step): Promise<void> {
    this.#base.reads = [];
    const allowed = await this.#do(step);
    for (const [start, end] of this.#base.reads) {
      const isNeeded = allowed.some(([from, to]) => from <= start && end <= to);
      expect(isNeeded, `${start} to ${end} for ${JSON.stringify(step)}`).toBe(true);
    }
    this.bytes = this.#expected(step, this.#shared);
    expect(this.#file.stat().size).toBe(this.bytes.length);
  }

  /** Does it until the process is killed at its next system call but `calls`; then opens anew. */
  async killedStep(step: Step, calls: number): Promise<void> {
    const after = this.#expected(step, Infinity);
    killing.left = calls;
    await this.#do(step).catch(() => undefined);
    killing.left = undefined;
    this.reopen();
    const found = await this.all();
    expect(found.length).toBeLessThanOrEqual(Math.max(after.length, this.bytes.length));
    expect(found.length).toBeGreaterThanOrEqual(Math.min(after.length, this.bytes.length));
    for (const [i, byte] of found.entries()) {
      // What is new at the end are zeros until it is written.
      if (byte !== after[i] && byte !== (this.bytes[i] ?? 0)) {
        expect.fail(`byte ${i} is ${byte}, was ${this.bytes[i]}, becomes ${after[i]}`);
      }
    }
    this.bytes = found;
  }

  async check(): Promise<void> {
    expect((await this.all()).equals(this.bytes)).toBe(true);
    this.#checkHoles();
  }

  async all(): Promise<Buffer> {
    const bytes = await this.#file.read(0, this.bytes.length + 3 * SPAN, this.#base, SIGNAL);
    return Buffer.from(bytes);
  }

  reopen(): void {
    this.#file.close();
    this.#file = this.#folder.open(7, this.#isPartial ? this.#base.size : undefined);
  }

  get #folder(): StagedFolder {
    return new StagedFolder(join(this.#directory, 'files'), this.#calls);
  }

  /** Bytes of the base that the step may read. */
  async #do(step: Step): Promise<[start: number, end: number][]> {
    const base = this.#base;
    switch (step.kind) {
      case 'write': {
        const bytes = noise(step.length, step.seed);
        expect(await this.#file.write(step.at, bytes, base, SIGNAL)).toBe(step.length);
        return edges(step.at, step.at + step.length);
      }
      case 'truncate':
        await this.#file.truncate(step.size);
        return [];
      case 'allocate':
        await this.#file.allocate(step.mode, step.at, step.length, base, SIGNAL);
        return edges(step.at, Math.min(this.bytes.length, step.at + step.length));
      case 'copy': {
        const source = { base: this.#other, offset: step.from };
        await this.#file.copyFrom(source, step.at, step.length, base, SIGNAL);
        return edges(step.at, step.at + Math.min(step.length, Math.max(0, SPAN - step.from)));
      }
      case 'share': {
        const end = Math.min(step.at + step.length, base.size);
        this.#shared = end <= step.at ? 0 : this.#file.share(step.at, end);
        return [];
      }
      case 'turn': {
        if (!this.#file.isEmpty) return [];
        this.#isPartial = this.#file.isWhole;
        if (this.#isPartial) this.#file.becomePartial(base.size);
        else this.#file.becomeWhole();
        return [];
      }
      case 'read': {
        const found = await this.#file.read(step.at, step.length, base, SIGNAL);
        const wanted = this.bytes.subarray(step.at, step.at + step.length);
        expect(Buffer.compare(found, wanted)).toBe(0);
        return [[step.at, step.at + step.length]];
      }
      case 'reopen':
        this.reopen();
        return [];
      case 'hydrate': {
        const { mtimeSec } = this.#file.stat();
        await this.#file.hydrate(base, SIGNAL);
        this.#isPartial = false;
        this.#file.becomeWhole();
        expect(this.#file.stat().mtimeSec).toBe(mtimeSec);
        return [[0, base.size]];
      }
    }
  }

  /** @param shared at most so many bytes are shared */
  #expected(step: Step, shared: number): Buffer {
    if (step.kind !== 'share') return expected(this.bytes, step, this.#other.bytes);
    const length = Math.min(step.length, shared);
    if (length === 0) return this.bytes;
    return placed(this.bytes, step.at, this.#base.bytes.subarray(step.at, step.at + length));
  }

  /** What is said to be a hole has no bytes; what is said to be data comes where a hole ends. */
  #checkHoles(): void {
    const { length: end } = this.bytes;
    for (let at = 0; at < end;) {
      const data = this.#file.seek(at, 'data');
      const stop = data === 'ENXIO' ? end : data;
      expect(this.bytes.subarray(at, stop).every((byte) => byte === 0)).toBe(true);
      if (data === 'ENXIO') break;
      const hole = this.#file.seek(stop, 'hole');
      expect(hole).not.toBe('ENXIO');
      at = hole as number;
      expect(at).toBeGreaterThan(stop);
    }
    expect(this.#file.seek(end, 'data')).toBe('ENXIO');
    expect(this.#file.seek(end, 'hole')).toBe('ENXIO');
  }
}

/** The pages at both ends of a change, without what it writes. */
function edges(start: number, end: number): [number, number][] {
  return [
    [start - (start % PAGE), start],
    [end, Math.ceil(end / PAGE) * PAGE],
  ];
}

function expected(bytes: Buffer, step: Exclude<Step, { kind: 'share' }>, other: Buffer): Buffer {
  switch (step.kind) {
    case 'write':
      return placed(bytes, step.at, noise(step.length, step.seed));
    case 'truncate':
      return Buffer.concat([bytes, Buffer.alloc(Math.max(0, step.size - bytes.length))]).subarray(
        0,
        step.size,
      );
    case 'allocate': {
      const keepsSize = (step.mode & 1) !== 0;
      const zeroes = (step.mode & (2 | 16)) !== 0;
      const end = step.at + step.length;
      const sized = keepsSize ? Buffer.from(bytes) : placed(bytes, end, Buffer.alloc(0));
      if (zeroes) sized.subarray(step.at, end).fill(0);
      return sized;
    }
    case 'copy':
      return placed(bytes, step.at, other.subarray(step.from, step.from + step.length));
    case 'read':
    case 'reopen':
    case 'hydrate':
    case 'turn':
      return bytes;
  }
}

/** With `part` at `at`, zeros before it where the bytes end earlier; an empty part only lengthens. */
function placed(bytes: Buffer, at: number, part: Buffer): Buffer {
  const out = Buffer.alloc(Math.max(bytes.length, at + part.length));
  bytes.copy(out);
  part.copy(out, at);
  return out;
}
