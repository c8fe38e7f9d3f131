import { throwIfAborted, unlessAborted } from '../util/abort.js';

/** Memory that many readers share: whoever wants bytes of it waits until they are free, in turn. */
export class ByteBudget {
  readonly #bytesMax: number;
  #used = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Resolves to what gives the bytes back, to be called once. More than there is at all counts as
   * all of it.
   * @throws TarnError aborted
   */
  async take(bytes: number, signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    const wanted = Math.min(bytes, this.#bytesMax);
    while (this.#used + wanted > this.#bytesMax) {
      let wake = (): void => undefined;
      const freed = new Promise<void>((resolve) => (wake = resolve));
      this.#waiting.push(wake);
      try {
        await unlessAborted(freed, signal);
      } finally {
        const at = this.#waiting.indexOf(wake);
        if (at >= 0) this.#waiting.splice(at, 1);
      }
    }
    this.#used += wanted;
    return () => {
      this.#used -= wanted;
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }
}
