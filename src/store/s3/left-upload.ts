import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { CompletedPart, MultipartUpload } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import { withoutQuotes } from '../bucket/read-body.js';
import type { PartsPlace } from './request.js';
import { sending } from './request.js';

/** Nobody goes on with an upload to which nothing came for so long. */
const ABANDONED_MS = 7 * 86_400_000;
const LOOKED_AT_MAX = 16;

/** A part that a store has, of an upload that is not complete. */
export interface LeftPart extends CompletedPart {
  /** Bytes. */
  readonly Size?: number | undefined;
  readonly LastModified?: Date | undefined;
}

export interface LeftUpload {
  readonly id: string;
  /** By their numbers, from 1. */
  readonly parts: ReadonlyMap<number, LeftPart>;
}

/**
 * The upload of the same object that was begun last and not completed, if the store tells. Those beside
 * the object that were abandoned are aborted by the way. What fails here costs no more than sending
 * all parts again, so it is not told.
 */
export async function findLeftUpload(
  place: PartsPlace,
  key: string,
  signal: AbortSignal | undefined,
): Promise<LeftUpload | undefined> {
  const { client, bucket, settings } = place;
  try {
    const command = new ListMultipartUploadsCommand({
      ...settings.payer,
      Bucket: bucket,
      Prefix: key.slice(0, key.lastIndexOf('/') + 1),
    });
    const { Uploads = [] } = await client.send(command, sending(signal));
    const own = Uploads.filter((upload) => upload.Key === key);
    const others = Uploads.filter((upload) => upload.Key !== key && isOld(upload.Initiated));
    await abortAbandoned(place, others.slice(0, LOOKED_AT_MAX), signal);
    own.sort((a, b) => (a.Initiated?.getTime() ?? 0) - (b.Initiated?.getTime() ?? 0));
    const id = own.at(-1)?.UploadId;
    return id === undefined ? undefined : { id, parts: await partsOf(place, key, id, signal) };
  } catch {
    return undefined;
  }
}

/** Whether a part that the store has is these bytes: by what it says of them, or not at all. */
export function isSamePart(part: LeftPart | undefined, bytes: Uint8Array): part is LeftPart {
  if (part?.ETag === undefined || part.Size !== bytes.length) return false;
  if (part.ChecksumCRC32 !== undefined) return part.ChecksumCRC32 === crc32Of(bytes);
  return withoutQuotes(part.ETag) === createHash('md5').update(bytes).digest('hex');
}

function isOld(time: Date | undefined): boolean {
  return time !== undefined && Date.now() - time.getTime() > ABANDONED_MS;
}

/** Also by their parts: somebody may send one for a long time, and one without parts costs nothing. */
async function abortAbandoned(
  place: PartsPlace,
  uploads: readonly MultipartUpload[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { client, bucket, settings } = place;
  await Promise.allSettled(
    uploads.map(async ({ Key = '', UploadId = '' }) => {
      const parts = [...(await partsOf(place, Key, UploadId, signal)).values()];
      if (parts.length === 0 || !parts.every((part) => isOld(part.LastModified))) return;
      const which = { ...settings.payer, Bucket: bucket, Key, UploadId };
      const command = new AbortMultipartUploadCommand(which);
      await client.send(command, sending(signal));
    }),
  );
}

async function partsOf(
  { client, bucket, settings }: PartsPlace,
  key: string,
  id: string,
  signal: AbortSignal | undefined,
): Promise<Map<number, LeftPart>> {
  const parts = new Map<number, LeftPart>();
  for (let marker: string | undefined, isMore = true; isMore;) {
    const command: ListPartsCommand = new ListPartsCommand({
      ...settings.read,
      Bucket: bucket,
      Key: key,
      UploadId: id,
      ...(marker === undefined ? {} : { PartNumberMarker: marker }),
    });
    const page = await client.send(command, sending(signal));
    for (const part of page.Parts ?? []) parts.set(part.PartNumber ?? 0, part);
    marker = page.NextPartNumberMarker;
    isMore = page.IsTruncated === true && marker !== undefined;
  }
  return parts;
}

function crc32Of(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}
