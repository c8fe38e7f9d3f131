import { createHash } from 'node:crypto';
import type { KeptObject } from '../store/kept-object.js';
import { cutRange } from '../store/object-store.js';
import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ObjectEnd,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  ReadOptions,
  TaggedObject,
  Upload,
} from '../store/object-store.js';
import { ReadTally } from '../store/traffic.js';
import { throwIfAborted, unlessAborted } from '../util/abort.js';
import type { CachedObject, Flight } from './cached-object.js';
import type { ObjectCache } from './object-cache.js';
import { RangeSet } from './range-set.js';

/**
 * The same bytes under the same key wherever it is found, so that all repositories share them: the
 * key names all of them by their hash, or by what pins them.
 */
const SHARED = /^(packs|files|manifests|commits|settings|imported|imported-sums)\//;
/** Immutable too, but what lies beside the named node differs from repository to repository. */
const OWN = /^trees\//;
/** What is small and read again after it is written. */
const KEPT_WHEN_PUT = /^(trees|manifests|commits|settings)\//;

/** Nodes that are read together lie together: so many bytes around one are fetched with it. */
const TREE_WINDOW_BYTES = 262_144;
const SUM_BYTES = 32;

export interface CachedStoreOptions {
  /** What tells the store from all others, where its URL does not. */
  readonly place?: string;
  /** The store below cannot be asked: what may change is as it was last seen. */
  readonly isOffline?: boolean;
  /** Counts what is read of the store, and is counted by the cache. */
  readonly tally?: ReadTally;
}

/** Bytes [start, end) of an object. */
type Span = readonly [start: number, end: number];

/** One read that goes on. */
interface Reading {
  readonly signal: AbortSignal | undefined;
  readonly tally: ReadTally;
}

/** Reads through an ObjectCache; writes go to the store alone, and what is small is kept as well. */
export class CachedStore implements ObjectStore {
  readonly url: string;
  readonly #cache: ObjectCache;
  readonly #store: ObjectStore;
  readonly #isOffline: boolean;
  readonly #namespace: string;
  readonly #tally: ReadTally;
  /** Reads of whole objects and of ends of objects that are under way. */
  readonly #flights = new Map<string, Promise<void>>();

