import type { Readable } from 'node:stream';
import type { BlobRequestConditions, BlockBlobClient, ContainerClient } from '@azure/storage-blob';
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
  BucketRange,
  BucketTag,
} from '../bucket/bucket.js';
import type { Agents } from '../bucket/agents.js';
import { WRITER_METADATA } from '../bucket/bucket.js';
import { Named } from '../bucket/faults.js';
import { readBody, wholeSize, withoutQuotes } from '../bucket/read-body.js';
import type { BucketUrl } from '../storage-url.js';
import type { AzureContainer } from './client.js';
import { azureContainer } from './client.js';
import { azureFault, statusOf } from './faults.js';
import { listBlobs, objectOf } from './listing.js';
import { AzureParts, leftBlocks } from './parts.js';

const NOT_SATISFIABLE = 416;

/** A container of Azure Blob Storage; its objects are block blobs. */
export class AzureBucket implements Bucket {
  readonly url: string;
  readonly #named: Named;
  readonly #container: ContainerClient;
  readonly #agents: Agents;

  private constructor(place: BucketUrl, { container, agents }: AzureContainer) {
    this.#named = Named.of(place);
    this.url = this.#named.url;
    this.#container = container;
    this.#agents = agents;
  }

  /** @throws TarnError invalid: no account is named; not-found, denied: the file of certificates */
  static async open(place: BucketUrl): Promise<AzureBucket> {
    return new AzureBucket(place, await azureContainer(place));
  }

  async get(key: string, options: BucketGet): Promise<BucketBytes | 'behind-end'> {
    const doing = this.#named.doing('reading', key);
    const { ifMatch, version, signal } = options;
    const blob = version === undefined ? this.#blob(key) : this.#blob(key).withVersion(version);
    try {
      const { offset, count } = await this.#rangeOf(key, options);
      if (count === 0) return 'behind-end';
      const answer = await blob.download(offset, count, {
        ...sending(signal),
        ...(ifMatch === undefined ? {} : { conditions: { ifMatch: `"${ifMatch}"` } }),
        maxRetryRequests: 0,
      });
      const { readableStreamBody, contentLength = 0, contentRange, etag = '' } = answer;
      const to = { into: options.into, signal };
      const bytes = await readBody(readableStreamBody as Readable, contentLength, doing, to);
      return { bytes, etag: withoutQuotes(etag), size: wholeSize(contentRange) ?? contentLength };
    } catch (error) {
      if (statusOf(error) === NOT_SATISFIABLE) return 'behind-end';
      throw azureFault(error, doing);
    }
  }

  async put(key: string, bytes: Uint8Array, options: BucketPut): Promise<BucketTag> {
    try {
      const answer = await this.#blob(key).upload(bytes, bytes.length, {
        ...sending(options.signal),
        ...writing(options),
      });
      return { etag: withoutQuotes(answer.etag ?? '') };
    } catch (error) {
      throw azureFault(error, this.#named.doing('writing', key));
    }
  }

  async head(key: string, options: BucketHead): Promise<BucketObject | undefined> {
    const { version, signal } = options;
    const blob = version === undefined ? this.#blob(key) : this.#blob(key).withVersion(version);
    try {
      const found = await blob.getProperties(sending(signal));
      const writer = found.metadata?.[WRITER_METADATA];
      const object = objectOf(key, found, found.versionId);
      return writer === undefined ? object : { ...object, writer };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw azureFault(error, this.#named.doing('looking up', key));
    }
  }

  async list(query: BucketQuery): Promise<BucketPage> {
    try {
      return await listBlobs(this.#container, query);
    } catch (error) {
      throw azureFault(error, this.#named.doing('listing'));
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    try {
      await this.#blob(key).deleteIfExists(sending(signal));
    } catch (error) {
      throw azureFault(error, this.#named.doing('deleting', key));
    }
  }

  async startParts(key: string, size: number, options: BucketPut): Promise<BucketParts> {
    const doing = this.#named.doing('writing', key);
    const blob = this.#blob(key);
    const isAnew = options.isAnew === true;
    const left = isAnew ? new Set<string>() : await leftBlocks(blob, options.signal);
    return new AzureParts(blob, size, writing(options), doing, left);
  }

  /** No request tells; the newest object shows it, where there is one. */
  async keepsVersions(signal?: AbortSignal): Promise<boolean | undefined> {
    const page = await this.list({ prefix: '', versions: true, limit: 1, signal });
    return page.objects[0] === undefined ? undefined : page.objects[0].version !== undefined;
  }

  async versionsOf(key: string, signal?: AbortSignal): Promise<readonly BucketObject[]> {
    const found: BucketObject[] = [];
    try {
      const listing = { prefix: key, includeVersions: true, ...sending(signal) };
      for await (const blob of this.#container.listBlobsFlat(listing)) {
        if (blob.name !== key) break;
        found.push(objectOf(key, blob.properties, blob.versionId));
      }
    } catch (error) {
      throw azureFault(error, this.#named.doing('listing versions of', key));
    }
    return found.reverse();
  }

  close(): void {
    this.#agents.anyAgent.destroy();
  }

  #blob(key: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(key);
  }

  /** Azure knows no range of the last bytes. */
  async #rangeOf(
    key: string,
    { range, version, signal }: BucketGet,
  ): Promise<{ offset: number; count: number | undefined }> {
    if (range === undefined) return { offset: 0, count: undefined };
    if (!('last' in range)) return { offset: range.offset, count: countOf(range) };
    const blob = version === undefined ? this.#blob(key) : this.#blob(key).withVersion(version);
    const { contentLength = 0 } = await blob.getProperties(sending(signal));
    const count = Math.min(range.last, contentLength);
    return { offset: contentLength - count, count };
  }
}

/** To the end, where the range goes further than numbers do. */
function countOf({ offset, length }: Exclude<BucketRange, { last: number }>): number | undefined {
  return offset + length >= Number.MAX_SAFE_INTEGER ? undefined : length;
}

function sending(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function writing({ ifMatch, ifNoneMatch, writer }: BucketPut): {
  conditions: BlobRequestConditions;
  metadata?: Record<string, string>;
} {
  return {
    conditions: {
      ...(ifMatch === undefined ? {} : { ifMatch: `"${ifMatch}"` }),
      ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    },
    ...(writer === undefined ? {} : { metadata: { [WRITER_METADATA]: writer } }),
  };
}
