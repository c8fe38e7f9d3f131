import { rmSync, statSync, writeFileSync } from 'node:fs';

/** Of some hundred removals in the journal's log; bytes. */
const RESERVE_BYTES = 1_048_576;
/** Least time between two tries to have it again. */
const REFILL_INTERVAL_MS = 1_000;

/**
 * A file that is given up when the disk is full, so that what is removed can be written down: without
 * it nobody could make room on that disk by removing files from a mount.
 */
export class Reserve {
  readonly #path: string;
  #isFull = false;
  #triedMs = -Infinity;

  constructor(path: string) {
    this.#path = path;
    this.#isFull = statSync(path, { throwIfNoEntry: false })?.size === RESERVE_BYTES;
    this.refill();
  }

  /** Makes room; false when there was nothing left to give up. */
  release(): boolean {
    const wasFull = this.#isFull;
    this.#isFull = false;
    this.#triedMs = performance.now();
    rmSync(this.#path, { force: true });
    return wasFull;
  }

  /** Takes it again where there is room; never throws. */
  refill(): void {
    if (this.#isFull || performance.now() - this.#triedMs < REFILL_INTERVAL_MS) return;
    this.#triedMs = performance.now();
    try {
      writeFileSync(this.#path, Buffer.alloc(RESERVE_BYTES), { mode: 0o600 });
      this.#isFull = true;
    } catch {
      rmSync(this.#path, { force: true });
    }
  }
}
