import { ObjectRefStore } from '../store/object-refs/object-ref-store.js';
import type { ObjectStore } from '../store/object-store.js';
import { PROBE_PREFIX, requireConditionalWrites } from '../store/probe.js';
import type { BucketUrl } from '../store/storage-url.js';
import { shortStorageUrl } from '../store/storage-url.js';
import { asTarnError, TarnError } from '../util/errors.js';
import { printable } from '../util/printable.js';
import { inGroups } from '../util/async.js';
import { REPOSITORY_KEY, STORED_PREFIXES } from './layout.js';
import type { OpenBucket, Storage } from './storage-format.js';
import { checkFormat, DELETED_KEY, encodeFormat } from './storage-format.js';

/** What an interrupted create may have left, and at most so many objects of it. */
const UNFINISHED = ['trees/', 'commits/', 'refs/'];
const UNFINISHED_MAX = 16;
const DELETED_AT_ONCE = 32;

/** Of a repository that is made in a bucket, or whose making was cut short. */
export async function createBucket(url: BucketUrl, open: OpenBucket): Promise<Storage> {
  const objects = await open(url);
  try {
    await checkEmpty(url, objects);
    await checkOutside(url, open);
    await requireConditionalWrites(objects);
    return { objects, refs: new ObjectRefStore(objects) };
  } catch (error) {
    await objects.close();
    throw error;
  }
}

/** @param isKnown as StorageOptions */
export async function openBucketStorage(
  url: BucketUrl,
  open: OpenBucket,
  isKnown: boolean,
): Promise<Storage> {
  const objects = await open(url);
  let isChecked = false;
  const check = async (signal?: AbortSignal): Promise<void> => {
    if (isChecked) return;
    const found = await objects.getTagged(REPOSITORY_KEY, signal);
    if (found === undefined) throw await notRepository(url, objects);
    checkFormat(`${shortStorageUrl(url)}/${REPOSITORY_KEY}`, found.bytes);
    isChecked = true;
  };
  try {
    if (!isKnown) await check();
    return { objects, refs: new ObjectRefStore(objects, check) };
  } catch (error) {
    await objects.close();
    throw error;
  }
}

/** Only what tarn stores is deleted, whatever else lies below the prefix. */
export async function deleteBucket(url: BucketUrl, open: OpenBucket): Promise<void> {
  const objects = await open(url);
  try {
    await deleteObjects(url, objects);
  } finally {
    await objects.close();
  }
}

async function deleteObjects(url: BucketUrl, objects: ObjectStore): Promise<void> {
  const isBegun = (await objects.head(DELETED_KEY)) !== undefined;
  if (!isBegun && (await objects.head(REPOSITORY_KEY)) === undefined) {
    throw await notRepository(url, objects);
  }
  // First what makes it a repository, so that none is ever half there; what says that deletion has
  // begun is there before that, and stays to the last.
  await objects.put(DELETED_KEY, encodeFormat());
  await objects.delete(REPOSITORY_KEY);
  for (const prefix of STORED_PREFIXES) {
    for await (const infos of inGroups(objects.list(prefix), DELETED_AT_ONCE)) {
      await Promise.all(infos.map(({ key }) => objects.delete(key)));
    }
  }
  await objects.delete(DELETED_KEY);
}

async function checkEmpty(url: BucketUrl, objects: ObjectStore): Promise<void> {
  const place = shortStorageUrl(url);
  if ((await objects.head(REPOSITORY_KEY)) !== undefined) throw takenBy(place);
  let unfinished = 0;
  for await (const { key } of objects.list('')) {
    if (key.startsWith(PROBE_PREFIX)) continue;
    unfinished += 1;
    const isOwn = UNFINISHED.some((prefix) => key.startsWith(prefix));
    if (isOwn && unfinished <= UNFINISHED_MAX) continue;
    throw new TarnError('exists', `'${place}' is not empty: it holds '${printable(key)}'`, {
      hint: 'choose a prefix below which there is nothing yet',
    });
  }
}

/** A repository does not lie inside of another one, which could delete it. */
async function checkOutside({ prefix, ...bucket }: BucketUrl, open: OpenBucket): Promise<void> {
  const components = prefix.split('/');
  const outer = components
    .map((_, i) => components.slice(0, i).join('/'))
    .slice(prefix === '' ? 1 : 0);
  await Promise.all(
    outer.map(async (parent) => {
      const url = { ...bucket, prefix: parent };
      const objects = await open(url);
      try {
        if ((await objects.head(REPOSITORY_KEY)) === undefined) return;
      } catch (error) {
        // What may not be looked at is somebody else's.
        if (asTarnError(error).kind === 'denied') return;
        throw error;
      } finally {
        await objects.close();
      }
      throw new TarnError('exists', `'${shortStorageUrl(url)}' is a repository`, {
        hint: 'choose a prefix that is not inside of another repository',
      });
    }),
  );
}

function takenBy(place: string): TarnError {
  return new TarnError('exists', `'${place}' holds a repository already`, {
    hint: `choose another prefix; or make that one known with 'tarn repo add ${place}'`,
  });
}

async function notRepository(url: BucketUrl, objects: ObjectStore): Promise<TarnError> {
  const place = shortStorageUrl(url);
  if ((await objects.head(DELETED_KEY)) !== undefined) {
    return new TarnError('not-found', `the repository in '${place}' was being deleted`, {
      hint: "finish that by running 'tarn repo delete' again",
    });
  }
  for await (const { key } of objects.list('refs/')) {
    return new TarnError(
      'corrupt',
      `the object '${REPOSITORY_KEY}' is missing in '${place}', which has '${key}'`,
      {
        hint: 'restore it from an earlier version or a copy of the bucket; or, if creating the repository was interrupted, create it again',
      },
    );
  }
  return new TarnError('not-found', `there is no repository in '${place}'`, {
    hint: `is the prefix right? 'tarn repo create NAME --storage ${place}' makes one`,
  });
}
