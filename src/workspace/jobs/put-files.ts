import type { BigIntStats } from 'node:fs';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { isUtf8 } from 'node:buffer';
import type { Entry, KeyedEntry } from '../../model/entry.js';
import type { CommitId } from '../../model/ids.js';
import { BLOCK_BYTES, EMPTY_CONTENT } from '../../model/ids.js';
import type { Key } from '../../model/path.js';
import type { StoredContent } from '../../repo/content-writer.js';
import { ContentWriter } from '../../repo/content-writer.js';
import { throwIfAborted } from '../../util/abort.js';
import { isPromise } from '../../util/async.js';
import { TarnError } from '../../util/errors.js';
import { faultPoint } from '../../util/fault-point.js';
import type { Workspace } from '../workspace.js';
import type { Attributes } from './file-attributes.js';
import { attributesOf } from './file-attributes.js';
import type { JobContext, JobOutput, JobProgress } from './job.js';
import { Notes } from './notes.js';
import { OwnPlaces } from './own-places.js';
import type { PutInput, PutResult } from './put.js';
import { targetsOf } from './put-targets.js';
import type { DiskPath, Found } from './walk.js';
import { forSystem, NOT_HELD, pathText, walkDirectory, why } from './walk.js';

/** Large files that are read at one time, while small ones go on. */
const LARGE_AT_ONCE = 2;
/** Entries without content (symlinks, directories) that are staged together. */
const LOOSE_MAX = 1_000;
/** Between two turns of the event loop, where an abort is heard. */
const TURN_FILES = 128;
const PROGRESS_INTERVAL_MS = 100;
/** Never follows a symlink that took a file's place, nor hangs on a pipe that did. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

type Tag = { readonly key: Key } & Attributes;

export async function putInto(
  context: JobContext,
  input: PutInput,
  { signal, progress }: Pick<JobOutput<never>, 'signal' | 'progress'>,
): Promise<PutResult> {
  const { home, repository, stamps } = context;
  const workspace = context.workspace(input.branch);
  const own = new OwnPlaces(home);
  const view = await workspace.view(signal);
  const targets = await targetsOf(input, view, own, signal);
  const index = await context.contentIndex(signal);
  const on: PutOnto = { workspace, head: view.source.commitId };
  const staged = (batch: StoredContent<Tag>[]): Promise<void> => stage(on, batch);
  const writer = new ContentWriter<Tag>(repository.objects, index, staged, stamps);
  const put = new Put(on, writer, signal, progress);
  try {
    for (const { path, key, kind } of targets) {
      const found: Iterable<Found> =
        kind === 'directory' ? walkDirectory(path, key, own.directories) : [{ kind, path, key }];
      await put.all(found);
    }
    return await put.finish();
  } catch (error) {
    await put.abort();
    throw error;
  }
}

/** Where files are put, and the branch's head when that began. */
interface PutOnto {
  readonly workspace: Workspace;
  readonly head: CommitId;
}

async function stage(
  { workspace, head }: PutOnto,
  batch: readonly StoredContent<Tag>[],
): Promise<void> {
  faultPoint('put-content-stored');
  const entries = batch.map(
    ({ tag: { key, ...attributes }, size, content, address }): KeyedEntry => ({
      key,
      entry: { kind: 'file', size, content, address, ...attributes },
    }),
  );
  await workspace.stage(entries, undefined, head);
  faultPoint('put-rows-staged');
}

class Put {
  readonly #on: PutOnto;
  readonly #writer: ContentWriter<Tag>;
  readonly #signal: AbortSignal;
  readonly #onProgress: (progress: JobProgress) => void;
  readonly #buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES + 1);
  readonly #large = new Set<Promise<void>>();
  #fault: { readonly error: unknown } | undefined;
  #loose: KeyedEntry[] = [];

  #files = 0;
  #symlinks = 0;
  #directories = 0;
  #bytes = 0;
  #sinceTurn = 0;
  #reportedAt = 0;
  readonly #skipped = new Notes();
  readonly #failures = new Notes();

  constructor(
    on: PutOnto,
    writer: ContentWriter<Tag>,
    signal: AbortSignal,
    onProgress: (progress: JobProgress) => void,
  ) {
    this.#on = on;
    this.#writer = writer;
    this.#signal = signal;
    this.#onProgress = onProgress;
  }

