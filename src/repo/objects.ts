import type { GetOptions, ObjectStore } from '../store/object-store.js';
import type { MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';

/**
 * Puts an object whose key follows from its bytes, so that one which is there already will do;
 * unless it differs, which only a damaged one can: that is replaced.
 */
export async function putNamed(
  objects: ObjectStore,
  key: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  try {
    await objects.put(key, bytes, { ...options, ifNoneMatch: '*' });
  } catch (error) {
    if (!(error instanceof TarnError) || error.kind !== 'conflict') throw error;
    const kept = await objects.get(key, options);
    if (Buffer.compare(kept, bytes) !== 0) await objects.put(key, bytes, options);
  }
}

/**
 * Reads an object and gives its bytes to `accept`, which throws where they are damaged. Damaged ones
 * that this machine had kept are read again, once, from where they lie.
 * @throws TarnError what `accept` throws, not-found, io, aborted
 */
export async function readChecked<T>(
  objects: ObjectStore,
  key: string,
  options: GetOptions,
  accept: (bytes: Uint8Array) => MaybePromise<T>,
): Promise<T> {
  const bytes = await objects.get(key, options);
  try {
    return await accept(bytes);
  } catch (error) {
    if (!isDamage(error) || objects.forget?.(key) !== true) throw error;
    return accept(await objects.get(key, options));
  }
}

export function isDamage(error: unknown): boolean {
  return error instanceof TarnError && error.kind === 'corrupt';
}
