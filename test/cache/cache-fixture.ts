import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CachedStore } from '../../src/cache/cached-store.js';
import type { CacheLimits } from '../../src/cache/object-cache.js';
import { ObjectCache } from '../../src/cache/object-cache.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import { FarStore } from './far-store.js';

export const ROOMY: CacheLimits = { bytesMax: 2 ** 34, freeBytesMin: 0 };

/** A far store, and caches over it in a directory of their own. */
export class CacheFixture {
  readonly directory = mkdtempSync(join(tmpdir(), 'tarn-cache-'));
  readonly inner = new MemoryStore();
  readonly far = new FarStore(this.inner);
  readonly #open: ObjectCache[] = [];

  open(limits: CacheLimits = ROOMY): { cache: ObjectCache; store: CachedStore } {
    const cache = ObjectCache.open(join(this.directory, 'objects'), limits);
    this.#open.push(cache);
    return { cache, store: new CachedStore(cache, this.far) };
  }

  /** The files that hold cached bytes. */
  files(directory = join(this.directory, 'objects')): string[] {
    const data = join(directory, 'data');
    return readdirSync(data, { recursive: true, withFileTypes: true })
      .filter((found) => found.isFile())
      .map((found) => join(found.parentPath, found.name));
  }

  async dispose(): Promise<void> {
    for (const cache of this.#open) await cache.close();
    rmSync(this.directory, { recursive: true });
  }
}