  async all(found: Iterable<Found>): Promise<void> {
    for (const item of found) {
      this.#sinceTurn += 1;
      if (this.#sinceTurn >= TURN_FILES) {
        this.#sinceTurn = 0;
        await turn();
      }
      throwIfAborted(this.#signal);
      if (this.#fault !== undefined) throw this.#fault.error;
      const taken = this.#take(item);
      if (isPromise(taken)) await taken;
    }
  }

  /** Resolves once everything is durable and staged. */
  async finish(): Promise<PutResult> {
    await Promise.all(this.#large);
    if (this.#fault !== undefined) throw this.#fault.error;
    await this.#writer.flush(this.#signal);
    await this.#stageLoose();
    return {
      files: this.#files,
      symlinks: this.#symlinks,
      directories: this.#directories,
      bytes: this.#bytes,
      skipped: this.#skipped.listed,
      skippedCount: this.#skipped.count,
      failures: this.#failures.listed,
      failureCount: this.#failures.count,
    };
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
    await Promise.all(this.#large);
  }

  #take(found: Found): void | Promise<void> {
    switch (found.kind) {
      case 'file':
        return this.#file(found.path, found.key);
      case 'symlink':
        return this.#symlink(found.path, found.key);
      case 'directory': {
        const none = { size: 0, content: EMPTY_CONTENT, address: { kind: 'none' } } as const;
        this.#directories += 1;
        const entry: Entry = { kind: 'file', ...none, ...attributesOf(found.stats) };
        return this.#addLoose(found.key, entry);
      }
      case 'skipped':
        return this.#skipped.add(found.path, found.why);
      case 'failed':
        return this.#failures.add(found.path, found.why);
    }
  }

  #file(path: DiskPath, key: Key): void | Promise<void> {
    let fd: number;
    let stats: BigIntStats;
    try {
      fd = openSync(forSystem(path), OPEN_FLAGS);
    } catch (error) {
      return this.#failures.add(path, why(error));
    }
    let keepOpen = false;
    try {
      stats = fstatSync(fd, { bigint: true });
      if (!stats.isFile()) return this.#skipped.add(path, NOT_HELD);
      const tag = { key, ...attributesOf(stats) };
      const size = this.#readSmall(fd, Number(stats.size));
      if (size === undefined) {
        keepOpen = true;
        return this.#startLarge(fd, Number(stats.size), tag, path);
      }
      this.#count(size, path);
      return this.#writer.addSmall(this.#buffer.subarray(0, size), tag);
    } catch (error) {
      if (error instanceof TarnError) throw error;
      return this.#failures.add(path, why(error));
    } finally {
      if (!keepOpen) closeSync(fd);
    }
  }

  /**
   * Fills the buffer with the file, which had `expected` bytes; undefined when it has more than a
   * block. What was read is one state of the file, so only a file that ends early is read again.
   */
  #readSmall(fd: number, expected: number): number | undefined {
    const buffer = this.#buffer;
    let size = 0;
    if (expected > BLOCK_BYTES) return undefined;
    for (;;) {
      const count = readSync(fd, buffer, size, buffer.length - size, size);
      size += count;
      if (size > BLOCK_BYTES) return undefined;
      if (size === expected || count === 0) return size;
    }
  }

  async #startLarge(fd: number, size: number, tag: Tag, path: DiskPath): Promise<void> {
    const reading = this.#readLarge(fd, size, tag, path).then(() => {
      this.#large.delete(reading);
    });
    this.#large.add(reading);
    while (this.#large.size >= LARGE_AT_ONCE) await Promise.race(this.#large);
  }

  /** Never rejects: a fault is kept for the loop, which throws it. */
  async #readLarge(fd: number, size: number, tag: Tag, path: DiskPath): Promise<void> {
    try {
      await this.#writer.addLarge({ fd, size }, tag, this.#signal);
      this.#count(size, path);
    } catch (error) {
      if (error instanceof TarnError) this.#fault ??= { error };
      else this.#failures.add(path, why(error));
    } finally {
      closeSync(fd);
    }
  }

  #symlink(path: DiskPath, key: Key): void | Promise<void> {
    try {
      const stats = lstatSync(forSystem(path), { bigint: true });
      const target = readlinkSync(forSystem(path), 'buffer');
      if (!isUtf8(target)) return this.#failures.add(path, 'its target is not valid UTF-8');
      this.#symlinks += 1;
      const entry: Entry = { kind: 'symlink', target: target.toString(), ...attributesOf(stats) };
      return this.#addLoose(key, entry);
    } catch (error) {
      this.#failures.add(path, why(error));
    }
  }

  #addLoose(key: Key, entry: Entry): void | Promise<void> {
    this.#loose.push({ key, entry });
    if (this.#loose.length >= LOOSE_MAX) return this.#stageLoose();
  }

  async #stageLoose(): Promise<void> {
    const entries = this.#loose;
    this.#loose = [];
    const { workspace, head } = this.#on;
    if (entries.length > 0) await workspace.stage(entries, this.#signal, head);
  }

  #count(bytes: number, path: DiskPath): void {
    this.#files += 1;
    this.#bytes += bytes;
    const now = Date.now();
    if (now - this.#reportedAt < PROGRESS_INTERVAL_MS) return;
    this.#reportedAt = now;
    this.#onProgress({ files: this.#files, bytes: this.#bytes, current: pathText(path) });
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
