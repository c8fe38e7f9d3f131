import type { ObjectInfo, ObjectStore, TaggedObject, Upload } from '../store/object-store.js';
import { TarnError } from '../util/errors.js';

/** A store that is not asked: the bottom of a cache that works offline. */
export class OfflineStore implements ObjectStore {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async get(key: string): Promise<Uint8Array> {
    throw this.#missing(`object '${key}'`);
  }

  async getTagged(key: string): Promise<TaggedObject | undefined> {
    throw this.#missing(`object '${key}'`);
  }

  async put(key: string): Promise<ObjectInfo> {
    throw this.#refused(`object '${key}'`);
  }

  async upload(): Promise<Upload> {
    throw this.#refused('an object');
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    throw this.#missing(`object '${key}'`);
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    throw this.#missing(`the list of '${prefix}'`);
    yield* [];
  }

  async delete(key: string): Promise<void> {
    throw this.#refused(`object '${key}'`);
  }

  async close(): Promise<void> {}

  #missing(what: string): TarnError {
    return new TarnError('unavailable', `${what} of '${this.url}' is not in the cache`, {
      hint: "this works offline: get what is missing with 'tarn prefetch' while there is a network, or mount without --offline",
    });
  }

  #refused(what: string): TarnError {
    return new TarnError('unavailable', `${what} cannot be written to '${this.url}' offline`, {
      hint: 'mount without --offline to change anything',
    });
  }
}
