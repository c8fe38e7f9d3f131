import type {
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TaggedObject,
  Upload,
} from '../../src/store/object-store.js';

export type StoreCall = 'get' | 'put' | 'upload' | 'write' | 'finish' | 'head' | 'list' | 'delete';

/** Tells of every call before it goes on, so that a test can count, delay or fail it. */
export class WatchedStore implements ObjectStore {
  readonly url: string;
  readonly localPath?: (key: string) => string;
  readonly #inner: ObjectStore;
  readonly #before: (call: StoreCall, key: string) => Promise<void> | void;

  constructor(inner: ObjectStore, before: (call: StoreCall, key: string) => Promise<void> | void) {
    this.url = inner.url;
    this.#inner = inner;
    this.#before = before;
    if (inner.localPath !== undefined) this.localPath = (key) => inner.localPath?.(key) ?? '';
  }

  async get(key: string, options?: GetOptions): Promise<Uint8Array> {
    await this.#before('get', key);
    return this.#inner.get(key, options);
  }

  async getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    await this.#before('get', key);
    return this.#inner.getTagged(key, signal);
  }

  async put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    await this.#before('put', key);
    return this.#inner.put(key, bytes, options);
  }

  async upload(signal?: AbortSignal): Promise<Upload> {
    await this.#before('upload', '');
    const upload = await this.#inner.upload(signal);
    return {
      write: async (bytes) => {
        await this.#before('write', '');
        await upload.write(bytes);
      },
      finish: async (key) => {
        try {
          await this.#before('finish', key);
        } catch (error) {
          await upload.abort();
          throw error;
        }
        return upload.finish(key);
      },
      abort: () => upload.abort(),
    };
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    await this.#before('head', key);
    return this.#inner.head(key, signal);
  }

  async *list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    await this.#before('list', prefix);
    yield* this.#inner.list(prefix, options);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.#before('delete', key);
    await this.#inner.delete(key, signal);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
