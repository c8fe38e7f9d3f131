/** Buffers that are kept for the next who needs one. */
const FREE_MAX = 12;

/**
 * Buffers of one length, used again and again: the collector would have much to do with as many new ones
 * as a long file needs.
 */
export class RunBuffers {
  readonly #bytes: number;
  #free: Buffer[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** Nobody may use it any more. */
  give(buffer: Buffer): void {
    if (this.#free.length < FREE_MAX) this.#free.push(buffer);
  }

  /** Nobody will need one soon. */
  clear(): void {
    this.#free = [];
  }
}
