import type { MaybePromise } from '../util/async.js';
import type { Errno, Handle } from '../vfs/filesystem.js';
import type { NodeNotes } from '../vfs/notes.js';
import { Listing, type TakeName } from './listing.js';
import type { NodeMemory } from './node-memory.js';
import type { Node } from './nodes.js';

/** The open directories of one mount. */
export class OpenListings {
  /** Told of how far each has come. */
  notes: NodeNotes | undefined;
  readonly #memory: NodeMemory;
  readonly #listings = new Map<Handle, { readonly node: Node; readonly listing: Listing }>();

  constructor(memory: NodeMemory) {
    this.#memory = memory;
  }

  /** @param mark of a listing that an earlier process has begun */
  open(handle: Handle, node: Node, mark: number | undefined): void {
    this.#memory.use(node);
    const note = (last: number): void => this.notes?.listing(handle, last);
    this.#listings.set(handle, { node, listing: new Listing(this.#memory, node, note, mark) });
  }

  has(handle: Handle): boolean {
    return this.#listings.has(handle);
  }

  fill(
    handle: Handle,
    offset: number,
    take: TakeName,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    const open = this.#listings.get(handle);
    return open === undefined ? 'EBADF' : open.listing.fill(offset, take, signal);
  }

  release(handle: Handle): void {
    const open = this.#listings.get(handle);
    if (open === undefined) return;
    this.#listings.delete(handle);
    this.notes?.listing(handle, undefined);
    this.#memory.unuse(open.node);
  }

  releaseAll(): void {
    for (const handle of [...this.#listings.keys()]) this.release(handle);
  }
}
