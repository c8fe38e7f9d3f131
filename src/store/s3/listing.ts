import { buffer } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import type {
  ListObjectsV2CommandInput,
  ListObjectsV2CommandOutput,
  S3Client,
} from '@aws-sdk/client-s3';
import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { DeserializeMiddleware } from '@smithy/types';
import type { BucketObject, BucketPage, BucketQuery } from '../bucket/bucket.js';
import { withoutQuotes } from '../bucket/read-body.js';
import { TarnError } from '../../util/errors.js';
import type { S3Payer } from './client.js';
import type { Fields, ListingXml } from './listing-xml.js';
import { readListingXml } from './listing-xml.js';
import { sending } from './request.js';

const OK = 200;

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
  const { fields, items, prefixes } = await listing(client, command, signal);
  const read = readerOf(fields);
  return {
    objects: items.map((item) => objectOf(item, read)),
    prefixes: prefixes.map(read),
    next: fields['IsTruncated'] === 'true' ? fields['NextContinuationToken'] : undefined,
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
  const { fields, items, prefixes } = await listing(client, command, signal);
  const read = readerOf(fields);
  const newest = items.filter(({ IsLatest }) => IsLatest === 'true');
  const { IsTruncated, NextKeyMarker = '', NextVersionIdMarker = '' } = fields;
  return {
    objects: newest.map((item) => objectOf(item, read)),
    prefixes: prefixes.map(read),
    next:
      IsTruncated === 'true'
        ? JSON.stringify([read(NextKeyMarker), NextVersionIdMarker])
        : undefined,
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
  const { fields, items } = await listing(client, command, signal);
  const read = readerOf(fields);
  return items.map((item) => objectOf(item, read)).filter((found) => found.key === key);
}

/** What the SDK reads in place of what was read here. */
const EMPTY_LISTING = Buffer.from('<ListBucketResult/>');

async function listing(
  client: S3Client,
  asked: ListObjectsV2Command | ListObjectVersionsCommand,
  signal: AbortSignal | undefined,
): Promise<ListingXml> {
  const item = asked instanceof ListObjectsV2Command ? 'Contents' : 'Version';
  // What the SDK reads of the answer is not looked at, so the kind does not matter.
  const command: ListObjectsV2Command = asked;
  let found: ListingXml | undefined;
  const reading: DeserializeMiddleware<ListObjectsV2CommandInput, ListObjectsV2CommandOutput> =
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { statusCode: number; body: Readable };
      if (response.statusCode !== OK) return result;
      found = readListingXml((await buffer(response.body)).toString(), item);
      return { ...result, response: { ...response, body: EMPTY_LISTING } };
    };
  command.middlewareStack.addRelativeTo(reading, {
    relation: 'after',
    toMiddleware: 'deserializerMiddleware',
    name: 'readListing',
  });
  await client.send(command, sending(signal));
  if (found === undefined) throw new TarnError('internal', 'a listing was not read');
  return found;
}

function markersOf(next: string): [string, string] {
  return JSON.parse(next) as [string, string];
}

function objectOf(item: Fields, read: (text: string) => string): BucketObject {
  const { Key = '', Size = '0', ETag = '', LastModified, StorageClass, VersionId } = item;
  return {
    key: read(Key),
    size: Number(Size),
    etag: withoutQuotes(ETag),
    mtimeMs: LastModified === undefined ? 0 : Date.parse(LastModified),
    ...(StorageClass === undefined ? {} : { storageClass: StorageClass }),
    ...(VersionId === undefined || VersionId === 'null' ? {} : { version: VersionId }),
  };
}

function readerOf({ EncodingType }: Fields): (text: string) => string {
  return EncodingType === 'url' ? urlDecoded : asItIs;
}

function asItIs(text: string): string {
  return text;
}

/** As in a form: a blank is `+`. XML could not carry the control characters that keys may have. */
function urlDecoded(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}
