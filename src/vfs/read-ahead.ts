import { BLOCK_BYTES } from '../model/ids.js';

/** Bytes ahead of one reader, at most: eleven large requests, each of which may come at 50 MB/s and no more. */
const WINDOW_BYTES_MAX = 96 * BLOCK_BYTES;
/** Fetched and never read, at most, as a part of what was read. */
const WASTE_PART = 1 / 4;
/** After a jump, fetched ahead as a part of what was read since. */
const AFTER_JUMP_PART = 1 / 8;
/** How much two runs may differ in length for the next to be expected alike, as a part of them. */
const ALIKE_PART = 1 / 4;
const STRIDES_MAX = 8;
/** Ahead of whoever goes on from the start of a file, at least: what the first answers tell is too late. */
const REPLAY_BYTES_MIN = 4 * BLOCK_BYTES;
/**
 * Parts of the window, each fetched when the reader comes to the start of another, and requests for each
 * part. Together so many requests are under way, but for a part's: a replay is long, and few large ones cost
 * less; of a chunk more bring it sooner.
 */
const REPLAY = { parts: 6, requests: 2 };
const CHUNKS = { parts: 2, requests: 8 };

/** Blocks to be fetched before they are asked for; bytes, whole blocks but at the file's end. */
export interface Ahead {
  readonly start: number;
  readonly end: number;
  /**
   * That the reader goes on through them: all but the first block may be granted. The first is left
   * for us to see how far the reader has come.
   */
  readonly isRun: boolean;
  /** In how many requests it is to be fetched, at most. */
  readonly requests: number;
}

/**
 * Learns from the reads of one open file what will be asked for next: the rest of a file that is read
 * from its start, chunks of like lengths, a stride forwards or backwards. But for a file that is read
 * from its very start, it never fetches more than a quarter of what was read without being right.
 */
export class ReadAhead {
  readonly #size: number;
  /** The run of blocks that is being read: where it began, how far it was read, and fetched. */
  #runStart = 0;
  #runEnd = 0;
  #frontier = 0;
  /** Where the spans fetched ahead begin that the reader has not come to. */
  #heads: number[] = [];
  /** Bytes that were asked for, and bytes that were fetched ahead and passed by. */
  #asked = 0;
  #wasted = 0;
  #jumps = -1;
  /** Lengths of the last two runs. */
  #lengths: readonly [number, number] = [0, 0];
  #lastStart = 0;
  #delta = 0;
  /** How often the reader has jumped by `delta`, and how many such jumps were fetched ahead. */
  #strides = 0;
  #stridesAhead = 0;
  #strideBytes = 0;

  /** @param size of the file, in bytes */
  constructor(size: number) {
    this.#size = size;
  }

  /** Takes note of a read of the blocks [start, end); returns what to fetch now. */
  note(start: number, end: number): Ahead[] {
    if (!this.#goesOn(start)) return this.#jump(start, end);
    this.#asked += Math.max(0, end - this.#runEnd);
    this.#runEnd = Math.max(this.#runEnd, end);
    this.#frontier = Math.max(this.#frontier, end);
    this.#heads = this.#heads.filter((head) => head > start);
    this.#lastStart = start;
    return this.#extend();
  }

  #goesOn(start: number): boolean {
    if (this.#jumps < 0 || start < this.#runStart) return false;
    // Reads that were sent one after the other may arrive the other way round.
    const slack = this.#isReplay && this.#runEnd > BLOCK_BYTES ? BLOCK_BYTES : 0;
    return start <= (this.#heads[0] ?? this.#frontier) + slack;
  }

  /** Whether the file has only been read from its start so far. */
  get #isReplay(): boolean {
    return this.#runStart === 0 && this.#jumps === 0;
  }

  /** The length of both last runs, about; 0 when they differ. */
  get #alike(): number {
    const [last, before] = this.#lengths;
    const shorter = Math.min(last, before);
    return Math.abs(last - before) <= shorter * ALIKE_PART ? shorter : 0;
  }

