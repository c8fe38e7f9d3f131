import type { Handle } from '../../vfs/filesystem.js';

/**
 * Handles the kernel holds. A handle is released once: after the kernel let it go and no call on it
 * is under way any more, as one may be whose caller was killed.
 */
export class Handles {
  readonly #release: (handle: Handle) => void;
  readonly #open = new Map<Handle, State>();

  constructor(release: (handle: Handle) => void) {
    this.#release = release;
  }

  open(handle: Handle): void {
    this.#open.set(handle, { calls: 0, closed: false });
  }

  has(handle: Handle): boolean {
    return this.#open.get(handle)?.closed === false;
  }

  /** Keeps the handle from being released until `call` has settled. */
  hold(handle: Handle, call: Promise<unknown>): void {
    const state = this.#open.get(handle);
    if (state === undefined) return;
    state.calls += 1;
    const settled = (): void => {
      state.calls -= 1;
      if (state.closed && state.calls === 0) this.#drop(handle);
    };
    call.then(settled, settled);
  }

  close(handle: Handle): void {
    const state = this.#open.get(handle);
    if (state === undefined || state.closed) return;
    state.closed = true;
    if (state.calls === 0) this.#drop(handle);
  }

  closeAll(): void {
    for (const handle of [...this.#open.keys()]) this.close(handle);
  }

  #drop(handle: Handle): void {
    this.#open.delete(handle);
    this.#release(handle);
  }
}

interface State {
  /** Calls on the handle that have not settled. */
  calls: number;
  closed: boolean;
}
