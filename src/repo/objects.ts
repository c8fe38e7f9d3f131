import type { ObjectStore } from '../store/object-store.js';
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
