import { throwIfAborted } from '../util/abort.js';
import { TarnError } from '../util/errors.js';
import { checkKey, checkPrefix } from './keys.js';
import { cutRange } from './object-store.js';
import type {
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TaggedObject,
  Upload,
} from './object-store.js';

/** Objects in this process's memory, for tests: as durable as the process. */
export class MemoryStore implements ObjectStore {
  readonly url = 'memory:';
  readonly #objects = new Map<string, TaggedObject>();
  #puts = 0;

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    checkKey(key);
    throwIfAborted(options.signal);
    const found = this.#objects.get(key);
    if (found === undefined) {
      throw new TarnError('not-found', `object '${key}' is missing in '${this.url}'`);
    }
    const size = found.bytes.length;
    const { offset, length } = cutRange(options.range ?? { offset: 0, length: size }, size);
    return found.bytes.slice(offset, offset + length);
  }

  async getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    checkKey(key);
    throwIfAborted(signal);
    const found = this.#objects.get(key);
    return found && { bytes: Uint8Array.from(found.bytes), etag: found.etag };
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    checkKey(key);
    throwIfAborted(options.signal);
    const found = this.#objects.get(key);
    const taken = options.ifNoneMatch !== undefined && found !== undefined;
    const changed = options.ifMatch !== undefined && found?.etag !== options.ifMatch;
    if (taken || changed) {
      throw new TarnError('conflict', `object '${key}' in '${this.url}' is not as expected`);
    }
    this.#puts += 1;
    const etag = String(this.#puts);
    this.#objects.set(key, { bytes: Uint8Array.from(bytes), etag });
    return { key, size: bytes.length, etag };
  }

  async upload(signal?: AbortSignal): Promise<Upload> {
    throwIfAborted(signal);
    const parts: Uint8Array[] = [];
    return {
      write: async (bytes) => {
        throwIfAborted(signal);
        parts.push(Uint8Array.from(bytes));
      },
      finish: async (key, { replace = false } = {}) => {
        throwIfAborted(signal);
        const kept = await this.head(key);
        if (kept !== undefined && !replace) return { ...kept, created: false };
        return { ...(await this.put(key, Buffer.concat(parts))), created: true };
      },
      abort: async () => {
        parts.length = 0;
      },
    };
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkKey(key);
    throwIfAborted(signal);
    const found = this.#objects.get(key);
    return found && { key, size: found.bytes.length, etag: found.etag };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const { after = '', signal } = options;
    throwIfAborted(signal);
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && key > after);
    for (const key of keys.sort()) {
      const info = await this.head(key, signal);
      if (info !== undefined) yield info;
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    checkKey(key);
    throwIfAborted(signal);
    this.#objects.delete(key);
  }

  async close(): Promise<void> {}
}
