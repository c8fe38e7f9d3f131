import { ByteBudget } from '../cache/byte-budget.js';
import { unlessAborted } from '../util/abort.js';

/** Memory for what is fetched ahead of all readers of a repository together. */
const AHEAD_BYTES_MAX = 100_663_296;

export type FetchBytes = (start: number, end: number, signal?: AbortSignal) => Promise<Uint8Array>;

interface Span {
  readonly start: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
  readonly giveBack: () => void;
}

/** A budget that the readers of a repository share. */
export function aheadBudget(): ByteBudget {
  return new ByteBudget(AHEAD_BYTES_MAX);
}

/**
 * Bytes of one open file that were fetched ahead of its reader, held in memory until the reader has come
 * to their end. What was not fetched ahead is fetched when it is read, and no more than that.
 */
export class AheadSpans {
  readonly #fetch: FetchBytes;
  readonly #budget: ByteBudget;
  /** In order, apart. */
  #spans: Span[] = [];
  #isClosed = false;

  constructor(fetch: FetchBytes, budget: ByteBudget) {
    this.#fetch = fetch;
    this.#budget = budget;
  }

  /** Resolves when the bytes are here, as far as there is memory for them. @throws what fetching throws */
  async ahead(start: number, end: number, signal?: AbortSignal): Promise<void> {
    if (end - start > AHEAD_BYTES_MAX) return;
    const giveBack = await this.#budget.take(end - start, signal);
    const isHeld = this.#spans.some((span) => span.start < end && span.end > start);
    if (this.#isClosed || isHeld) return giveBack();
    const bytes = this.#fetch(start, end, signal);
    const span = { start, end, bytes, giveBack };
    this.#spans.push(span);
    this.#spans.sort((a, b) => a.start - b.start);
    try {
      await bytes;
    } catch (error) {
      this.#drop(span);
      throw error;
    }
  }

  /** Bytes [start, end). @throws what fetching throws */
  async read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const spans = this.#spans.filter((span) => span.start < end && span.end > start);
    if (spans.length === 0) return unlessAborted(this.#fetch(start, end, signal), signal);
    const parts: Promise<Uint8Array>[] = [];
    let at = start;
    for (const span of spans) {
      if (at < span.start) parts.push(this.#fetch(at, span.start, signal));
      const [from, to] = [Math.max(at, span.start), Math.min(end, span.end)];
      parts.push(span.bytes.then((bytes) => bytes.subarray(from - span.start, to - span.start)));
      at = to;
    }
    if (at < end) parts.push(this.#fetch(at, end, signal));
    const bytes = Buffer.concat(await unlessAborted(Promise.all(parts), signal));
    for (const span of spans) if (span.end <= end) this.#drop(span);
    return bytes;
  }

  close(): void {
    this.#isClosed = true;
    for (const span of [...this.#spans]) this.#drop(span);
  }

  #drop(span: Span): void {
    const left = this.#spans.filter((other) => other !== span);
    if (left.length === this.#spans.length) return;
    this.#spans = left;
    span.giveBack();
  }
}
