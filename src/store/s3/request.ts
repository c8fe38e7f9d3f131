import type { S3Client } from '@aws-sdk/client-s3';
import { TarnError } from '../../util/errors.js';
import type { BucketPut } from '../bucket/bucket.js';
import { WRITER_METADATA } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { withoutQuotes } from '../bucket/read-body.js';
import type { S3Settings } from './client.js';

/** Where an object is sent in parts. */
export interface PartsPlace {
  readonly client: S3Client;
  readonly bucket: string;
  readonly settings: S3Settings;
  readonly doing: Doing;
}

export function sending(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

export function conditions(options: BucketPut): { IfNoneMatch?: '*'; IfMatch?: string } {
  const { ifNoneMatch, ifMatch } = options;
  return {
    ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
    ...(ifMatch === undefined ? {} : { IfMatch: quoted(ifMatch) }),
  };
}

export function writerMetadata({ writer }: BucketPut): { Metadata?: Record<string, string> } {
  return writer === undefined ? {} : { Metadata: { [WRITER_METADATA]: writer } };
}

/** @throws TarnError unsupported */
export function etagOf(etag: string | undefined, { url }: Doing): string {
  if (etag !== undefined) return withoutQuotes(etag);
  throw new TarnError('unsupported', `the store of '${url}' tells no ETag`, {
    hint: 'tarn needs a store that tells the ETag of each object',
  });
}

export function quoted(etag: string): string {
  return etag.startsWith('W/') ? etag : `"${etag}"`;
}
