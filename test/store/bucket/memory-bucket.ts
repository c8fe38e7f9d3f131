import type {
  Bucket,
  BucketBytes,
  BucketGet,
  BucketObject,
  BucketPage,
  BucketParts,
  BucketPut,
  BucketQuery,
  BucketTag,
} from '../../../src/store/bucket/bucket.js';
import { conflictFault, missingFault } from '../../../src/store/bucket/faults.js';
import { cutRange } from '../../../src/store/object-store.js';

interface Stored extends BucketObject {
  readonly bytes: Buffer;
}

/** A bucket in this process's memory. A deaf one accepts conditions and ignores them. */
export class MemoryBucket implements Bucket {
  readonly url = 'memory://bucket';
  readonly objects = new Map<string, Stored>();
  readonly #isDeaf: boolean;
  #puts = 0;

  constructor({ isDeaf = false } = {}) {
    this.#isDeaf = isDeaf;
  }

  async get(key: string, { range, ifMatch }: BucketGet): Promise<BucketBytes | 'behind-end'> {
    const found = this.objects.get(key);
    if (found === undefined) throw missingFault(this.#doing(key));
    if (ifMatch !== undefined && ifMatch !== found.etag) throw conflictFault(this.#doing(key));
    const { size, etag } = found;
    const { offset, length } = cutRange(range ?? { offset: 0, length: size }, size);
    if (range !== undefined && length === 0) return 'behind-end';
    return { bytes: Buffer.from(found.bytes.subarray(offset, offset + length)), size, etag };
  }

  async put(key: string, bytes: Uint8Array, options: BucketPut): Promise<BucketTag> {
    const { ifMatch, ifNoneMatch, writer } = options;
    const found = this.objects.get(key);
    const isTaken = ifNoneMatch !== undefined && found !== undefined;
    const isOther = ifMatch !== undefined && ifMatch !== found?.etag;
    if (!this.#isDeaf && (isTaken || isOther)) throw conflictFault(this.#doing(key));
    this.#puts += 1;
    const etag = String(this.#puts);
    this.objects.set(key, {
      ...{ key, etag, size: bytes.length, mtimeMs: Date.now(), bytes: Buffer.from(bytes) },
      ...(writer === undefined ? {} : { writer }),
    });
    return { etag };
  }

  async head(key: string): Promise<BucketObject | undefined> {
    return this.objects.get(key);
  }

  async list({ prefix }: BucketQuery): Promise<BucketPage> {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    const objects = keys.flatMap((key) => this.objects.get(key) ?? []);
    return { objects, prefixes: [], next: undefined };
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key);
  }

  async startParts(key: string, _size: number, options: BucketPut): Promise<BucketParts> {
    const parts: Uint8Array[] = [];
    return {
      partBytes: 1_000_000,
      atOnce: 4,
      isResumable: false,
      put: async (index, bytes) => {
        parts[index] = Uint8Array.from(bytes);
      },
      complete: () => this.put(key, Buffer.concat(parts), options),
      abort: async () => undefined,
    };
  }

  async keepsVersions(): Promise<boolean> {
    return false;
  }

  async versionsOf(): Promise<readonly BucketObject[]> {
    return [];
  }

  close(): void {}

  #doing(key: string): { doing: string; key: string; url: string } {
    return { doing: 'using', key, url: this.url };
  }
}
