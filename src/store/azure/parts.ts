import { createHash } from 'node:crypto';
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
  readonly isResumable = true;
  readonly #blob: BlockBlobClient;
  readonly #writing: Writing;
  readonly #doing: Doing;
  readonly #blocks: string[] = [];

  /** Ids of blocks that an earlier upload has left. */
  readonly #left: ReadonlySet<string>;

  constructor(
    blob: BlockBlobClient,
    size: number,
    writing: Writing,
    doing: Doing,
    left: ReadonlySet<string>,
  ) {
    this.partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX / MIB) * MIB);
    this.#blob = blob;
    this.#writing = writing;
    this.#doing = doing;
    this.#left = left;
  }

  async put(index: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const id = idOf(index, bytes);
    try {
      if (!this.#left.has(id))
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

/** Of a size for all, as one blob's must be; the bytes decide, so that what was left is known again. */
function idOf(index: number, bytes: Uint8Array): string {
  const sum = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  return Buffer.from(`${String(index).padStart(8, '0')}-${sum}`).toString('base64');
}

/** Ids of the blocks of an object that is not there yet. What fails here costs sending them again. */
export async function leftBlocks(
  blob: BlockBlobClient,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  try {
    const { uncommittedBlocks = [] } = await blob.getBlockList('uncommitted', sending(signal));
    return new Set(uncommittedBlocks.map(({ name }) => name));
  } catch {
    return new Set();
  }
}

function sending(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
