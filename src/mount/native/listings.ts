import { andThen, isPromise, type MaybePromise } from '../../util/async.js';
import type { Errno, Filesystem, Handle } from '../../vfs/filesystem.js';
import { isLiving } from '../../vfs/living.js';
import { ListingEncoder, type Presentation } from './encode.js';

/** Encoders kept for the next listing; more exist only while so many are being filled. */
const FREE_MAX = 4;
/** Listings made ahead at one time, each of the size that the kernel last asked for. */
const AHEAD_MAX = 8;

/** What the kernel asks for. */
export interface ListingRequest {
  readonly handle: Handle;
  readonly offset: number;
  /** Bytes in the reply at most. */
  readonly size: number;
  /** With attributes. */
  readonly plus: boolean;
}

/** A reply that is filled once `done` has settled; to be given back by `free`. */
export interface Listing {
  readonly request: ListingRequest;
  readonly encoder: ListingEncoder;
  readonly done: MaybePromise<undefined | Errno>;
}

/**
 * The listings of one mount. Of a frozen filesystem the next part of a directory is made ahead,
 * while the caller still works on the last one, so that the two take turns on different cores.
 */
export class Listings {
  readonly #fs: Filesystem;
  readonly #show: Presentation;
  readonly #free: ListingEncoder[] = [];
  readonly #ahead = new Map<Handle, Listing>();
  /** What came of opening directories whose opening was answered before it was done. */
  readonly #opened = new Map<Handle, MaybePromise<undefined | Errno>>();

  constructor(fs: Filesystem, show: Presentation) {
    this.#fs = fs;
    this.#show = show;
  }

  /** The handle may be listed once `opening` has settled, or gives its error; until it is dropped. */
  opened(handle: Handle, opening: MaybePromise<undefined | Errno>): void {
    if (opening === undefined) return;
    this.#opened.set(handle, opening);
    // A fault shows when the directory is listed.
    if (isPromise(opening)) opening.catch(() => undefined);
  }

  /** Begins to fill a reply, or takes the one that was made ahead. */
  start(request: ListingRequest, signal: AbortSignal): Listing {
    const ahead = this.#ahead.get(request.handle);
    if (ahead === undefined) return this.#begin(request, signal);
    this.#ahead.delete(request.handle);
    const { offset, size, plus } = ahead.request;
    if (offset === request.offset && size === request.size && plus === request.plus) return ahead;
    this.#freeLater(ahead);
    return this.#begin(request, signal);
  }

  /** Begins the listing that follows a full one; undefined when none may be made ahead. */
  startNext({ request, encoder }: Listing, signal: AbortSignal): Listing | undefined {
    const { handle } = request;
    const isWanted = this.#fs.frozen && encoder.isFull && !this.#ahead.has(handle);
    if (!isWanted || this.#ahead.size >= AHEAD_MAX) return undefined;
    const next = this.#begin({ ...request, offset: encoder.next }, signal);
    this.#ahead.set(handle, next);
    return next;
  }

  free(encoder: ListingEncoder): void {
    if (this.#free.length < FREE_MAX) this.#free.push(encoder);
  }

  /** Gives up what is kept for a handle that is closed. */
  drop(handle: Handle): void {
    this.#opened.delete(handle);
    const ahead = this.#ahead.get(handle);
    if (ahead === undefined) return;
    this.#ahead.delete(handle);
    this.#freeLater(ahead);
  }

  #begin(request: ListingRequest, signal: AbortSignal): Listing {
    const encoder = this.#free.pop() ?? new ListingEncoder(this.#show);
    encoder.reset(request.size, request.plus);
    const { handle } = request;
    const done = andThen(
      this.#opened.get(handle),
      (refused) => refused ?? this.#fill(request, encoder, signal),
    );
    return { request, encoder, done };
  }

  #fill(
    { handle, offset }: ListingRequest,
    encoder: ListingEncoder,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return isLiving(this.#fs)
      ? this.#fs.readdirNodes(handle, offset, encoder, signal)
      : this.#fs.readdir(handle, offset, encoder, signal);
  }

  #freeLater({ encoder, done }: Listing): void {
    if (!isPromise(done)) return this.free(encoder);
    const settled = (): void => this.free(encoder);
    done.then(settled, settled);
  }
}
