import type { NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import { throwIfAborted } from '../util/abort.js';
import type { NodeStore } from './nodes.js';

/** How many nodes may be on their way to the store before writers wait: one item ends several. */
const SAVES_MAX = 16;

/** Saves nodes side by side, so many at once. */
export class SaveQueue {
  readonly #store: NodeStore;
  readonly #signal: AbortSignal | undefined;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(store: NodeStore, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#signal = signal;
  }

  /** Whoever adds nodes waits for room() as soon as this is true. */
  get full(): boolean {
    return this.#running.size >= SAVES_MAX || this.#failure !== undefined;
  }

  /** Does not save a node that `isStored` knows. */
  add(bytes: Uint8Array, isStored: (id: NodeId) => boolean): NodeId {
    const id = sha256(bytes) as NodeId;
    if (isStored(id)) return id;
    const save = async (): Promise<void> => {
      try {
        await this.#store.save(id, bytes, this.#signal);
      } catch (error) {
        this.#failure ??= { error };
      }
    };
    const running: Promise<void> = save().then(() => {
      this.#running.delete(running);
    });
    this.#running.add(running);
    return id;
  }

  /** @throws what the store threw; TarnError aborted */
  async room(): Promise<void> {
    while (this.#running.size >= SAVES_MAX) await Promise.race(this.#running);
    this.check();
  }

  /** Resolves when all is saved. @throws as room */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
    this.check();
  }

  /** @throws as room, without waiting for anything */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    throwIfAborted(this.#signal);
  }

  /** Resolves when no save is running, however they ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
