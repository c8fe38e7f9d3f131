import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { TarnError } from '../../util/errors.js';
import type {
  Bucket,
  BucketBytes,
  BucketGet,
  BucketHead,
  BucketObject,
  BucketPage,
  BucketParts,
  BucketPut,
  BucketQuery,
  BucketTag,
} from '../bucket/bucket.js';
import { WRITER_METADATA } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { Named } from '../bucket/faults.js';
import { rangeHeader, readBody, wholeSize } from '../bucket/read-body.js';
import type { BucketUrl } from '../storage-url.js';
import type { S3Settings } from './client.js';
import { s3Client, s3Settings } from './client.js';
import { s3Fault, statusOf } from './faults.js';
import type { SendOptions } from './handler.js';
import { listPage, listVersions, objectVersions } from './listing.js';
import { startS3Parts } from './parts.js';
import { conditions, etagOf, quoted, sending, writerMetadata } from './request.js';

const NOT_SATISFIABLE = 416;
const SERVER_ERROR = 500;

/** A bucket of S3, or of what speaks its protocol. */
export class S3Bucket implements Bucket {
  readonly url: string;
  readonly #named: Named;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #settings: S3Settings;

  /**
   * @param attemptMs a connection that carries nothing for so long is given up
   * @throws TarnError invalid, not-found, denied: a file that an option names
   */
  constructor(place: BucketUrl, attemptMs: number) {
    this.#named = Named.of(place);
    this.url = this.#named.url;
    this.#client = s3Client(place.options, attemptMs);
    this.#bucket = place.bucket;
    this.#settings = s3Settings(place.options);
  }

  async get(key: string, options: BucketGet): Promise<BucketBytes | 'behind-end'> {
    const doing = this.#named.doing('reading', key);
    const { range, ifMatch, version } = options;
    const command = new GetObjectCommand({
      ...this.#settings.read,
      ...this.#object(key),
      ...(range === undefined ? {} : { Range: rangeHeader(range) }),
      ...(ifMatch === undefined ? {} : { IfMatch: quoted(ifMatch) }),
      ...(version === undefined ? {} : { VersionId: version }),
    });
    try {
      const { into, signal } = options;
      const send: SendOptions = { ...sending(signal), into };
      const output = await this.#client.send(command, send);
      return await bytesOf(output, doing, options);
    } catch (error) {
      if (statusOf(error) === NOT_SATISFIABLE) return 'behind-end';
      if (statusOf(error) === SERVER_ERROR && range !== undefined && 'last' in range) {
        // Some servers fail so when an object has fewer bytes than are asked for: these are all then.
        const found = await this.get(key, { ...options, range: { offset: 0, length: range.last } });
        if (found === 'behind-end' || found.size <= range.last) return found;
      }
      throw s3Fault(error, doing);
    }
  }

  async put(key: string, bytes: Uint8Array, options: BucketPut): Promise<BucketTag> {
    const command = new PutObjectCommand({
      ...this.#settings.write,
      ...this.#object(key),
      ...conditions(options),
      Body: bytes,
      ...writerMetadata(options),
    });
    const doing = this.#named.doing('writing', key);
    try {
      const { ETag } = await this.#client.send(command, sending(options.signal));
      return { etag: etagOf(ETag, doing) };
    } catch (error) {
      // An absent object does not match either: servers say so in two ways.
      if (options.ifMatch !== undefined && statusOf(error) === 404 && isMissingKey(error)) {
        throw new TarnError('conflict', `object '${key}' in '${this.url}' is missing`, {
          cause: error,
        });
      }
      throw s3Fault(error, doing);
    }
  }

  async head(key: string, options: BucketHead): Promise<BucketObject | undefined> {
    const doing = this.#named.doing('looking up', key);
    const { version } = options;
    const command = new HeadObjectCommand({
      ...this.#settings.read,
      ...this.#object(key),
      ...(version === undefined ? {} : { VersionId: version }),
    });
    try {
      const found = await this.#client.send(command, sending(options.signal));
      return {
        key,
        size: found.ContentLength ?? 0,
        etag: etagOf(found.ETag, doing),
        mtimeMs: found.LastModified?.getTime() ?? 0,
        ...versionOf(found.VersionId),
        ...(found.StorageClass === undefined ? {} : { storageClass: found.StorageClass }),
        ...writerOf(found.Metadata),
      };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw await this.#inWords(error, key, options, doing);
    }
  }

  /** The answer to a HEAD does not say why: a GET is refused for the same reason. */
  async #inWords(
    error: unknown,
    key: string,
    options: BucketHead,
    doing: Doing,
  ): Promise<TarnError> {
    const status = statusOf(error) ?? SERVER_ERROR;
    if (status < SERVER_ERROR) {
      try {
        await this.get(key, { ...options, range: { offset: 0, length: 1 } });
      } catch (refusal) {
        if (refusal instanceof TarnError && refusal.kind !== 'not-found') return refusal;
      }
    }
    return s3Fault(error, doing);
  }

  async list(query: BucketQuery): Promise<BucketPage> {
    const page = query.versions === true ? listVersions : listPage;
    try {
      return await page(this.#client, this.#bucket, query, this.#settings.payer);
    } catch (error) {
      throw s3Fault(error, this.#named.doing('listing'));
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ ...this.#settings.payer, ...this.#object(key) });
    try {
      await this.#client.send(command, sending(signal));
    } catch (error) {
      if (statusOf(error) === 404 && isMissingKey(error)) return;
      throw s3Fault(error, this.#named.doing('deleting', key));
    }
  }

  async startParts(key: string, size: number, options: BucketPut): Promise<BucketParts> {
    const doing = this.#named.doing('writing', key);
    const place = { client: this.#client, bucket: this.#bucket, settings: this.#settings, doing };
    return startS3Parts(place, key, size, options);
  }

  async keepsVersions(signal?: AbortSignal): Promise<boolean | undefined> {
    try {
      const command = new GetBucketVersioningCommand({ Bucket: this.#bucket });
      const { Status } = await this.#client.send(command, sending(signal));
      return Status === 'Enabled';
    } catch (error) {
      const fault = s3Fault(error, this.#named.doing('asking for versioning'));
      // Many may read objects and not ask this, and some servers do not know it.
      if (fault.kind === 'denied' || fault.kind === 'unsupported') return undefined;
      throw fault;
    }
  }

  async versionsOf(key: string, signal?: AbortSignal): Promise<readonly BucketObject[]> {
    try {
      const { payer } = this.#settings;
      return await objectVersions(this.#client, this.#bucket, key, payer, signal);
    } catch (error) {
      throw s3Fault(error, this.#named.doing('listing versions of', key));
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #object(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: key };
  }
}

async function bytesOf(
  output: GetObjectCommandOutput,
  doing: Doing,
  to: Pick<BucketGet, 'into' | 'signal'>,
): Promise<BucketBytes> {
  const { Body, ContentLength = 0, ContentRange, ETag } = output;
  const bytes = await readBody(Body as Readable, ContentLength, doing, to);
  return { bytes, etag: etagOf(ETag, doing), size: wholeSize(ContentRange) ?? ContentLength };
}

function versionOf(version: string | undefined): { version?: string } {
  return version === undefined || version === 'null' ? {} : { version };
}

function writerOf(metadata: Record<string, string> | undefined): { writer?: string } {
  const writer = metadata?.[WRITER_METADATA];
  return writer === undefined ? {} : { writer };
}

/** Not of a bucket that is missing. */
function isMissingKey(error: unknown): boolean {
  return (error as Error).name !== 'NoSuchBucket';
}
