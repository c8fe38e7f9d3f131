import type { CompletedPart, S3Client } from '@aws-sdk/client-s3';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { BucketParts, BucketPut, BucketTag } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import type { S3Settings } from './client.js';
import { s3Fault } from './faults.js';
import { conditions, etagOf, sending, writerMetadata } from './request.js';

const PART_BYTES_MIN = 8_388_608;
const MIB = 1_048_576;
/** S3 takes 10,000. */
const PARTS_MAX = 9_000;
const AT_ONCE = 6;

export interface PartsPlace {
  readonly client: S3Client;
  readonly bucket: string;
  readonly settings: S3Settings;
  readonly doing: Doing;
}

export async function startS3Parts(
  place: PartsPlace,
  key: string,
  size: number,
  options: BucketPut,
): Promise<BucketParts> {
  const { client, bucket, settings, doing } = place;
  const command = new CreateMultipartUploadCommand({
    ...settings.write,
    Bucket: bucket,
    Key: key,
    ChecksumAlgorithm: 'CRC32',
    ...writerMetadata(options),
  });
  try {
    const { UploadId = '' } = await client.send(command, sending(options.signal));
    return new S3Parts(place, key, UploadId, size, options);
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
  readonly #parts = new Map<number, CompletedPart>();

  constructor(place: PartsPlace, key: string, id: string, size: number, options: BucketPut) {
    this.partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX / MIB) * MIB);
    this.#place = place;
    this.#upload = { Bucket: place.bucket, Key: key, UploadId: id };
    this.#options = options;
  }

  async put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { client, settings, doing } = this.#place;
    const number = index + 1;
    const command = new UploadPartCommand({
      ...settings.read,
      ...this.#upload,
      PartNumber: number,
      ChecksumAlgorithm: 'CRC32',
      Body: bytes,
    });
    try {
      const { ETag, ChecksumCRC32 } = await client.send(command, sending(signal));
      this.#parts.set(number, {
        PartNumber: number,
        ETag,
        ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }),
      });
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
    const { client, doing } = this.#place;
    try {
      await client.send(new AbortMultipartUploadCommand(this.#upload));
    } catch (error) {
      throw s3Fault(error, doing);
    }
  }
}
