import { hash as hashOnce } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { RangeSet } from '../cache/range-set.js';
import { HASH_BYTES } from '../model/ids.js';
import type { ContentId } from '../model/ids.js';
import type { KeptObject } from '../store/kept-object.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ReadTally } from '../store/traffic.js';
import { unlessAborted } from '../util/abort.js';
import { giveWay } from '../util/give-way.js';
import type { Backing } from './content.js';
import type { ImportedBytes } from './imported-bytes.js';
import { pinnedKey, pinnedSumsKey } from './layout.js';

/** What is kept and checked by itself: who reads a little here and there fetches little more. */
export const UNIT_BYTES = 65_536;
/** Of one request, at most. */
const REQUEST_BYTES_MAX = 8_388_608;
/** Fetched again together where a unit of it is damaged. */
const CHECKED_BYTES_MAX = 1_048_576;
/** Hashed at once: 64 KiB take 40 µs. */
const HASHED_UNITS_MAX = 4;

interface Reading {
  readonly signal: AbortSignal | undefined;
  /** In place of the store's own. */
  readonly tally: ReadTally | undefined;
}

/** Whole units that are on their way. */
interface Flight {
  readonly start: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
  /** Settles when the file has them too, if there is room. */
  readonly kept: Promise<void>;
}

/** Imported objects that nobody has read, as far as they are kept here; opened once for all readers. */
export class PinnedFiles {
  readonly #keeper: Pick<ObjectStore, 'keep'>;
  readonly #open = new Map<ContentId, PinnedFile>();

  constructor(keeper: Pick<ObjectStore, 'keep'>) {
    this.#keeper = keeper;
  }

  /** To be released by the caller; undefined where nothing can be kept. */
  acquire(id: ContentId, size: number, object: ImportedBytes): PinnedFile | undefined {
    const found = this.#open.get(id);
    if (found !== undefined) {
      found.retain();
      return found;
    }
    const sumsBytes = Math.ceil(size / UNIT_BYTES) * HASH_BYTES;
    const bytes = this.#keeper.keep?.(pinnedKey(id), size);
    const sums = this.#keeper.keep?.(pinnedSumsKey(id), sumsBytes);
    if (bytes?.fd === undefined || sums?.fd === undefined) {
      bytes?.release();
      sums?.release();
      return undefined;
    }
    const file = new PinnedFile(object, size, { bytes, sums }, () => this.#open.delete(id));
    this.#open.set(id, file);
    return file;
  }
}

/**
 * One imported object of which only the pin is known. What comes from its bucket was asked for by the
 * pin, and is right; it is kept with hashes taken then, by which it is checked before it is given out
 * again. The id names URL, size and pin, so that nothing else is ever found under it.
 */
export class PinnedFile {
  readonly #object: ImportedBytes;
  readonly #size: number;
  readonly #bytes: KeptObject;
  readonly #sums: KeptObject;
  readonly #onClose: () => void;
  /** In the file, and known to be right. */
  readonly #verified = RangeSet.empty();
  readonly #flights = new Set<Flight>();
  #users = 1;

  constructor(
    object: ImportedBytes,
    size: number,
    { bytes, sums }: { readonly bytes: KeptObject; readonly sums: KeptObject },
    onClose: () => void,
  ) {
    this.#object = object;
    this.#size = size;
    this.#bytes = bytes;
    this.#sums = sums;
    this.#onClose = onClose;
    if (bytes.isVerified) this.#verified.add(0, size);
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#onClose();
    this.#bytes.release();
    this.#sums.release();
  }

