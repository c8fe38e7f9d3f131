import type { BucketCounts } from './bucket/metrics.js';
import { BucketMetrics } from './bucket/metrics.js';

export interface ReadCounts {
  /** Reads that found all they needed on this machine, and those that had to fetch. */
  readonly hits: number;
  readonly misses: number;
  /** Bytes that were read from the cache's files, and fetched, ahead of readers too. */
  readonly hitBytes: number;
  readonly fetches: number;
  readonly fetchedBytes: number;
  /** Times that bytes turned out wrong, in a file or as they came, and were fetched again. */
  readonly healed: number;
}

/** Counts what reads found in the cache, and with it whatever it is a part of. */
export class ReadTally implements ReadCounts {
  hits = 0;
  misses = 0;
  hitBytes = 0;
  fetches = 0;
  fetchedBytes = 0;
  healed = 0;
  readonly #whole: ReadTally | undefined;

  /** @param whole counts all that this does */
  constructor(whole?: ReadTally) {
    this.#whole = whole;
  }

  hit(bytes: number): void {
    this.add({ ...NO_READS, hits: 1, hitBytes: bytes });
  }

  miss(): void {
    this.add({ ...NO_READS, misses: 1 });
  }

  fetched(bytes: number): void {
    this.add({ ...NO_READS, fetches: 1, fetchedBytes: bytes });
  }

  heal(): void {
    this.add({ ...NO_READS, healed: 1 });
  }

  add(more: ReadCounts): void {
    this.hits += more.hits;
    this.misses += more.misses;
    this.hitBytes += more.hitBytes;
    this.fetches += more.fetches;
    this.fetchedBytes += more.fetchedBytes;
    this.healed += more.healed;
    this.#whole?.add(more);
  }

  clear(): void {
    Object.assign(this, NO_READS);
  }

  counts(): ReadCounts {
    const { hits, misses, hitBytes, fetches, fetchedBytes, healed } = this;
    return { hits, misses, hitBytes, fetches, fetchedBytes, healed };
  }
}

const NO_READS: ReadCounts = {
  hits: 0,
  misses: 0,
  hitBytes: 0,
  fetches: 0,
  fetchedBytes: 0,
  healed: 0,
};

/** What went between this machine and one repository in a bucket, and what need not; plain data. */
export interface TrafficCounts {
  /** By what the bucket was asked for. */
  readonly requests: BucketCounts;
  /** Requests that were sent because one like them had failed. */
  readonly retries: number;
  /** Milliseconds since 1970 UTC: the store has not answered since, and is asked only now and then. */
  readonly openSinceMs: number | undefined;
  readonly reads: ReadCounts;
}

/** Counts it, over all that has the repository open in one thread. */
export class Traffic {
  /** When the counting began: milliseconds since 1970 UTC. */
  readonly sinceMs = Date.now();
  readonly bucket = new BucketMetrics();
  readonly reads: ReadTally;

  /** @param reads counts those of this repository too */
  constructor(reads?: ReadTally) {
    this.reads = new ReadTally(reads);
  }

  counts(): TrafficCounts {
    const { retries, openSinceMs } = this.bucket;
    return { requests: this.bucket.counts(), retries, openSinceMs, reads: this.reads.counts() };
  }

  /** The counts, which begin anew. */
  take(): TrafficCounts {
    const counts = this.counts();
    this.bucket.clear();
    this.reads.clear();
    return counts;
  }

  /** What another thread has counted. Reads of its own cache are not those of this one's. */
  add({ requests, retries, openSinceMs, reads }: TrafficCounts): void {
    this.bucket.add(requests, retries, openSinceMs);
    this.reads.add(reads);
  }
}
