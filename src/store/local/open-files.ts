import { closeSync, fstatSync, open } from 'node:fs';
import { LRUCache } from 'lru-cache';

interface OpenFile {
  readonly fd: number;
  /** Bytes, when it was opened: objects do not change. */
  readonly size: number;
  users: number;
  evicted: boolean;
}

/** A file that was restored from a copy is noticed after this. */
const OPEN_MS_MAX = 5_000;

/** Read descriptors kept open for a while, so that a range of an object costs one pread. */
export class OpenFiles {
  readonly #files: LRUCache<string, OpenFile>;

  constructor(max: number) {
    this.#files = new LRUCache<string, OpenFile>({
      max,
      ttl: OPEN_MS_MAX,
      dispose: (file) => {
        file.evicted = true;
        if (file.users === 0) closeSync(file.fd);
      },
    });
  }

  /** Calls `read` with the open file and its size; it stays open until the promise settles. */
  async use<T>(path: string, read: (fd: number, size: number) => Promise<T>): Promise<T> {
    let file = this.#files.get(path);
    if (file === undefined) file = await this.#open(path);
    else file.users += 1;
    try {
      return await read(file.fd, file.size);
    } finally {
      file.users -= 1;
      if (file.evicted && file.users === 0) closeSync(file.fd);
    }
  }

  forget(path: string): void {
    this.#files.delete(path);
  }

  close(): void {
    this.#files.clear();
  }

  /** The opener is counted as a user before anyone else can evict the file. */
  #open(path: string): Promise<OpenFile> {
    return new Promise((resolve, reject) => {
      open(path, 'r', (error, fd) => {
        if (error !== null) {
          reject(error);
          return;
        }
        const file = { fd, size: fstatSync(fd).size, users: 1, evicted: false };
        this.#files.set(path, file);
        resolve(file);
      });
    });
  }
}
