import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { ObjectInfo } from '../object-store.js';

/** A file that becomes an object only under its final name, synced. */
export class PendingFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #offset = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async create(path: string): Promise<PendingFile> {
    return new PendingFile(path, await open(path, 'wx', 0o644));
  }

  /** Appends; calls may overlap, their order is that of the calls. */
  async write(bytes: Uint8Array): Promise<void> {
    const start = this.#offset;
    this.#offset += bytes.length;
    let written = 0;
    while (written < bytes.length) {
      const length = bytes.length - written;
      const result = await this.#handle.write(bytes, written, length, start + written);
      written += result.bytesWritten;
    }
  }

  /** Syncs and closes; the promise of every write has resolved. */
  async complete(): Promise<Omit<ObjectInfo, 'key'>> {
    await this.#handle.sync();
    const { ino, size, mtimeNs } = await this.#handle.stat({ bigint: true });
    await this.#handle.close();
    return { size: Number(size), etag: etagOf(ino, size, mtimeNs) };
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await unlink(this.path).catch(() => undefined);
  }
}

export function etagOf(ino: bigint, size: bigint, mtimeNs: bigint): string {
  return `${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}`;
}
