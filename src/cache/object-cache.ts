import { mkdirSync, statfsSync } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ReadTally } from '../store/traffic.js';
import { asTarnError } from '../util/errors.js';
import { ByteBudget } from './byte-budget.js';
import type { ObjectEvents } from './cached-object.js';
import { CachedObject } from './cached-object.js';
import type { KeptRow } from './kept-index.js';
import { KeptIndex } from './kept-index.js';

export interface CacheLimits {
  /** Bytes of objects on the disk, at most. */
  readonly bytesMax: number;
  /** Bytes that stay free on that disk. */
  readonly freeBytesMin: number;
}

/** Since the cache was opened. */
export class CacheCounts extends ReadTally {
  evicted = 0;
  evictedBytes = 0;
  /** Times that the disk had no room, so that bytes were used and not kept. */
  refused = 0;
}

/** Objects that are kept open though nobody uses them. */
const IDLE_MAX = 128;
const SAVE_MS = 250;
const NOTE_USE_MS = 60_000;
const DISK_CHECK_MS = 1_000;
/** How long nothing is kept after the disk was full and nothing could be evicted. */
const FULL_MS = 1_000;
/** How long a disk that stays full is not told of again. */
const TOLD_MS = 60_000;
/** Evicted at once, so that not every write has to evict: a part of the limit. */
const EVICT_PART = 1 / 20;
/** Memory for what is fetched ahead, of all readers together. */
const AHEAD_BYTES_MAX = 100_663_296;
/** A file that has no row for so long belongs to nobody. */
const ORPHAN_MS = 3_600_000;

/**
 * Objects of any number of stores, kept as sparse files below one directory: what is there of each
 * is in KeptIndex. Any number of threads and processes may have the directory open, each with an
 * ObjectCache of its own. What is read is not verified here; who reads it does that, and says what is
 * damaged (CachedStore.forget, KeptObject.drop). No fault of the disk is one of a read.
 */
export class ObjectCache {
  readonly directory: string;
  readonly ahead = new ByteBudget(AHEAD_BYTES_MAX);
  readonly counts = new CacheCounts();
  readonly #index: KeptIndex;
  readonly #used = new Map<string, CachedObject>();
  /** The one used last is the last. */
  readonly #idle = new Map<string, CachedObject>();
  readonly #unsaved = new Set<CachedObject>();
  readonly #unlinking = new Set<Promise<void>>();
  readonly #writing = new Set<Promise<unknown>>();
  #later: Promise<void> = Promise.resolve();
  readonly #events: ObjectEvents;
  #limits: CacheLimits;
  #saving: NodeJS.Timeout | undefined;
  #total: number;
  #free = { bytes: Infinity, atMs: -Infinity };
  #fullUntilMs = -Infinity;
  #toldFullMs = -Infinity;
  #isClosed = false;
  readonly #onFull: (why: string) => void;

  private constructor(
    directory: string,
    limits: CacheLimits,
    index: KeptIndex,
    onFull: (why: string) => void,
  ) {
    this.directory = directory;
    this.#onFull = onFull;
    this.#limits = limits;
    this.#index = index;
    this.#total = index.total().bytes;
    this.#events = {
      hasRoom: (bytes) => this.#hasRoom(bytes),
      writing: (done) => {
        this.#writing.add(done);
        void done.then(() => this.#writing.delete(done));
      },
      written: (object, bytes) => {
        this.#total += bytes;
        this.#saveLater(object);
      },
      refused: (error) => this.#noteFull(asTarnError(error).message),
      dropped: ({ name, file }, start, end) => {
        if (file !== undefined) index.drop(name, file, start, end, Date.now());
      },
      find: (name) => index.find(name),
      stamp: ({ name, file }, identity) => {
        if (file === undefined) return;
        this.tell();
        index.stamp(name, file, identity);
      },
    };
  }

  /**
   * @param onFull told, now and then, why bytes are used and not kept
   * @throws TarnError denied, no-space, io
   */
  static open(
    directory: string,
    limits: CacheLimits,
    onFull: (why: string) => void = () => undefined,
  ): ObjectCache {
    try {
      mkdirSync(join(directory, 'data'), { recursive: true, mode: 0o700 });
      const index = new KeptIndex(join(directory, 'index.db'));
      return new ObjectCache(directory, limits, index, onFull);
    } catch (error) {
      throw asTarnError(error, `opening the cache in '${directory}'`);
    }
  }

  get limits(): CacheLimits {
    return this.#limits;
  }

  /** Opens an object for use; each call is followed by one of release. */
  acquire(name: string): CachedObject {
    const object = this.#used.get(name) ?? this.#idle.get(name) ?? this.#open(name);
    this.#idle.delete(name);
    this.#used.set(name, object);
    object.users += 1;
    const nowMs = Date.now();
    if (nowMs - object.notedMs > NOTE_USE_MS) {
      object.notedMs = nowMs;
      this.#saveLater(object);
    }
    return object;
  }

  /** One more user of an object that is in use. */
  retain(object: CachedObject): void {
    object.users += 1;
  }

