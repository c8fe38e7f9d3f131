import type { BlobRequestConditions, BlockBlobClient } from '@azure/storage-blob';
import type { BucketParts, BucketTag } from '../bucket/bucket.js';
import type { Doing } from '../bucket/faults.js';
import { withoutQuotes } from '../bucket/read-body.js';
import { azureFault } from './faults.js';

const MIB = 1_048_576;
const PART_BYTES_MIN = 8 * MIB;
/** Azure takes 50,000. */
const PARTS_MAX = 49_000;
const AT_ONCE = 6;

interface Writing {
  readonly conditions: BlobRequestConditions;
  readonly metadata?: Record<string, string>;
}

/** Blocks, which Azure forgets by itself after a week unless they are committed. */
export class AzureParts implements BucketParts {
  readonly partBytes: number;
  readonly atOnce = AT_ONCE;
  readonly #blob: BlockBlobClient;
  readonly #writing: Writing;
  readonly #doing: Doing;
  readonly #blocks: string[] = [];

  constructor(blob: BlockBlobClient, size: number, writing: Writing, doing: Doing) {
    this.partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX / MIB) * MIB);
    this.#blob = blob;
    this.#writing = writing;
    this.#doing = doing;
  }

  async put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    // All ids of one blob have the same length.
    const id = Buffer.from(String(index).padStart(8, '0')).toString('base64');
    try {
      await this.#blob.stageBlock(id, bytes, bytes.length, sending(signal));
      this.#blocks[index] = id;
    } catch (error) {
      throw azureFault(error, this.#doing);
    }
  }

  async complete(signal?: AbortSignal): Promise<BucketTag> {
    try {
      const options = { ...this.#writing, ...sending(signal) };
      const { etag = '' } = await this.#blob.commitBlockList(this.#blocks, options);
      return { etag: withoutQuotes(etag) };
    } catch (error) {
      throw azureFault(error, this.#doing);
    }
  }

  async abort(): Promise<void> {}
}

function sending(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
