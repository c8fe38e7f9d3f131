import type { NodeId } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import type { NodeStore } from '../tree/nodes.js';
import { TarnError } from '../util/errors.js';
import { nodeKey } from './layout.js';

/** Tree nodes as objects. What is loaded is verified by the tree, which decodes it. */
export class ObjectNodeStore implements NodeStore {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  load(id: NodeId, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#objects.get(nodeKey(id), signal === undefined ? {} : { signal });
  }

  save(id: NodeId, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return putNamed(this.#objects, nodeKey(id), bytes, signal);
  }
}

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