  backing(): Backing | undefined {
    const { fd } = this.#bytes;
    if (fd === undefined || fstatSync(fd).size !== this.#size) return undefined;
    return {
      fd,
      offset: 0,
      exact: true,
      verified: this.#verified.has(0, this.#size),
      has: (start, end) => this.#verified.has(start, end),
    };
  }

  /** Bytes [start, end), which lie in the object. */
  async read(start: number, end: number, reading: Reading): Promise<Uint8Array> {
    const { signal, tally = this.#bytes.tally } = reading;
    this.retain();
    try {
      if (this.#verified.has(start, end)) {
        const bytes = await this.#bytes.read(start, end);
        if (bytes !== undefined) {
          tally.hit(bytes.length);
          return bytes;
        }
        this.#verified.remove(...this.#unitsOf(start, end));
      }
      tally.miss();
      const flights = this.#load(...this.#unitsOf(start, end), tally);
      return await unlessAborted(gathered(flights, start, end), signal);
    } finally {
      this.release();
    }
  }

  /** Gets the units that hold [start, end) into the file, many at a time. */
  async fetch(start: number, end: number, { signal, tally }: Reading): Promise<void> {
    this.retain();
    const running: Promise<unknown>[] = [];
    try {
      const [first, last] = this.#unitsOf(start, end);
      for (let from = first; from < last; from += REQUEST_BYTES_MAX) {
        const to = Math.min(last, from + REQUEST_BYTES_MAX);
        if (this.#verified.has(from, to)) continue;
        const giveBack = await this.#bytes.reserve(to - from, signal);
        const loads = this.#load(from, to, tally ?? this.#bytes.tally).map(({ kept }) => kept);
        const loaded = Promise.all(loads).finally(giveBack);
        running.push(loaded);
        // Heard of below, when the others are under way.
        loaded.catch(() => undefined);
      }
      await Promise.all(running);
    } finally {
      await Promise.allSettled(running);
      this.release();
    }
  }

  /** What is under way of the units [start, end), and new flights for the rest of them. */
  #load(start: number, end: number, tally: ReadTally): Flight[] {
    const flights = [...this.#flights].filter((each) => each.start < end && each.end > start);
    const covered = RangeSet.empty();
    for (const flight of flights) covered.add(flight.start, flight.end);
    for (const [from, to] of covered.gaps(start, end)) {
      for (let at = from; at < to;) {
        const isKept = this.#hasUnit(at);
        const atMost = Math.min(to, at + (isKept ? CHECKED_BYTES_MAX : REQUEST_BYTES_MAX));
        let next = at + UNIT_BYTES;
        while (next < atMost && this.#hasUnit(next) === isKept) next += UNIT_BYTES;
        next = Math.min(next, atMost);
        flights.push(this.#start(at, next, isKept, tally));
        at = next;
      }
    }
    return flights;
  }

  #hasUnit(start: number): boolean {
    return this.#bytes.has(start, Math.min(this.#size, start + UNIT_BYTES));
  }

  #start(start: number, end: number, isKept: boolean, tally: ReadTally): Flight {
    this.retain();
    const bytes = isKept ? this.#again(start, end, tally) : this.#fetched(start, end, tally);
    const kept = bytes
      .then((loaded) => this.#keep(start, loaded))
      .finally(() => {
        this.#flights.delete(flight);
        this.release();
      });
    // Whoever waits for the bytes hears of it.
    kept.catch(() => undefined);
    const flight = { start, end, bytes, kept };
    this.#flights.add(flight);
    return flight;
  }

  async #again(start: number, end: number, tally: ReadTally): Promise<Uint8Array> {
    return (await this.#checked(start, end)) ?? this.#fetched(start, end, tally);
  }

  async #fetched(start: number, end: number, tally: ReadTally): Promise<Uint8Array> {
    const bytes = await this.#object.read(start, end, true);
    tally.fetched(bytes.length);
    return bytes;
  }

  /** What an earlier process kept; undefined where that is damaged, or its hashes were not kept. */
  async #checked(start: number, end: number): Promise<Uint8Array | undefined> {
    const [sumsStart, sumsEnd] = sumsOf(start, end);
    const [bytes, sums] = await Promise.all([
      this.#bytes.read(start, end),
      this.#sums.has(sumsStart, sumsEnd) ? this.#sums.read(sumsStart, sumsEnd) : undefined,
    ]);
    if (bytes === undefined || this.#verified.has(start, end)) return bytes;
    if (sums === undefined) return undefined;
    if (Buffer.compare(await hashUnits(bytes), sums) === 0) {
      this.#mark(start, end);
      return bytes;
    }
    this.#verified.remove(start, end);
    this.#bytes.drop(start, end);
    return undefined;
  }

  async #keep(start: number, bytes: Uint8Array): Promise<void> {
    const end = start + bytes.length;
    if (this.#verified.has(start, end)) return;
    const sums = await hashUnits(bytes);
    const written = await Promise.all([
      this.#bytes.keep(start, bytes),
      this.#sums.keep(sumsOf(start, end)[0], sums),
    ]);
    if (written.every((isWritten) => isWritten)) this.#mark(start, end);
  }

  #mark(start: number, end: number): void {
    this.#verified.add(start, end);
    if (this.#verified.has(0, this.#size)) void this.#markVerified();
  }

  async #markVerified(): Promise<void> {
    this.retain();
    await this.#bytes.markVerified();
    this.release();
  }

  #unitsOf(start: number, end: number): [start: number, end: number] {
    const last = Math.ceil(end / UNIT_BYTES) * UNIT_BYTES;
    return [start - (start % UNIT_BYTES), Math.min(this.#size, last)];
  }
}

/** Where the hashes of the units [start, end) lie. */
function sumsOf(start: number, end: number): [start: number, end: number] {
  return [(start / UNIT_BYTES) * HASH_BYTES, Math.ceil(end / UNIT_BYTES) * HASH_BYTES];
}

async function hashUnits(bytes: Uint8Array): Promise<Buffer> {
  const sums: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += UNIT_BYTES) {
    if (sums.length % HASHED_UNITS_MAX === HASHED_UNITS_MAX - 1) await giveWay();
    sums.push(hashOnce('sha256', bytes.subarray(at, at + UNIT_BYTES), 'buffer'));
  }
  return Buffer.concat(sums);
}

/** Bytes [start, end) of what the flights bring; the result is the reader's own. */
async function gathered(
  flights: readonly Flight[],
  start: number,
  end: number,
): Promise<Uint8Array> {
  const out = Buffer.allocUnsafe(end - start);
  await Promise.all(
    flights.map(async (flight) => {
      const bytes = await flight.bytes;
      const from = Math.max(start, flight.start);
      const to = Math.min(end, flight.end);
      if (from < to) out.set(bytes.subarray(from - flight.start, to - flight.start), from - start);
    }),
  );
  return out;
}
