import type { CompletedPart } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { BucketParts, BucketPut, BucketTag } from '../bucket/bucket.js';
import { s3Fault } from './faults.js';
import type { LeftUpload } from './left-upload.js';
import { findLeftUpload, isSamePart } from './left-upload.js';
import type { PartsPlace } from './request.js';
import { conditions, etagOf, sending, writerMetadata } from './request.js';

const PART_BYTES_MIN = 8_388_608;
const MIB = 1_048_576;
/** S3 takes 10,000. */
const PARTS_MAX = 9_000;
const AT_ONCE = 6;
/** Looking for what is left of a smaller object takes about as long as sending it. */
const RESUMED_BYTES_MIN = 64 * MIB;

export async function startS3Parts(
  place: PartsPlace,
  key: string,
  size: number,
  options: BucketPut,
): Promise<BucketParts> {
  const { client, bucket, settings, doing } = place;
  const isLookedFor = size >= RESUMED_BYTES_MIN && options.isAnew !== true;
  const left = isLookedFor ? await findLeftUpload(place, key, options.signal) : undefined;
  if (left !== undefined) return new S3Parts(place, key, left, size, options);
  const command = new CreateMultipartUploadCommand({
    ...settings.write,
    Bucket: bucket,
    Key: key,
    ChecksumAlgorithm: 'CRC32',
    ...writerMetadata(options),
  });
  try {
    const { UploadId = '' } = await client.send(command, sending(options.signal));
    return new S3Parts(place, key, { id: UploadId, parts: new Map() }, size, options);
  } catch (error) {
    throw s3Fault(error, doing);
  }
}

class S3Parts implements BucketParts {
  readonly partBytes: number;
  readonly atOnce = AT_ONCE;
  readonly #place: PartsPlace;
  readonly #upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string };
  readonly #options: BucketPut;
  readonly isResumable: boolean;
  /** Of an earlier upload. */
  readonly #left: LeftUpload['parts'];
  readonly #parts = new Map<number, CompletedPart>();

  constructor(
    place: PartsPlace,
    key: string,
    { id, parts }: LeftUpload,
    size: number,
    options: BucketPut,
  ) {
    this.partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX / MIB) * MIB);
    this.#place = place;
    this.#upload = { Bucket: place.bucket, Key: key, UploadId: id };
    this.#options = options;
    this.#left = parts;
    this.isResumable = size >= RESUMED_BYTES_MIN;
  }

  async put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { client, settings, doing } = this.#place;
    const number = index + 1;
    const left = this.#left.get(number);
    if (isSamePart(left, bytes)) {
      this.#parts.set(number, completed(number, left));
      return;
    }
    const command = new UploadPartCommand({
      ...settings.read,
      ...this.#upload,
      PartNumber: number,
      ChecksumAlgorithm: 'CRC32',
      Body: bytes,
    });
    try {
      this.#parts.set(number, completed(number, await client.send(command, sending(signal))));
    } catch (error) {
      throw s3Fault(error, doing);
    }
  }

  async complete(signal?: AbortSignal): Promise<BucketTag> {
    const { client, settings, doing } = this.#place;
    const parts = [...this.#parts].sort(([a], [b]) => a - b);
    const command = new CompleteMultipartUploadCommand({
      ...settings.read,
      ...this.#upload,
      ...conditions(this.#options),
      MultipartUpload: { Parts: parts.map(([, part]) => part) },
    });
    try {
      const { ETag } = await client.send(command, sending(signal));
      return { etag: etagOf(ETag, doing) };
    } catch (error) {
      throw s3Fault(error, doing);
    }
  }

  async abort(): Promise<void> {
    const { client, settings, doing } = this.#place;
    try {
      await client.send(new AbortMultipartUploadCommand({ ...settings.payer, ...this.#upload }));
    } catch (error) {
      throw s3Fault(error, doing);
    }
  }
}

function completed(
  number: number,
  { ETag, ChecksumCRC32 }: Pick<CompletedPart, 'ETag' | 'ChecksumCRC32'>,
): CompletedPart {
  const sum = ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 };
  return { PartNumber: number, ETag, ...sum };
}
