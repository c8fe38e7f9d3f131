import { unlessAborted } from './abort.js';

/**
 * What is being saved while other work goes on. Nothing of it may be named to anybody before `durable`
 * has resolved.
 */
export class Saves {
  /** Of who wants it all. */
  readonly signal: AbortSignal | undefined;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(signal?: AbortSignal) {
    this.signal = signal;
  }

  add(save: Promise<unknown>): void {
    const running: Promise<void> = save
      .then(
        () => undefined,
        (error: unknown) => void (this.#failure ??= { error }),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /**
   * Resolves when all that was added is durable.
   * @throws what the first save that failed threw; aborted
   */
  async durable(): Promise<void> {
    await unlessAborted(this.settled(), this.signal);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Resolves when nothing is being saved any more. Never rejects. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