  constructor(cache: ObjectCache, store: ObjectStore, options: CachedStoreOptions = {}) {
    this.url = store.url;
    this.#cache = cache;
    this.#store = store;
    this.#isOffline = options.isOffline === true;
    this.#tally = options.tally ?? new ReadTally(cache.counts);
    const place = options.place ?? store.url;
    this.#namespace = createHash('sha256').update(place).digest('hex').slice(0, 16);
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const { range = { offset: 0, length: Infinity }, signal, tally = this.#tally } = options;
    throwIfAborted(signal);
    const name = this.#nameOf(key);
    if (name === undefined) return this.#current(key, options);
    const object = this.#cache.acquire(name);
    try {
      const bytes = await this.#read(object, key, range, { signal, tally });
      return bytes ?? (await this.#store.get(key, options));
    } finally {
      this.#cache.release(object);
    }
  }

  async getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    if (this.#isOffline) {
      const bytes = await this.#lastSeen(key);
      if (bytes !== undefined) return { bytes, etag: sumOf(bytes).toString('hex') };
    }
    const tagged = await this.#store.getTagged(key, signal);
    if (tagged !== undefined) this.#see(key, tagged.bytes);
    return tagged;
  }

  async put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    const info = await this.#store.put(key, bytes, options);
    if (this.#nameOf(key) === undefined) this.#see(key, bytes);
    else if (KEPT_WHEN_PUT.test(key)) await this.#keepWhole(key, bytes);
    else this.#drop(key);
    return info;
  }

  upload(signal?: AbortSignal): Promise<Upload> {
    return this.#store.upload(signal);
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    return this.#store.head(key, signal);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    return this.#store.list(prefix, options);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.#store.delete(key, signal);
    this.#drop(key);
  }

  async fetch(
    key: string,
    offset: number,
    length: number,
    { signal, tally = this.#tally }: ReadOptions = {},
  ): Promise<void> {
    const name = this.#nameOf(key);
    if (name === undefined) return;
    const object = this.#cache.acquire(name);
    try {
      const end = Math.min(object.size ?? Infinity, offset + length);
      if (object.gaps(offset, end).length === 0) return;
      const giveBack = await this.#cache.ahead.take(end - offset, signal);
      try {
        const flights = this.#flightsFor(object, key, [offset, end], tally);
        await unlessAborted(Promise.all(flights.map(({ bytes }) => bytes)), signal);
      } finally {
        giveBack();
      }
    } finally {
      this.#cache.release(object);
    }
  }

  bring(key: string, bytes: Uint8Array): void {
    this.#cache.later(() => this.#keepWhole(key, bytes, 'unless-kept'));
  }

  /** @returns whether anything was kept of it, so that reading it again may give other bytes */
  forget(key: string): boolean {
    if (!this.#drop(key)) return false;
    this.#tally.heal();
    return !this.#isOffline;
  }

  keep(key: string, size: number): KeptObject {
    const object = this.#cache.acquire(this.#nameOf(key) ?? `${this.#namespace}/${key}`);
    object.setSize(size);
    return new Kept(this.#cache, object, this.#tally, (start, end, { tally, into }) => {
      const range = { offset: start, length: end - start };
      return this.#fetched(this.#store.get(key, { range, into }), tally ?? this.#tally);
    });
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  /** Nothing is kept of it any more; returns whether anything was. */
  #drop(key: string): boolean {
    const name = this.#nameOf(key);
    return name !== undefined && this.#cache.forget(name);
  }

  /** What an immutable object is called in the cache. */
  #nameOf(key: string): string | undefined {
    if (SHARED.test(key)) return key;
    return OWN.test(key) ? `${this.#namespace}/${key}` : undefined;
  }

  /** Undefined where the store itself must say what there is. */
  async #read(
    object: CachedObject,
    key: string,
    range: ByteRange,
    reading: Reading,
  ): Promise<Uint8Array | undefined> {
    const isWhole = 'last' in range || range.length === Infinity;
    if (isWhole && object.size === undefined) {
      // Another thread may have learned it.
      object.gaps(0, 1);
      const last = 'last' in range ? Math.max(range.last, TREE_WINDOW_BYTES) : undefined;
      if (object.size === undefined) {
        const learning = this.#learn(object, key, last, reading.tally);
        await unlessAborted(learning, reading.signal);
      }
    }
    const { size } = object;
    if (isWhole && size === undefined) return undefined;
    const { offset, length } = cutRange(range, size ?? Infinity);
    if (length === 0) return size === undefined ? undefined : new Uint8Array(0);
    return this.#readRange(object, key, [offset, offset + length], reading);
  }

