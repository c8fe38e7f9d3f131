import type { ObjectStore } from '../store/object-store.js';
import type { RefStore } from '../store/ref-store.js';
import type { BucketUrl } from '../store/storage-url.js';
import { TarnError } from '../util/errors.js';

/** Where a repository lives: its objects and its refs. */
export interface Storage {
  readonly objects: ObjectStore;
  readonly refs: RefStore;
}

export type OpenBucket = (url: BucketUrl) => Promise<ObjectStore>;

/** What REPOSITORY_KEY holds: that a namespace is a repository, and in which format. */

const VERSION = 2;

/** What REPOSITORY_KEY is called once deletion has begun; the last object to go. */
export const DELETED_KEY = 'tarn.deleted.json';

export function encodeFormat(): Buffer {
  return Buffer.from(`${JSON.stringify({ format: 'tarn repository', version: VERSION })}\n`);
}

/** @throws TarnError corrupt, unsupported when another version of tarn made it */
export function checkFormat(file: string, bytes: Uint8Array): void {
  const hint = 'restore this file from a copy of the repository';
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new TarnError('corrupt', `'${file}' is damaged: it is not JSON`, { hint, cause: error });
  }
  const { format, version } = (parsed ?? {}) as { format?: unknown; version?: unknown };
  if (format !== 'tarn repository' || !Number.isSafeInteger(version)) {
    throw new TarnError('corrupt', `'${file}' is damaged: it states no format of tarn`, { hint });
  }
  if ((version as number) < VERSION) {
    throw new TarnError(
      'unsupported',
      `'${file}' was made by a pre-release of tarn (format version ${String(version)}), which this tarn cannot read`,
      {
        hint: "get its files with the tarn that made it, and put them into one made anew with 'tarn repo create'",
      },
    );
  }
  if (version !== VERSION) {
    throw new TarnError(
      'unsupported',
      `'${file}' has the format version ${String(version)}, this tarn knows ${VERSION}`,
      { hint: 'update tarn on this machine' },
    );
  }
}
