import { hash as hashOnce } from 'node:crypto';
import { readSync } from 'node:fs';
import { BLOCK_BYTES, HASH_BYTES } from '../model/ids.js';
import type { ContentId } from '../model/ids.js';
import type { Upload } from '../store/object-store.js';
import { throwIfAborted } from '../util/abort.js';
import { encodeManifest, manifestId } from './manifest.js';

/**
 * Where a file's bytes come from: chunks of any length, or an open file, read from its start.
 *
 * A file is read on the calling thread and never in the pool of threads that all of the process
 * shares: it may lie on a mount that this very process serves, which needs that pool to answer. Reads
 * that wait in it for such answers would fill it, and none would ever come.
 */
export type LargeSource = AsyncIterable<Uint8Array> | OpenSource;

export interface OpenSource {
  /** Stays open, and its owner's, until the bytes are read. */
  readonly fd: number;
  /** Bytes it is thought to have; its end decides. */
  readonly size: number;
}

/** A block is read and hashed while the one before it is written. */
export const RING_BLOCKS = 2;

export interface LargeContent {
  readonly id: ContentId;
  readonly size: number;
  readonly manifest: Buffer;
  /** All of its bytes are written; to be finished. */
  readonly upload: Upload;
}

/**
 * Reads a source to its end, hashing and writing as it goes. One of at most one block is small: its
 * bytes are returned, in the ring.
 * @param ring RING_BLOCKS buffers of BLOCK_BYTES, in use until the promise settles
 */
export async function readLarge(
  source: LargeSource,
  ring: readonly Buffer[],
  upload: () => Promise<Upload>,
  signal: AbortSignal,
): Promise<Uint8Array | LargeContent> {
  const blocks = 'fd' in source ? blocksOfFile(source.fd, ring) : blocksOfChunks(source, ring);
  try {
    const first = await blocks.next();
    if (first.done === true) return new Uint8Array(0);
    const second = await blocks.next();
    if (second.done === true) return first.value;
    const hasher = new LargeHasher(await upload(), signal);
    try {
      await hasher.add(first.value);
      await hasher.add(second.value);
      for await (const block of blocks) await hasher.add(block);
      return await hasher.complete();
    } catch (error) {
      await hasher.abandon();
      throw error;
    }
  } finally {
    await blocks.return(undefined);
  }
}

/** Hashes blocks while the ones before them are being written. */
class LargeHasher {
  readonly #upload: Upload;
  readonly #signal: AbortSignal;
  #size = 0;
  #hashes: Buffer[] = [];
  #writing: Promise<void> = Promise.resolve();

  constructor(upload: Upload, signal: AbortSignal) {
    this.#upload = upload;
    this.#signal = signal;
  }

  /** Resolves when the block before this one is written. */
  async add(block: Uint8Array): Promise<void> {
    throwIfAborted(this.#signal);
    this.#hashes.push(hashOnce('sha256', block, 'buffer'));
    this.#size += block.length;
    await this.#writing;
    this.#writing = this.#upload.write(block);
    this.#writing.catch(() => undefined);
  }

  async complete(): Promise<LargeContent> {
    await this.#writing;
    const size = this.#size;
    const blocks = Buffer.concat(this.#hashes, this.#hashes.length * HASH_BYTES);
    const manifest = encodeManifest({ size, blocks });
    return { id: manifestId(size, manifest), size, manifest, upload: this.#upload };
  }

  async abandon(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#upload.abort();
  }
}

/** A block is valid until the second one after it is asked for. */
async function* blocksOfFile(fd: number, ring: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  for (let index = 0; ; index += 1) {
    const block = ringBlock(ring, index);
    const count = fill(block, fd, index * BLOCK_BYTES);
    if (count > 0) yield block.subarray(0, count);
    if (count < BLOCK_BYTES) return;
  }
}

/** How many bytes were read: fewer than fit only at the end of the file. */
function fill(block: Buffer, fd: number, offset: number): number {
  for (let count = 0; ;) {
    const read = readSync(fd, block, count, block.length - count, offset + count);
    count += read;
    if (read === 0 || count === block.length) return count;
  }
}

async function* blocksOfChunks(
  chunks: AsyncIterable<Uint8Array>,
  ring: readonly Buffer[],
): AsyncGenerator<Uint8Array> {
  let index = 0;
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const block = ringBlock(ring, index);
      const count = Math.min(chunk.length - at, BLOCK_BYTES - filled);
      block.set(chunk.subarray(at, at + count), filled);
      at += count;
      filled += count;
      if (filled < BLOCK_BYTES) continue;
      yield block;
      index += 1;
      filled = 0;
    }
  }
  if (filled > 0) yield ringBlock(ring, index).subarray(0, filled);
}

function ringBlock(ring: readonly Buffer[], index: number): Buffer {
  return ring[index % RING_BLOCKS] as Buffer;
}
