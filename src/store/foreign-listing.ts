import type { Bucket, BucketObject, BucketPage, BucketQuery } from './bucket/bucket.js';

/** Listings that are under way at a time. */
const AT_ONCE = 16;
/** Pages that each of them is ahead of the reader at most. */
const PAGES_AHEAD = 4;
/** A level of so few groups is not enough to work on: theirs are told apart as well. */
const FEW_GROUPS = 8;
const LEVELS_MAX = 4;

type Page = readonly BucketObject[];

export interface ListingOptions {
  /** Tells the version of each object. */
  readonly versions: boolean;
  /** Only keys behind this one. */
  readonly after: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Pages of the objects below a prefix, in byte order of keys. A listing tells each next page only
 * after the one before it; so groups of keys (`a/`, `b/`, …) are listed side by side.
 */
export async function* listInParallel(
  bucket: Bucket,
  prefix: string,
  { versions, after, signal }: ListingOptions,
): AsyncGenerator<Page> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  try {
    yield* new Listing(bucket, versions, after, both).groups(prefix, 1);
  } finally {
    stop.abort();
  }
}

class Listing {
  readonly #bucket: Bucket;
  readonly #versions: boolean;
  readonly #after: string;
  readonly #signal: AbortSignal;

  constructor(bucket: Bucket, versions: boolean, after: string, signal: AbortSignal) {
    this.#bucket = bucket;
    this.#versions = versions;
    this.#after = after;
    this.#signal = signal;
  }

  async *groups(prefix: string, level: number): AsyncGenerator<Page> {
    const pages = this.#pages({ prefix, grouped: true })[Symbol.asyncIterator]();
    const after = this.#after;
    const waiting: (Page | Ahead)[] = [];
    let under = 0;
    let isDone = false;
    for (;;) {
      while (!isDone && under < AT_ONCE) {
        const page = await pages.next();
        isDone = page.done === true;
        if (page.done === true) break;
        const isFew = page.value.next === undefined && page.value.prefixes.length < FEW_GROUPS;
        const descend = isFew && level < LEVELS_MAX;
        for (const part of inOrder(page.value)) {
          if (typeof part !== 'string') waiting.push(part);
          else if (after.startsWith(part) || before(after, part)) {
            waiting.push(new Ahead(descend ? this.groups(part, level + 1) : this.#flat(part)));
            under += 1;
          }
        }
      }
      const first = waiting.shift();
      if (first === undefined) return;
      for (const ahead of waiting.slice(0, AT_ONCE)) if (ahead instanceof Ahead) ahead.start();
      if (first instanceof Ahead) {
        under -= 1;
        yield* first.pages();
      } else yield first;
    }
  }

  async *#flat(prefix: string): AsyncGenerator<Page> {
    for await (const { objects } of this.#pages({ prefix })) yield objects;
  }

  /** Without the objects that are not behind `after`: some clouds tell them all the same. */
  async *#pages(query: BucketQuery): AsyncGenerator<BucketPage> {
    let next: string | undefined;
    const after = this.#startIn(query);
    do {
      const page: BucketPage = await this.#bucket.list({
        ...query,
        versions: this.#versions,
        signal: this.#signal,
        ...(after === undefined ? {} : { after }),
        ...(next === undefined ? {} : { next }),
      });
      if (after === undefined) yield page;
      else {
        yield { ...page, objects: page.objects.filter(({ key }) => before(this.#after, key)) };
      }
      next = page.next;
    } while (next !== undefined);
  }

  /** Where the listing of a prefix begins; of groups, in front of the one that `after` lies in. */
  #startIn({ prefix, grouped }: BucketQuery): string | undefined {
    if (this.#after === '' || !this.#after.startsWith(prefix)) return undefined;
    const end = grouped === true ? this.#after.indexOf('/', prefix.length) : -1;
    return end < 0 ? this.#after : this.#after.slice(0, end);
  }
}

/** Objects and groups as their keys follow each other: runs of objects, and prefixes. */
function* inOrder({ objects, prefixes }: BucketPage): Generator<Page | string> {
  let run: BucketObject[] = [];
  let at = 0;
  for (const prefix of prefixes) {
    for (; at < objects.length && before(objects[at]?.key ?? '', prefix); at += 1) {
      run.push(objects[at] as BucketObject);
    }
    if (run.length > 0) yield run;
    run = [];
    yield prefix;
  }
  run.push(...objects.slice(at));
  if (run.length > 0) yield run;
}

function before(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

/** Pages that are read before they are asked for, some of them. */
class Ahead {
  readonly #source: AsyncGenerator<Page>;
  readonly #read: Promise<IteratorResult<Page, void>>[] = [];

  constructor(source: AsyncGenerator<Page>) {
    this.#source = source;
  }

  start(): void {
    while (this.#read.length < PAGES_AHEAD) {
      const page = this.#source.next();
      // Whoever reads so far gets it.
      page.catch(() => undefined);
      this.#read.push(page);
    }
  }

  async *pages(): AsyncGenerator<Page> {
    for (;;) {
      this.start();
      const page = await this.#read.shift();
      if (page === undefined || page.done === true) return;
      yield page.value;
    }
  }
}