  release(object: CachedObject): void {
    object.users -= 1;
    if (object.users > 0) return;
    this.#used.delete(object.name);
    if (this.#isClosed || object.fd === undefined) return this.#close(object);
    this.#idle.set(object.name, object);
    if (this.#idle.size > IDLE_MAX) this.#closeIdle(1);
  }

  /** Forgets all that is there of an object; false when there was nothing. */
  forget(name: string): boolean {
    const object = this.acquire(name);
    try {
      const hadAny = object.presentBytes > 0;
      object.drop(0, Infinity);
      return hadAny;
    } finally {
      this.release(object);
    }
  }

  total(): { bytes: number; objects: number } {
    this.tell();
    return this.#index.total();
  }

  rows(): Iterable<KeptRow> {
    this.tell();
    return this.#index.rows();
  }

  /**
   * Evicts what was used longest ago until at most `bytesMax` are left, of what nobody has open; and
   * removes files that belong to no object.
   * @returns what became free
   */
  async prune(bytesMax: number): Promise<{ objects: number; bytes: number }> {
    const { evicted, evictedBytes } = this.counts;
    const { bytes } = this.total();
    if (bytes > bytesMax) this.#evict(bytes - bytesMax);
    await Promise.all(this.#unlinking);
    await this.sweep();
    return {
      objects: this.counts.evicted - evicted,
      bytes: this.counts.evictedBytes - evictedBytes,
    };
  }

  /** Removes files that no row names: left by a lost index, or a machine that lost power. */
  async sweep(): Promise<void> {
    const named = new Set([...this.rows()].map(({ file }) => file));
    const data = join(this.directory, 'data');
    for (const folder of await readdir(data).catch(() => [])) {
      for (const file of await readdir(join(data, folder)).catch(() => [])) {
        const path = join(data, folder, file);
        if (named.has(file)) continue;
        const changedMs = await stat(path).then(
          ({ ctimeMs }) => ctimeMs,
          () => Infinity,
        );
        if (Date.now() - changedMs > ORPHAN_MS) await unlink(path).catch(() => undefined);
      }
    }
  }

  /** Work for which no read waits, one after the other; that it fails is no fault of a read. */
  later(work: () => Promise<void>): void {
    this.#later = this.#later.then(work).catch(() => undefined);
  }

  /** Resolves when what is on its way to the files so far is there. */
  async settled(): Promise<void> {
    await this.#later;
    await Promise.all(this.#writing);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.settled();
    this.#isClosed = true;
    clearTimeout(this.#saving);
    this.tell();
    this.#closeIdle(Infinity);
    await Promise.all(this.#unlinking);
    this.#index.close();
  }

  #open(name: string): CachedObject {
    const row = this.#index.hold(name, Date.now());
    const object = new CachedObject(name, row, this.#pathOf(row?.file ?? ''), this.#events);
    object.notedMs = Date.now();
    return object;
  }

  #close(object: CachedObject): void {
    if (this.#unsaved.has(object)) this.tell();
    object.close();
    this.#index.release(object.name);
  }

  #closeIdle(count: number): void {
    for (const [name, object] of [...this.#idle].slice(0, count)) {
      this.#idle.delete(name);
      this.#close(object);
    }
  }

  #pathOf(file: string): string {
    return join(this.directory, 'data', file.slice(0, 2), file);
  }

  #saveLater(object: CachedObject): void {
    this.#unsaved.add(object);
    if (this.#isClosed) return this.tell();
    this.#saving ??= setTimeout(() => this.tell(), SAVE_MS).unref();
  }

  /**
   * Lets other threads and processes see what was written; it is done soon in any case. The bytes are
   * in the files already: what is told is never more than what is there.
   */
  tell(): void {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    if (this.#unsaved.size === 0) return;
    const changes = [...this.#unsaved].flatMap(({ name, file, size, added }) =>
      file === undefined ? [] : [{ name, file, size, added }],
    );
    if (!this.#index.save(changes, Date.now())) {
      if (!this.#isClosed) this.#saving = setTimeout(() => this.tell(), SAVE_MS).unref();
      return;
    }
    for (const object of this.#unsaved) object.added.remove(0, Infinity);
    this.#unsaved.clear();
  }

  #hasRoom(bytes: number): boolean {
    const nowMs = performance.now();
    if (nowMs < this.#fullUntilMs) return false;
    const wanted = this.#excess(bytes, nowMs);
    if (wanted <= 0) return true;
    this.#evict(wanted + this.#limits.bytesMax * EVICT_PART);
    if (this.#excess(bytes, nowMs) <= 0) return true;
    this.#noteFull('its limits leave no room, and all that is kept is in use');
    return false;
  }

  /** By how much `bytes` more would be too many. */
  #excess(bytes: number, nowMs: number): number {
    if (nowMs - this.#free.atMs > DISK_CHECK_MS) {
      this.#free = { bytes: freeBytesOf(this.directory), atMs: nowMs };
    }
    const { bytesMax, freeBytesMin } = this.#limits;
    return Math.max(this.#total + bytes - bytesMax, freeBytesMin + bytes - this.#free.bytes);
  }

  #noteFull(why: string): void {
    this.counts.refused += 1;
    const nowMs = performance.now();
    this.#fullUntilMs = nowMs + FULL_MS;
    if (nowMs - this.#toldFullMs < TOLD_MS) return;
    this.#toldFullMs = nowMs;
    this.#onFull(why);
  }

  #evict(bytes: number): void {
    // What is only kept open at hand is nobody's.
    this.#closeIdle(Infinity);
    this.tell();
    for (const { file, bytes: freed } of this.#index.takeOldest(bytes)) {
      this.counts.evicted += 1;
      this.counts.evictedBytes += freed;
      this.#free.bytes += freed;
      const unlinking: Promise<void> = unlink(this.#pathOf(file))
        .catch(() => undefined)
        .then(() => {
          this.#unlinking.delete(unlinking);
        });
      this.#unlinking.add(unlinking);
    }
    this.#total = this.#index.total().bytes;
  }
}

function freeBytesOf(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}
