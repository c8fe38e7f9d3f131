/** Runs of bytes, disjoint and in order: which parts of an object are there. */
export class RangeSet {
  /** Start and end of each run, one after the other. */
  #edges: number[];

  private constructor(edges: number[]) {
    this.#edges = edges;
  }

  static empty(): RangeSet {
    return new RangeSet([]);
  }

  /** What `encode` made; undefined when the bytes are no runs in order. */
  static decode(bytes: Uint8Array): RangeSet | undefined {
    if (bytes.length % 16 !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const edges: number[] = [];
    for (let at = 0; at < bytes.length; at += 8) {
      const edge = view.getFloat64(at);
      if (!Number.isSafeInteger(edge) || edge < 0 || edge <= (edges.at(-1) ?? -1)) return undefined;
      edges.push(edge);
    }
    return new RangeSet(edges);
  }

  encode(): Buffer {
    const bytes = Buffer.alloc(this.#edges.length * 8);
    for (const [i, edge] of this.#edges.entries()) bytes.writeDoubleBE(edge, i * 8);
    return bytes;
  }

  /** Bytes in all runs together. */
  get bytes(): number {
    let sum = 0;
    for (const [start, end] of this) sum += end - start;
    return sum;
  }

  get isEmpty(): boolean {
    return this.#edges.length === 0;
  }

  *[Symbol.iterator](): Iterator<[start: number, end: number]> {
    for (let i = 0; i < this.#edges.length; i += 2) {
      yield [this.#edges[i] as number, this.#edges[i + 1] as number];
    }
  }

  copy(): RangeSet {
    return new RangeSet([...this.#edges]);
  }

  add(start: number, end: number): void {
    if (start < end) this.#replace(start, end, [start, end]);
  }

  addAll(other: RangeSet): void {
    for (const [start, end] of other) this.add(start, end);
  }

  remove(start: number, end: number): void {
    if (start >= end) return;
    const { low, high } = this.#touching(start, end);
    const kept: number[] = [];
    if (low < high) {
      const first = this.#edges[low] as number;
      const last = this.#edges[high - 1] as number;
      if (first < start) kept.push(first, start);
      if (last > end) kept.push(end, last);
    }
    this.#edges.splice(low, high - low, ...kept);
  }

  /** Whether all of [start, end) is there. */
  has(start: number, end: number): boolean {
    return this.gaps(start, end).length === 0;
  }

  /** The parts of [start, end) that are not there, in order. */
  gaps(start: number, end: number): [start: number, end: number][] {
    const found: [number, number][] = [];
    let at = start;
    const { low, high } = this.#touching(start, end);
    for (let i = low; i < high && at < end; i += 2) {
      const from = this.#edges[i] as number;
      if (from > at) found.push([at, Math.min(from, end)]);
      at = Math.max(at, this.#edges[i + 1] as number);
    }
    if (at < end) found.push([at, end]);
    return found;
  }

  /** Puts `run` in the place of all runs that touch it, grown by what they reach beyond. */
  #replace(start: number, end: number, run: [number, number]): void {
    const { low, high } = this.#touching(start, end);
    if (low < high) {
      run[0] = Math.min(start, this.#edges[low] as number);
      run[1] = Math.max(end, this.#edges[high - 1] as number);
    }
    this.#edges.splice(low, high - low, ...run);
  }

  /** Edges [low, high) of the runs that overlap [start, end) or lie directly beside it. */
  #touching(start: number, end: number): { low: number; high: number } {
    let low = 0;
    let past = this.#edges.length / 2;
    while (low < past) {
      const middle = (low + past) >> 1;
      if ((this.#edges[middle * 2 + 1] as number) < start) low = middle + 1;
      else past = middle;
    }
    let high = low;
    while (high * 2 < this.#edges.length && (this.#edges[high * 2] as number) <= end) high += 1;
    return { low: low * 2, high: high * 2 };
  }
}
