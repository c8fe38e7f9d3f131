import { throwIfAborted } from '../../util/abort.js';
import { checkKey } from '../keys.js';
import type { ObjectInfo, Upload, UploadedObject } from '../object-store.js';
import type { ErrorKind } from '../../util/errors.js';
import { TarnError } from '../../util/errors.js';
import type { Bucket, BucketParts, BucketPut, BucketTag } from './bucket.js';
import { Spool } from './spool.js';

/** A longer object is sent in parts. */
export const SINGLE_PUT_BYTES_MAX = 16_777_216;

export interface UploadPlace {
  readonly bucket: Bucket;
  /** What the bucket calls the store's key. */
  readonly place: (key: string) => string;
  readonly head: (key: string, signal?: AbortSignal) => Promise<ObjectInfo | undefined>;
  /** Where the bytes are kept until the key is known. */
  readonly directory: string;
}

/**
 * An upload to a key that is known last.
 *
 * `finish` promises that the object is there whole under its key, durable, or not at all; that one
 * which is there is kept; and that a crash leaves nothing visible. No cloud renames objects: parts
 * sent under a temporary key would have to be copied, which costs the store another writing of all
 * bytes and leaves objects behind when the process dies. So the bytes wait on this machine, and are
 * then sent once, many parts at a time, to where they belong; not at all if the object is there. Parts
 * of an upload that was interrupted stay there, for whoever sends the same object again.
 */
export class BucketUpload implements Upload {
  readonly #to: UploadPlace;
  readonly #signal: AbortSignal | undefined;
  readonly #spool: Spool;

  constructor(to: UploadPlace, signal: AbortSignal | undefined) {
    this.#to = to;
    this.#signal = signal;
    this.#spool = new Spool(to.directory);
  }

  async write(bytes: Uint8Array): Promise<void> {
    throwIfAborted(this.#signal);
    await this.#spool.write(bytes);
  }

  async finish(key: string, { replace = false } = {}): Promise<UploadedObject> {
    try {
      throwIfAborted(this.#signal);
      checkKey(key);
      return await this.#send(key, replace);
    } finally {
      await this.#spool.close();
    }
  }

  async abort(): Promise<void> {
    await this.#spool.close();
  }

  async #send(key: string, replace: boolean): Promise<UploadedObject> {
    const { size } = this.#spool;
    const isLarge = size > SINGLE_PUT_BYTES_MAX;
    const kept = isLarge && !replace ? await this.#to.head(key, this.#signal) : undefined;
    if (kept !== undefined) return { ...kept, created: false };
    const options: BucketPut = {
      ...(replace ? {} : { ifNoneMatch: '*' as const }),
      signal: this.#signal,
    };
    try {
      const { etag } = await (isLarge
        ? this.#sendParts(key, size, options)
        : this.#to.bucket.put(this.#to.place(key), await this.#spool.read(0, size), options));
      return { key, size, etag, created: true };
    } catch (error) {
      if (replace || !is(error, 'conflict')) throw error;
      const there = await this.#to.head(key, this.#signal);
      if (there === undefined) throw error;
      return { ...there, created: false };
    }
  }

  async #sendParts(key: string, size: number, options: BucketPut): Promise<BucketTag> {
    try {
      return await this.#sendAll(key, size, options);
    } catch (error) {
      if (!is(error, 'not-found')) throw error;
      // Somebody has gone on with the same upload meanwhile, and completed it or given it up.
      const there = await this.#to.head(key, this.#signal);
      return there ?? (await this.#sendAll(key, size, { ...options, isAnew: true }));
    }
  }

  async #sendAll(key: string, size: number, options: BucketPut): Promise<BucketTag> {
    const parts = await this.#to.bucket.startParts(this.#to.place(key), size, options);
    try {
      await this.#putAll(parts, size);
      return await parts.complete(this.#signal);
    } catch (error) {
      const isInterrupted = is(error, 'aborted') || is(error, 'unavailable');
      // What could not be aborted is invisible, and ends by the bucket's rule for such uploads.
      if (!parts.isResumable || !isInterrupted) await parts.abort().catch(() => undefined);
      throw error;
    }
  }

  async #putAll(parts: BucketParts, size: number): Promise<void> {
    const { partBytes, atOnce } = parts;
    const stop = new AbortController();
    const signal =
      this.#signal === undefined ? stop.signal : AbortSignal.any([this.#signal, stop.signal]);
    let next = 0;
    const send = async (): Promise<void> => {
      while (next * partBytes < size) {
        const index = next;
        next += 1;
        const start = index * partBytes;
        const bytes = await this.#spool.read(start, Math.min(size, start + partBytes));
        await parts.put(index, bytes, signal);
      }
    };
    const senders = Array.from({ length: atOnce }, send);
    try {
      await Promise.all(senders);
    } catch (error) {
      stop.abort();
      await Promise.allSettled(senders);
      throw error;
    }
  }
}

function is(error: unknown, kind: ErrorKind): boolean {
  return error instanceof TarnError && error.kind === kind;
}
