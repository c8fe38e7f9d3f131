import type {
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TaggedObject,
  Upload,
} from '../../src/store/object-store.js';

export interface Request {
  readonly call: 'get' | 'head' | 'list' | 'tagged' | 'put' | 'delete';
  readonly key: string;
  /** Bytes that were answered. */
  bytes: number;
}

/**
 * A store as it looks over a network: no local paths, nothing at once, and every request is counted,
 * can be held up, answered wrongly or refused.
 */
export class FarStore implements ObjectStore {
  readonly url: string;
  readonly requests: Request[] = [];
  /** Requests that are under way now, and most so far. */
  underWay = 0;
  underWayMost = 0;
  /** What each request waits for. */
  hold: ((request: Request) => Promise<void> | void) | undefined;
  /** What becomes of bytes on their way. */
  alter: ((key: string, bytes: Uint8Array) => Uint8Array) | undefined;
  readonly #inner: ObjectStore;

  constructor(inner: ObjectStore, url = 'far://bucket/tarn') {
    this.#inner = inner;
    this.url = url;
  }

  get bytes(): number {
    return this.requests.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Requests since the last time, and none from now on. */
  taken(): Request[] {
    return this.requests.splice(0);
  }

  get(key: string, options?: GetOptions): Promise<Uint8Array> {
    return this.#request('get', key, async (request) => {
      const bytes = await this.#inner.get(key, options);
      request.bytes = bytes.length;
      return this.alter?.(key, bytes) ?? bytes;
    });
  }

  getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    return this.#request('tagged', key, () => this.#inner.getTagged(key, signal));
  }

  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    return this.#request('put', key, () => this.#inner.put(key, bytes, options));
  }

  upload(signal?: AbortSignal): Promise<Upload> {
    return this.#inner.upload(signal);
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    return this.#request('head', key, () => this.#inner.head(key, signal));
  }

  async *list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    await this.#request('list', prefix, async () => undefined);
    yield* this.#inner.list(prefix, options);
  }

  delete(key: string, signal?: AbortSignal): Promise<void> {
    return this.#request('delete', key, () => this.#inner.delete(key, signal));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #request<T>(
    call: Request['call'],
    key: string,
    answer: (request: Request) => Promise<T>,
  ): Promise<T> {
    const request = { call, key, bytes: 0 };
    this.requests.push(request);
    this.underWay += 1;
    this.underWayMost = Math.max(this.underWayMost, this.underWay);
    try {
      await this.hold?.(request);
      return await answer(request);
    } finally {
      this.underWay -= 1;
    }
  }
}