  /** Bytes that may turn out to have been fetched in vain. */
  get #credit(): number {
    return Math.max(0, this.#asked * WASTE_PART - this.#wasted);
  }

  #extend(): Ahead[] {
    const run = this.#runEnd - this.#runStart;
    if (run <= BLOCK_BYTES && this.#alike === 0) return [];
    const { bytes, isEnd } = this.#expected(run);
    const window = Math.min(WINDOW_BYTES_MAX, bytes);
    const target = Math.min(this.#size, this.#runEnd + window);
    // The reader is heard of at the start of each part: while it reads one, the others are fetched.
    const { parts, requests } = this.#isReplay ? REPLAY : CHUNKS;
    const part = Math.max(BLOCK_BYTES, wholeBlocks(window / parts));
    const isLast = isEnd || target === this.#size;
    const found: Ahead[] = [];
    while (target - this.#frontier >= part || (isLast && target > this.#frontier)) {
      const start = this.#frontier;
      let end = Math.min(target, start + part);
      // That the reader comes to the very end of a chunk is heard, too.
      if (isEnd && end === target && end - start > BLOCK_BYTES) end = blockBefore(target);
      this.#frontier = end;
      this.#heads.push(start);
      found.push({ start, end, isRun: true, requests });
    }
    return found;
  }

  /** Bytes to be fetched ahead of the reader of a run of `run` bytes, and whether it stops there. */
  #expected(run: number): { bytes: number; isEnd: boolean } {
    if (this.#isReplay) return { bytes: Math.max(REPLAY_BYTES_MIN, run), isEnd: false };
    const credit = wholeBlocks(this.#credit);
    const alike = this.#alike;
    if (run <= alike) {
      const left = alike - run;
      return left <= credit ? { bytes: left, isEnd: true } : { bytes: credit, isEnd: false };
    }
    return { bytes: Math.min(credit, wholeBlocks(run * AFTER_JUMP_PART)), isEnd: false };
  }

  #jump(start: number, end: number): Ahead[] {
    if (this.#jumps >= 0) this.#lengths = [this.#runEnd - this.#runStart, this.#lengths[0]];
    this.#wasted += this.#frontier - this.#runEnd;
    this.#asked += end - start;
    this.#jumps += 1;
    this.#runStart = start;
    this.#runEnd = end;
    this.#frontier = end;
    this.#heads = [];
    const delta = start - this.#lastStart;
    this.#lastStart = start;
    if (delta !== this.#delta) {
      this.#wasted += this.#stridesAhead * this.#strideBytes;
      this.#delta = delta;
      this.#strides = 0;
      this.#stridesAhead = 0;
      return this.#extend();
    }
    this.#strides += 1;
    this.#stridesAhead = Math.max(0, this.#stridesAhead - 1);
    return [...this.#extend(), ...this.#stride(start, end - start)];
  }

  #stride(start: number, length: number): Ahead[] {
    this.#strideBytes = length;
    const wanted = Math.min(STRIDES_MAX, this.#strides - 1, Math.floor(this.#credit / length));
    const found: Ahead[] = [];
    for (; this.#stridesAhead < wanted; this.#stridesAhead += 1) {
      const from = start + (this.#stridesAhead + 1) * this.#delta;
      if (from < 0 || from >= this.#size) break;
      const end = Math.min(this.#size, from + length);
      found.push({ start: from, end, isRun: false, requests: CHUNKS.requests });
    }
    return found;
  }
}

function wholeBlocks(bytes: number): number {
  return bytes - (bytes % BLOCK_BYTES);
}

/** The start of the last block that ends at `end`. */
function blockBefore(end: number): number {
  return end - (end % BLOCK_BYTES === 0 ? BLOCK_BYTES : end % BLOCK_BYTES);
}