  /** Bytes [start, end), or fewer where the object ends. */
  async #readRange(
    object: CachedObject,
    key: string,
    [start, end]: Span,
    { signal, tally }: Reading,
  ): Promise<Uint8Array | undefined> {
    if (object.gaps(start, end).length === 0) {
      const kept = await object.read(start, end);
      if (kept !== undefined) {
        tally.hit(kept.length);
        return kept;
      }
    }
    tally.miss();
    const flights = this.#flightsFor(object, key, [start, end], tally);
    const flown = await unlessAborted(
      Promise.all(flights.map(async (flight) => ({ flight, bytes: await flight.bytes }))),
      signal,
    );
    const last = Math.max(start, Math.min(end, object.size ?? end));
    const [only] = flown;
    if (only !== undefined && flown.length === 1) {
      const { flight, bytes } = only;
      if (flight.start <= start && last - flight.start <= bytes.length) {
        return copyOf(bytes.subarray(start - flight.start, last - flight.start));
      }
    }
    const out = Buffer.allocUnsafe(last - start);
    const filled = RangeSet.empty();
    for (const { flight, bytes } of flown) {
      const from = Math.max(start, flight.start);
      const to = Math.min(last, flight.start + bytes.length);
      if (from >= to) continue;
      out.set(bytes.subarray(from - flight.start, to - flight.start), from - start);
      filled.add(from, to);
    }
    for (const [from, to] of filled.gaps(start, last)) {
      const kept = await object.read(from, to);
      if (kept === undefined) return undefined;
      out.set(kept, from - start);
    }
    return out;
  }

  /** Fetches that are under way, and new ones for what they leave of the gaps of [start, end). */
  #flightsFor(object: CachedObject, key: string, [start, end]: Span, tally: ReadTally): Flight[] {
    if (OWN.test(key)) object.refresh();
    const underWay = [...object.flights].filter((each) => each.start < end && each.end > start);
    const covered = RangeSet.empty();
    for (const flight of underWay) covered.add(flight.start, flight.end);
    const gaps = object
      .gaps(start, end)
      .flatMap(([from, to]) => covered.gaps(from, to))
      .map((gap) => (OWN.test(key) ? widened(object, gap) : gap));
    return [...underWay, ...gaps.map((gap) => this.#fetch(object, key, gap, tally))];
  }

  #fetch(object: CachedObject, key: string, [start, end]: Span, tally: ReadTally): Flight {
    const range = { offset: start, length: end - start };
    const bytes = this.#fetched(this.#store.get(key, { range }), tally).then(async (fetched) => {
      if (fetched.length < end - start) object.setSize(start + fetched.length);
      await object.write(start, fetched);
      this.#tellNodes(key);
      return fetched;
    });
    const flight = { start, end, bytes };
    object.flights.add(flight);
    this.#cache.retain(object);
    const land = (): void => {
      object.flights.delete(flight);
      this.#cache.release(object);
    };
    bytes.then(land, land);
    return flight;
  }

  /** Finds out how long the object is, with its last bytes or all of them. */
  #learn(
    object: CachedObject,
    key: string,
    last: number | undefined,
    tally: ReadTally,
  ): Promise<void> {
    let learning = this.#flights.get(key);
    if (learning === undefined) {
      tally.miss();
      this.#cache.retain(object);
      const reading =
        last === undefined
          ? this.#learnAll(object, key, tally)
          : this.#learnEnd(object, key, last, tally);
      learning = reading.finally(() => {
        this.#flights.delete(key);
        this.#cache.release(object);
      });
      learning.catch(() => undefined);
      this.#flights.set(key, learning);
    }
    return learning;
  }

  async #learnAll(object: CachedObject, key: string, tally: ReadTally): Promise<void> {
    const bytes = await this.#fetched(this.#store.get(key), tally);
    object.setSize(bytes.length);
    await object.write(0, bytes);
  }

  async #learnEnd(
    object: CachedObject,
    key: string,
    last: number,
    tally: ReadTally,
  ): Promise<void> {
    const found = await this.#end(key, last);
    if (found === undefined) return;
    const { size, bytes } = found;
    tally.fetched(bytes.length);
    object.setSize(size);
    await object.write(size - bytes.length, bytes);
    this.#tellNodes(key);
  }

  async #end(key: string, last: number): Promise<ObjectEnd | undefined> {
    if (this.#store.getEnd !== undefined) return this.#store.getEnd(key, last);
    const [info, bytes] = await Promise.all([
      this.#store.head(key),
      this.#store.get(key, { range: { last } }),
    ]);
    return info && { bytes, size: info.size };
  }

  async #fetched(getting: Promise<Uint8Array>, tally: ReadTally): Promise<Uint8Array> {
    const bytes = await getting;
    tally.fetched(bytes.length);
    return bytes;
  }

  /** What one thread reads of a tree, others read as it is committed. */
  #tellNodes(key: string): void {
    if (OWN.test(key)) this.#cache.tell();
  }

  async #keepWhole(key: string, bytes: Uint8Array, when?: 'unless-kept'): Promise<void> {
    const object = this.#cache.acquire(this.#nameOf(key) ?? key);
    try {
      if (when !== undefined && object.gaps(0, bytes.length).length === 0) return;
      object.drop(0, Infinity);
      object.setSize(bytes.length);
      await object.write(0, bytes);
      // What one thread commits, another one shows.
      this.#cache.tell();
    } finally {
      this.#cache.release(object);
    }
  }

  /** An object that may change: always asked for, and remembered for when there is no network. */
  async #current(key: string, options: GetOptions): Promise<Uint8Array> {
    if (this.#isOffline) {
      const bytes = await this.#lastSeen(key);
      if (bytes !== undefined) {
        const { offset, length } = cutRange(
          options.range ?? { offset: 0, length: Infinity },
          bytes.length,
        );
        return bytes.subarray(offset, offset + length);
      }
    }
    const bytes = await this.#store.get(key, options);
    if (options.range === undefined) this.#see(key, bytes);
    return bytes;
  }

  async #lastSeen(key: string): Promise<Uint8Array | undefined> {
    await this.#cache.settled();
    const object = this.#cache.acquire(this.#seenName(key));
    try {
      object.gaps(0, 1);
      const { size } = object;
      const kept = size === undefined ? undefined : await object.read(0, size);
      if (kept === undefined) return undefined;
      const bytes = kept.subarray(SUM_BYTES);
      return Buffer.compare(kept.subarray(0, SUM_BYTES), sumOf(bytes)) === 0 ? bytes : undefined;
    } finally {
      this.#cache.release(object);
    }
  }

  /** With a checksum in front: nothing else verifies it. */
  #see(key: string, bytes: Uint8Array): void {
    const summed = Buffer.concat([sumOf(bytes), bytes]);
    this.#cache.later(() => this.#remember(key, summed));
  }

  async #remember(key: string, summed: Buffer): Promise<void> {
    const object = this.#cache.acquire(this.#seenName(key));
    try {
      const isSized = object.size === summed.length;
      const kept = isSized ? await object.read(0, summed.length) : undefined;
      if (kept !== undefined && Buffer.compare(kept, summed) === 0) return;
      object.drop(0, Infinity);
      object.setSize(summed.length);
      await object.write(0, summed);
    } finally {
      this.#cache.release(object);
    }
  }

  #seenName(key: string): string {
    return `${this.#namespace}/seen/${key}`;
  }
}

