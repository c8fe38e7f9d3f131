import { contentHash } from '../model/ids.js';
import type { ContentId } from '../model/ids.js';
import type { ObjectStore } from '../store/object-store.js';
import { isPromise } from '../util/async.js';
import { hashBytes, shortObject, wrongBytes } from './content-verify.js';
import { manifestKey } from './layout.js';
import { decodeManifest, manifestBytes } from './manifest.js';
import type { Manifest } from './manifest.js';
import { readChecked } from './objects.js';

/**
 * The manifest of a content of more than one block, checked against its id.
 * @param size that the file is thought to have
 * @throws TarnError not-found, corrupt, unsupported, io
 */
export async function readManifest(
  objects: ObjectStore,
  id: ContentId,
  size: number,
): Promise<Manifest> {
  const key = manifestKey(id);
  const length = manifestBytes(size);
  // One byte more than it may have, so that a longer one is noticed without reading it all.
  const options = { range: { offset: 0, length: length + 1 } };
  return readChecked(objects, key, options, async (bytes) => {
    if (bytes.length < length) throw shortObject(key, length, bytes.length);
    const hashing = hashBytes(bytes);
    const actual = isPromise(hashing) ? await hashing : hashing;
    if (actual !== contentHash(id)) throw wrongBytes(key, 'its bytes', actual, contentHash(id));
    return decodeManifest(bytes, key);
  });
}
