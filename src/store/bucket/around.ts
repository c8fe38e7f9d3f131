import type { Bucket, BucketParts } from './bucket.js';

export type BucketMethod =
  'get' | 'put' | 'head' | 'list' | 'delete' | 'start' | 'part' | 'complete' | 'abort';

export interface BucketCall {
  readonly method: BucketMethod;
  /** The prefix, of a listing. */
  readonly key: string;
  /** Bytes that the request carries. */
  readonly sent: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * What is done with each request of a bucket: `run` sends it, with a signal that takes the place of
 * the call's own.
 */
export type Around = <T>(
  call: BucketCall,
  run: (signal: AbortSignal | undefined) => Promise<T>,
) => Promise<T>;

/** The bucket with something done around each of its requests. */
export function aroundBucket(inner: Bucket, around: Around): Bucket {
  const call = (
    method: BucketMethod,
    key: string,
    signal: AbortSignal | undefined,
    sent = 0,
  ): BucketCall => ({ method, key, sent, signal });
  return {
    url: inner.url,
    get: (key, options) =>
      around(call('get', key, options.signal), (signal) => inner.get(key, { ...options, signal })),
    put: (key, bytes, options) =>
      around(call('put', key, options.signal, bytes.length), (signal) =>
        inner.put(key, bytes, { ...options, signal }),
      ),
    head: (key, options) =>
      around(call('head', key, options.signal), (signal) =>
        inner.head(key, { ...options, signal }),
      ),
    list: (query) =>
      around(call('list', query.prefix, query.signal), (signal) =>
        inner.list({ ...query, signal }),
      ),
    delete: (key, given) =>
      around(call('delete', key, given), (signal) => inner.delete(key, signal)),
    startParts: async (key, size, options) => {
      const parts = await around(call('start', key, options.signal), (signal) =>
        inner.startParts(key, size, { ...options, signal }),
      );
      return aroundParts(parts, key, around);
    },
    keepsVersions: (given) =>
      around(call('list', '', given), (signal) => inner.keepsVersions(signal)),
    versionsOf: (key, given) =>
      around(call('list', key, given), (signal) => inner.versionsOf(key, signal)),
    close: () => inner.close(),
  };
}

function aroundParts(inner: BucketParts, key: string, around: Around): BucketParts {
  const call = (method: BucketMethod, signal: AbortSignal | undefined, sent = 0): BucketCall => ({
    method,
    key,
    sent,
    signal,
  });
  return {
    partBytes: inner.partBytes,
    atOnce: inner.atOnce,
    isResumable: inner.isResumable,
    put: (index, bytes, given) =>
      around(call('part', given, bytes.length), (signal) => inner.put(index, bytes, signal)),
    complete: (given) => around(call('complete', given), (signal) => inner.complete(signal)),
    abort: () => around(call('abort', undefined), () => inner.abort()),
  };
}
