import type { S3Client } from '@aws-sdk/client-s3';
import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { BucketObject, BucketPage, BucketQuery } from '../bucket/bucket.js';
import { withoutQuotes } from '../bucket/read-body.js';
import type { S3Payer } from './client.js';

interface Item {
  readonly Key?: string | undefined;
  readonly Size?: number | undefined;
  readonly ETag?: string | undefined;
  readonly LastModified?: Date | undefined;
  readonly StorageClass?: string | undefined;
  readonly VersionId?: string | undefined;
}

export async function listPage(
  client: S3Client,
  bucket: string,
  query: BucketQuery,
  payer: S3Payer,
): Promise<BucketPage> {
  const { prefix, after, next, grouped, limit, signal } = query;
  const command = new ListObjectsV2Command({
    Bucket: bucket,
    Prefix: prefix,
    EncodingType: 'url',
    ...(next !== undefined ? { ContinuationToken: next } : {}),
    ...(next === undefined && after !== undefined && after !== '' ? { StartAfter: after } : {}),
    ...(grouped === true ? { Delimiter: '/' } : {}),
    ...(limit === undefined ? {} : { MaxKeys: limit }),
    ...payer,
  });
  const output = await client.send(command, signal === undefined ? {} : { abortSignal: signal });
  const read = output.EncodingType === 'url' ? urlDecoded : asItIs;
  return {
    objects: (output.Contents ?? []).map((item) => objectOf(item, read)),
    prefixes: (output.CommonPrefixes ?? []).map(({ Prefix = '' }) => read(Prefix)),
    next: output.IsTruncated === true ? output.NextContinuationToken : undefined,
  };
}

/** Only the newest version of each object; a deleted one is not told. */
export async function listVersions(
  client: S3Client,
  bucket: string,
  query: BucketQuery,
  payer: S3Payer,
): Promise<BucketPage> {
  const { prefix, after, next, grouped, limit, signal } = query;
  const [keyMarker, versionMarker] = next === undefined ? [after] : markersOf(next);
  const command = new ListObjectVersionsCommand({
    Bucket: bucket,
    Prefix: prefix,
    EncodingType: 'url',
    ...(keyMarker === undefined || keyMarker === '' ? {} : { KeyMarker: keyMarker }),
    ...(versionMarker === undefined ? {} : { VersionIdMarker: versionMarker }),
    ...(grouped === true ? { Delimiter: '/' } : {}),
    ...(limit === undefined ? {} : { MaxKeys: limit }),
    ...payer,
  });
  const output = await client.send(command, signal === undefined ? {} : { abortSignal: signal });
  const read = output.EncodingType === 'url' ? urlDecoded : asItIs;
  const newest = (output.Versions ?? []).filter(({ IsLatest }) => IsLatest === true);
  const { IsTruncated, NextKeyMarker = '', NextVersionIdMarker = '' } = output;
  return {
    objects: newest.map((item) => objectOf(item, read)),
    prefixes: (output.CommonPrefixes ?? []).map(({ Prefix = '' }) => read(Prefix)),
    next:
      IsTruncated === true ? JSON.stringify([read(NextKeyMarker), NextVersionIdMarker]) : undefined,
  };
}

/** As far as the first page of them tells. */
export async function objectVersions(
  client: S3Client,
  bucket: string,
  key: string,
  payer: S3Payer,
  signal: AbortSignal | undefined,
): Promise<BucketObject[]> {
  const command = new ListObjectVersionsCommand({
    Bucket: bucket,
    Prefix: key,
    EncodingType: 'url',
    ...payer,
  });
  const output = await client.send(command, signal === undefined ? {} : { abortSignal: signal });
  const read = output.EncodingType === 'url' ? urlDecoded : asItIs;
  return (output.Versions ?? [])
    .map((item) => objectOf(item, read))
    .filter((found) => found.key === key);
}

function markersOf(next: string): [string, string] {
  return JSON.parse(next) as [string, string];
}

function objectOf(item: Item, read: (text: string) => string): BucketObject {
  const { Key = '', Size = 0, ETag = '', LastModified, StorageClass, VersionId } = item;
  return {
    key: read(Key),
    size: Size,
    etag: withoutQuotes(ETag),
    mtimeMs: LastModified?.getTime() ?? 0,
    ...(StorageClass === undefined ? {} : { storageClass: StorageClass }),
    ...(VersionId === undefined || VersionId === 'null' ? {} : { version: VersionId }),
  };
}

function asItIs(text: string): string {
  return text;
}

/** As in a form: a blank is `+`. XML could not carry the control characters that keys may have. */
function urlDecoded(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}
