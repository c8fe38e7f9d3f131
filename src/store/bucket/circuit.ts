import { setTimeout as sleep } from 'node:timers/promises';
import { TarnError } from '../../util/errors.js';
import { unlessAborted } from '../../util/abort.js';

const FAILURES_MAX = 8;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 10_000;
/** So many pauses fit into the time of a call: whoever comes in one lives to see the next trial. */
const PAUSES_OF_CALL = 4;
/** An outage may last so long before calls fail at once instead of waiting for its end. */
const PATIENCE_MS = 20_000;

/**
 * Keeps a store that fails from being asked by everybody: after some failures in a row, whoever asks
 * next waits for a pause, then one request tries, and the others wait for how it goes. In a long
 * outage they do not wait, but fail at once.
 */
export class Circuit {
  readonly #url: string;
  readonly #pauseMsMax: number;
  readonly #onChange: (openSinceMs: number | undefined) => void;
  #failures = 0;
  #failingSinceMs = 0;
  #openUntilMs = 0;
  /** The request that tries, while there is one. */
  #trial: PromiseWithResolvers | undefined;

  /**
   * @param timeoutMs how long a call may take
   * @param onChange told after each outcome since when it is open: milliseconds since 1970 UTC
   */
  constructor(
    url: string,
    timeoutMs: number,
    onChange: (openSinceMs: number | undefined) => void = () => undefined,
  ) {
    this.#url = url;
    this.#pauseMsMax = Math.min(PAUSE_MS_MAX, timeoutMs / PAUSES_OF_CALL);
    this.#onChange = onChange;
  }

  get isOpen(): boolean {
    return this.#failures >= FAILURES_MAX;
  }

  /** Resolves when a request may be sent, whose outcome is then told. @throws TarnError unavailable, aborted */
  async admit(signal: AbortSignal | undefined): Promise<void> {
    while (this.isOpen) {
      if (Date.now() - this.#failingSinceMs > PATIENCE_MS && Date.now() < this.#openUntilMs) {
        throw this.#outage();
      }
      if (this.#trial !== undefined) {
        await unlessAborted(this.#trial.promise, signal);
      } else if (Date.now() >= this.#openUntilMs) {
        this.#trial = withResolvers();
        return;
      } else {
        await pause(this.#openUntilMs - Date.now(), signal);
      }
    }
  }

  succeeded(): void {
    this.#failures = 0;
    this.#onChange(undefined);
    this.#endTrial();
  }

  failed(): void {
    if (this.#failures === 0) this.#failingSinceMs = Date.now();
    this.#failures += 1;
    if (this.isOpen) {
      const times = Math.min(10, this.#failures - FAILURES_MAX);
      this.#openUntilMs = Date.now() + Math.min(this.#pauseMsMax, PAUSE_MS_MIN * 2 ** times);
      this.#onChange(this.#failingSinceMs);
    }
    this.#endTrial();
  }

  /** The request was given up without an outcome. */
  cancelled(): void {
    this.#endTrial();
  }

  #endTrial(): void {
    this.#trial?.resolve();
    this.#trial = undefined;
  }

  #outage(): TarnError {
    const seconds = Math.round((Date.now() - this.#failingSinceMs) / 1000);
    const nextMs = Math.max(0, this.#openUntilMs - Date.now());
    return new TarnError('unavailable', `'${this.#url}' has not answered for ${seconds} s`, {
      hint: `it is asked again in ${Math.ceil(nextMs / 1000)} s; see whether the network and the store are up`,
    });
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function withResolvers(): PromiseWithResolvers {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** @throws TarnError aborted */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await unlessAborted(sleep(ms), signal);
}
