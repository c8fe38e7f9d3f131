import type { BucketObject, BucketPut } from '../bucket/bucket.js';
import { WRITER_METADATA } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { conflictFault } from '../bucket/faults.js';

/** What the JSON API tells of an object. */
export interface Resource {
  readonly name: string;
  readonly size?: string;
  readonly generation?: string;
  /** Base64; of what was sent in one piece, or by a resumable upload. */
  readonly md5Hash?: string;
  readonly updated?: string;
  readonly storageClass?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export const OBJECT_FIELDS = 'name,size,generation,updated,storageClass';

export function objectOf(found: Resource, withVersion: boolean): BucketObject {
  const { name, size, generation = '', updated, storageClass, metadata } = found;
  const writer = metadata?.[WRITER_METADATA];
  return {
    key: name,
    size: Number(size ?? 0),
    etag: generation,
    mtimeMs: updated === undefined ? 0 : Date.parse(updated),
    ...(withVersion ? { version: generation } : {}),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(writer === undefined ? {} : { writer }),
  };
}

/** @throws TarnError conflict: no generation has such a name */
export function generationCondition(
  { ifMatch, ifNoneMatch }: Pick<BucketPut, 'ifMatch' | 'ifNoneMatch'>,
  doing: Doing,
): Record<string, string> {
  if (ifNoneMatch !== undefined) return { ifGenerationMatch: '0' };
  if (ifMatch === undefined) return {};
  if (!/^[1-9]\d*$/.test(ifMatch)) throw conflictFault(doing);
  return { ifGenerationMatch: ifMatch };
}
