import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { throwIfAborted } from '../../util/abort.js';
import { RESERVED } from '../keys.js';
import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TaggedObject,
  Upload,
} from '../object-store.js';
import { cutRange } from '../object-store.js';
import { Directories, syncDirectoryNow } from './directories.js';
import { conflictFault, objectFault } from './faults.js';
import type { LocalStore } from './local-store.js';
import { tempName } from './temp-files.js';
import { etagOf } from './write-file.js';

/** A longer object is written by the threads of libuv, while this one goes on. */
const PUT_NOW_BYTES_MAX = 1_048_576;
const OPEN_FILES_MAX = 128;
/** A file that was restored from a copy is noticed after this. */
const OPEN_MS_MAX = 5_000;

interface OpenFile {
  readonly fd: number;
  /** Bytes, when it was opened: objects do not change. */
  readonly size: number;
}

/**
 * A local store for a thread that has nothing else to do: it reads, and writes small objects, while
 * the thread waits. Each call of the file system then costs microseconds instead of a turn of the
 * thread pool. What is on the disk, and when, is as LocalStore has it.
 */
export class BlockingStore implements ObjectStore {
  readonly url: string;
  readonly #store: LocalStore;
  readonly #directories = new Directories();
  readonly #files = new LRUCache<string, OpenFile>({
    max: OPEN_FILES_MAX,
    ttl: OPEN_MS_MAX,
    dispose: ({ fd }) => closeSync(fd),
  });

  constructor(store: LocalStore) {
    this.url = store.url;
    this.#store = store;
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    throwIfAborted(options.signal);
    if (options.range !== undefined) return this.getNow(key, options.range);
    const path = this.localPath(key);
    try {
      const fd = openSync(path, 'r');
      try {
        return readNow(fd, 0, fstatSync(fd).size);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw objectFault(error, key, this.url, 'reading');
    }
  }

  getTagged(key: string, signal?: AbortSignal): Promise<TaggedObject | undefined> {
    return this.#store.getTagged(key, signal);
  }

  getNow(key: string, range: ByteRange): Uint8Array {
    const path = this.localPath(key);
    try {
      const { fd, size } = this.#files.get(path) ?? this.#open(path);
      const { offset, length } = cutRange(range, size);
      return readNow(fd, offset, length);
    } catch (error) {
      throw objectFault(error, key, this.url, 'reading');
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<ObjectInfo> {
    const { ifMatch, ifNoneMatch, signal } = options;
    if (ifMatch !== undefined || bytes.length > PUT_NOW_BYTES_MAX) {
      const info = await this.#store.put(key, bytes, options);
      this.#files.delete(this.localPath(key));
      return info;
    }
    const path = this.localPath(key);
    throwIfAborted(signal);
    try {
      return this.#putNow(key, path, bytes, ifNoneMatch !== undefined);
    } catch (error) {
      throw objectFault(error, key, this.url, 'writing');
    }
  }

  async upload(signal?: AbortSignal): Promise<Upload> {
    const upload = await this.#store.upload(signal);
    return {
      write: (bytes) => upload.write(bytes),
      finish: async (key, options) => {
        const done = await upload.finish(key, options);
        this.#files.delete(this.localPath(key));
        return done;
      },
      abort: () => upload.abort(),
    };
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    return this.#store.head(key, signal);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    return this.#store.list(prefix, options);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.#store.delete(key, signal);
    this.#files.delete(this.localPath(key));
  }

  localPath(key: string): string {
    return this.#store.localPath(key);
  }

  async close(): Promise<void> {
    this.#files.clear();
    await this.#store.close();
  }

  #open(path: string): OpenFile {
    const fd = openSync(path, 'r');
    const file = { fd, size: fstatSync(fd).size };
    this.#files.set(path, file);
    return file;
  }

  #putNow(key: string, path: string, bytes: Uint8Array, onlyNew: boolean): ObjectInfo {
    const directory = dirname(path);
    if (onlyNew && existsSync(path)) {
      // Whoever made it may not have got so far.
      syncDirectoryNow(directory);
      throw conflictFault(key, this.url);
    }
    const temps = join(this.url, RESERVED);
    this.#directories.ensureNow(temps);
    const temp = join(temps, tempName());
    let isMoved = false;
    try {
      const etag = writeNow(temp, bytes);
      this.#directories.ensureNow(directory);
      if (onlyNew) {
        if (!linkNewNow(temp, path)) {
          syncDirectoryNow(directory);
          throw conflictFault(key, this.url);
        }
      } else {
        renameSync(temp, path);
        isMoved = true;
      }
      this.#files.delete(path);
      syncDirectoryNow(directory);
      return { key, size: bytes.length, etag };
    } finally {
      if (!isMoved) removeNow(temp);
    }
  }
}

function readNow(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, bytes, filled, length - filled, offset + filled);
    if (count === 0) return bytes.subarray(0, filled);
    filled += count;
  }
  return bytes;
}

/** Writes and syncs a new file; returns its etag. */
function writeNow(path: string, bytes: Uint8Array): string {
  const fd = openSync(path, 'wx', 0o644);
  try {
    for (let written = 0; written < bytes.length;) {
      written += writeSync(fd, bytes, written, bytes.length - written, written);
    }
    fsyncSync(fd);
    const { ino, size, mtimeNs } = fstatSync(fd, { bigint: true });
    return etagOf(ino, size, mtimeNs);
  } finally {
    closeSync(fd);
  }
}

/** False when the name is taken. */
function linkNewNow(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** What is not removed is removed at the next opening. */
function removeNow(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Another fault is on its way to the caller.
  }
}