/** What is kept of one object, for who verifies it himself. */
class Kept implements KeptObject {
  readonly #cache: ObjectCache;
  readonly #object: CachedObject;
  readonly tally: ReadTally;
  readonly fetch: KeptObject['fetch'];

  constructor(
    cache: ObjectCache,
    object: CachedObject,
    tally: ReadTally,
    fetch: KeptObject['fetch'],
  ) {
    this.#cache = cache;
    this.#object = object;
    this.tally = tally;
    this.fetch = fetch;
  }

  get fd(): number | undefined {
    return this.#object.fd;
  }

  get isVerified(): boolean {
    return this.#object.isVerified;
  }

  has(start: number, end: number): boolean {
    return this.#object.gaps(start, end).length === 0;
  }

  read(start: number, end: number): Promise<Uint8Array | undefined> {
    return this.#object.read(start, end);
  }

  keep(start: number, bytes: Uint8Array): Promise<boolean> {
    return this.#object.write(start, bytes);
  }

  drop(start: number, end: number): void {
    this.tally.heal();
    this.#object.drop(start, end);
  }

  markVerified(): Promise<void> {
    return this.#object.markVerified();
  }

  reserve(bytes: number, signal?: AbortSignal): Promise<() => void> {
    return this.#cache.ahead.take(bytes, signal);
  }

  release(): void {
    this.#cache.release(this.#object);
  }
}

/** The window of tree nodes around [start, end), of what is not there of it. */
function widened(object: CachedObject, [start, end]: [number, number]): [number, number] {
  const from = start - (start % TREE_WINDOW_BYTES);
  const to = Math.min(
    object.size ?? Infinity,
    Math.ceil(end / TREE_WINDOW_BYTES) * TREE_WINDOW_BYTES,
  );
  const gaps = object.gaps(from, to);
  return [Math.min(start, gaps[0]?.[0] ?? start), Math.max(end, gaps.at(-1)?.[1] ?? end)];
}

/** The result of a read is the reader's own. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function sumOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
