import type { FileHandle } from 'node:fs/promises';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { asTarnError, TarnError } from '../../util/errors.js';

/** Bytes that are kept in memory; more go to a file. */
export const SPOOL_MEMORY_BYTES_MAX = 16_777_216;

/** Holds the bytes of an upload until its key is known. Its file has no name, so it goes with the process. */
export class Spool {
  readonly #directory: string;
  #chunks: Buffer[] = [];
  #file: FileHandle | undefined;
  #size = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Bytes written. */
  get size(): number {
    return this.#size;
  }

  /** Calls may overlap; their order is that of the calls. @throws TarnError no-space, io */
  async write(bytes: Uint8Array): Promise<void> {
    const chunk = Buffer.from(bytes);
    this.#tail = this.#tail.then(() => this.#append(chunk));
    await this.#tail;
  }

  /** Bytes [start, end). Every write has resolved. */
  async read(start: number, end: number): Promise<Uint8Array> {
    if (this.#file === undefined) {
      if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#size)];
      return this.#chunks[0]?.subarray(start, end) ?? new Uint8Array(0);
    }
    const bytes = Buffer.allocUnsafeSlow(end - start);
    try {
      for (let filled = 0; filled < bytes.length;) {
        const { bytesRead } = await this.#file.read(bytes, filled, undefined, start + filled);
        if (bytesRead === 0) throw new TarnError('io', 'the file of an upload was cut');
        filled += bytesRead;
      }
    } catch (error) {
      throw asTarnError(error, `reading the file of an upload in '${this.#directory}'`);
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#tail.catch(() => undefined);
    this.#chunks = [];
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  async #append(chunk: Buffer): Promise<void> {
    const start = this.#size;
    this.#size += chunk.length;
    try {
      if (this.#file === undefined && this.#size > SPOOL_MEMORY_BYTES_MAX) await this.#spill();
      if (this.#file === undefined) this.#chunks.push(chunk);
      else await writeAll(this.#file, chunk, start);
    } catch (error) {
      throw asTarnError(error, `keeping an upload in '${this.#directory}'`);
    }
  }

  async #spill(): Promise<void> {
    const path = join(this.#directory, `tarn-upload-${randomUUID()}`);
    this.#file = await open(path, 'wx+', 0o600);
    await unlink(path);
    let at = 0;
    for (const chunk of this.#chunks) {
      await writeAll(this.#file, chunk, at);
      at += chunk.length;
    }
    this.#chunks = [];
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, start: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const length = bytes.length - written;
    const result = await file.write(bytes, written, length, start + written);
    written += result.bytesWritten;
  }
}
