import { hash as hashOnce } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address, FileEntry } from '../../model/entry.js';
import { EXTENTS_MAX } from '../../model/entry.js';
import { BLOCK_BYTES } from '../../model/ids.js';
import type { ContentId, Hash } from '../../model/ids.js';
import { ContentPatch } from '../../repo/content-patch.js';
import type { ContentIndex } from '../../repo/content-index.js';
import type { VerifiedStamps } from '../../repo/content-stamps.js';
import type { StoredContent } from '../../repo/content-writer.js';
import { ContentWriter } from '../../repo/content-writer.js';
import type { LargeSource } from '../../repo/content-large.js';
import { manifestKey } from '../../repo/layout.js';
import { blockCount, blockHash } from '../../repo/manifest.js';
import { readManifest } from '../../repo/manifest-read.js';
import { putNamed } from '../../repo/objects.js';
import { PACK_CONTENT_BYTES_MAX } from '../../repo/pack.js';
import type { Repository } from '../../repo/repository.js';
import { throwIfAborted } from '../../util/abort.js';
import { TarnError } from '../../util/errors.js';
import type { Saves } from '../../util/saves.js';
import type { StagedStamp } from '../nodes.js';
import type { BaseBytes } from './base-bytes.js';
import { StagedFolder } from './staged-folder.js';
import { readNow, StagedReader } from './staged-reader.js';

/** A stamp younger than this might also be that of a write to come. */
const STAMP_AGE_MS = 20;
/** How often a file that changes while it is read is read. */
const TRIES_MAX = 3;

/** What is to be stored. */
export interface ToStore {
  /** Of the staged file. */
  readonly number: number;
  /** Of a partial file: whose bytes show where it has none. */
  readonly base?: FileEntry | undefined;
  /**
   * No program has it open for writing, from when this is said until the outcome is used. Only then can
   * its stamp be believed: a write that is under way may have set the time long ago.
   */
  readonly isQuiet: boolean;
  /** A program may have it mapped, though it has closed it. */
  readonly isMapped?: boolean;
}

export type StoreOutcome<T> =
  | {
      readonly kind: 'stored';
      readonly tag: T;
      /** Bytes. */
      readonly size: number;
      readonly content: ContentId;
      readonly address: Address;
      /** As long as the file has it, these are its bytes; only of a quiet file. */
      readonly stamp?: StagedStamp;
    }
  /** It changed each time while it was read: held back. 'gone': there is no such staged file. */
  | { readonly kind: 'changing' | 'gone'; readonly tag: T };

/** One try at a file. */
interface Reading<T> {
  readonly tag: T;
  readonly isQuiet: boolean;
  readonly stamp: StagedStamp;
  /** Of a large file, whose bytes may be durable before this is known: whether it is still as it was. */
  isSame: Promise<boolean>;
}

/** A partial file whose changed blocks are being stored. */
interface Patching<T> {
  readonly reading: Reading<T>;
  readonly patch: ContentPatch;
  /** Blocks that are not durable yet. */
  left: number;
}

type Tag<T> =
  | { readonly kind: 'file'; readonly reading: Reading<T> }
  | {
      readonly kind: 'block';
      readonly patching: Patching<T>;
      readonly index: number;
      readonly hash: Hash;
    }
  /** Many blocks, one after the other. */
  | {
      readonly kind: 'blocks';
      readonly patching: Patching<T>;
      readonly indexes: readonly number[];
    };

/**
 * Stores the bytes of staged files as contents of the repository: small files in packs, large ones as
 * objects, and of partial ones only the blocks that changed, the rest being pieces of the base. For a
 * job thread: staged bytes are read and hashed on the calling thread, one file after the other. What
 * the repository holds already is not stored again.
 *
 * A fault of a file or its base (corrupt, not-found, io, too-large) is thrown by its add alone; a fault
 * of the store (no-space, io) ends it: call abort().
 */
export class StagedStore<T> {
  readonly #folder: StagedFolder;
  readonly #repository: Repository;
  readonly #onOutcome: (outcome: StoreOutcome<T>) => void;
  readonly #writer: ContentWriter<Tag<T>>;
  readonly #buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);

  /**
   * @param folder of the staged files
   * @param onOutcome called once for each file that was added, in any order, until flush has resolved;
   *   what it says is stored is durable, or will be when `saves` are
   * @param saves are given what is small, which is durable then when they are
   */
  constructor(
    folder: string,
    repository: Repository,
    index: ContentIndex | undefined,
    onOutcome: (outcome: StoreOutcome<T>) => void,
    stamps?: VerifiedStamps,
    saves?: Saves,
  ) {
    this.#folder = new StagedFolder(folder);
    this.#repository = repository;
    this.#onOutcome = onOutcome;
    const onStored = (batch: StoredContent<Tag<T>>[]): Promise<void> => this.#stored(batch);
    this.#writer = new ContentWriter(repository.objects, index, onStored, stamps, saves);
  }

  /** To be awaited before the next call; the file's bytes are read then, but maybe not durable. */
  async add(file: ToStore, tag: T, signal: AbortSignal): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      throwIfAborted(signal);
      const path = this.#folder.pathOf(file.number);
      const reader = StagedReader.open(path, file.base?.size);
      if (reader === undefined) {
        this.#onOutcome({ kind: 'gone', tag });
        return;
      }
      try {
        if (await this.#try(reader, file, tag, signal)) return;
      } finally {
        reader.close();
      }
    }
    this.#onOutcome({ kind: 'changing', tag });
  }

  /** Resolves when every file that was added has its outcome. */
  flush(signal: AbortSignal): Promise<void> {
    return this.#writer.flush(signal);
  }

  /** Gives up what is not stored yet; resolves when nothing goes on any more. */
  abort(): Promise<void> {
    return this.#writer.abort();
  }

  /** False when the file changed while it was read. */
  async #try(reader: StagedReader, file: ToStore, tag: T, signal: AbortSignal): Promise<boolean> {
    // The kernel notes the time of a write to a mapped page only if the page was clean before it.
    if (!file.isQuiet) reader.sync();
    const stamp = await settledStamp(reader, signal);
    if (stamp === undefined) return false;
    if (file.isMapped === true) {
      // From here on its pages are clean, so that what is written to them later has another stamp.
      reader.sync();
      if (!isUnchanged(reader, stamp)) return false;
    }
    const reading = { tag, isQuiet: file.isQuiet, stamp, isSame: Promise.resolve(true) };
    if (reader.isWhole) return this.#addWhole(reader, reading, signal);
    const { base } = file;
    if (base === undefined) {
      throw new TarnError(
        'internal',
        `staged file ${file.number} was to be stored without its base`,
      );
    }
    const content = this.#repository.openContent(base);
    try {
      return await this.#addPartial(reader, reading, base, content, signal);
    } finally {
      content.close();
    }
  }

  async #addWhole(
    reader: StagedReader,
    reading: Reading<T>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { size } = reading.stamp;
    if (size > BLOCK_BYTES) {
      return this.#addLarge(reader, { kind: 'file', reading }, { fd: reader.fd, size }, signal);
    }
    const count = readNow(reader.fd, this.#buffer.subarray(0, size), 0);
    if (count < size || !isUnchanged(reader, reading.stamp)) return false;
    await this.#writer.addSmall(this.#buffer.subarray(0, size), { kind: 'file', reading });
    return true;
  }

  async #addLarge(
    reader: StagedReader,
    tag: Exclude<Tag<T>, { kind: 'block' }>,
    source: LargeSource,
    signal: AbortSignal,
  ): Promise<boolean> {
    const reading = tag.kind === 'file' ? tag.reading : tag.patching.reading;
    let settle: (isSame: boolean) => void = () => undefined;
    reading.isSame = new Promise((resolve) => (settle = resolve));
    try {
      await this.#writer.addLarge(source, tag, signal);
      const isSame = isUnchanged(reader, reading.stamp);
      settle(isSame);
      return isSame;
    } finally {
      settle(false);
    }
  }

  async #addPartial(
    reader: StagedReader,
    reading: Reading<T>,
    base: FileEntry,
    content: BaseBytes,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { size } = reading.stamp;
    const read = (index: number): Promise<Buffer> =>
      reader.block(index, size, this.#buffer, content, signal);
    if (size <= BLOCK_BYTES) {
      const bytes = size === 0 ? this.#buffer.subarray(0, 0) : await read(0);
      if (!isUnchanged(reader, reading.stamp)) return false;
      await this.#writer.addSmall(bytes, { kind: 'file', reading });
      return true;
    }
    const changed = reader.changedBlocks(size);
    if (changed.length === 0 && size === base.size) {
      // As a copy of it is: neither bytes nor hashes are asked for.
      if (!isUnchanged(reader, reading.stamp)) return false;
      this.#say(reading, size, base.content, base.address);
      return true;
    }
    const patch = await ContentPatch.of(this.#repository.objects, base, size);
    const isFew = changed.length * BLOCK_BYTES <= PACK_CONTENT_BYTES_MAX;
    if (patch === undefined || !isWorthIt(patch, changed, size, !isFew)) {
      const all = Array.from({ length: blockCount(size) }, (_, index) => index);
      return this.#addLarge(reader, { kind: 'file', reading }, blocksOf(all, read), signal);
    }
    const patching = { reading, patch, left: 0 };
    if (isFew) return this.#addFew(reader, patching, changed, read);
    const tag = { kind: 'blocks', patching, indexes: changed } as const;
    return this.#addLarge(reader, tag, blocksOf(changed, read), signal);
  }

  /** Stores the blocks that differ, in a pack. */
  async #addFew(
    reader: StagedReader,
    patching: Patching<T>,
    changed: readonly number[],
    read: (index: number) => Promise<Buffer>,
  ): Promise<boolean> {
    const { patch, reading } = patching;
    const blocks: { index: number; hash: Hash; bytes: Buffer }[] = [];
    for (const index of changed) {
      const bytes = await read(index);
      const hash = hashOnce('sha256', bytes, 'hex') as Hash;
      if (hash !== patch.hashOf(index)) blocks.push({ index, hash, bytes: Buffer.from(bytes) });
    }
    if (!isUnchanged(reader, reading.stamp)) return false;
    patching.left = blocks.length;
    if (blocks.length === 0) await this.#finish(patching);
    for (const { index, hash, bytes } of blocks) {
      await this.#writer.addSmall(bytes, { kind: 'block', patching, index, hash });
    }
    return true;
  }

  async #stored(batch: readonly StoredContent<Tag<T>>[]): Promise<void> {
    for (const { tag, size, content, address } of batch) {
      switch (tag.kind) {
        case 'file':
          if (await tag.reading.isSame) this.#say(tag.reading, size, content, address);
          break;
        case 'block':
          await this.#blockStored(tag, address);
          break;
        case 'blocks':
          if (await tag.patching.reading.isSame) await this.#blocksStored(tag, size, content);
          break;
      }
    }
  }

  async #blockStored(tag: Extract<Tag<T>, { kind: 'block' }>, address: Address): Promise<void> {
    const { patching, index, hash } = tag;
    if (address.kind !== 'packed') {
      throw new TarnError('internal', `a block was stored as '${address.kind}'`);
    }
    patching.patch.set(index, hash, { kind: 'pack', pack: address.pack }, address.offset);
    patching.left -= 1;
    if (patching.left === 0) await this.#finish(patching);
  }

  async #blocksStored(
    { patching, indexes }: Extract<Tag<T>, { kind: 'blocks' }>,
    size: number,
    content: ContentId,
  ): Promise<void> {
    const manifest = await readManifest(this.#repository.objects, content, size);
    for (const [at, index] of indexes.entries()) {
      const source = { kind: 'whole', content } as const;
      patching.patch.set(index, blockHash(manifest, at), source, at * BLOCK_BYTES);
    }
    await this.#finish(patching);
  }

  /** All blocks are stored; the manifest must be durable before anyone hears of the content. */
  async #finish({ reading, patch }: Patching<T>): Promise<void> {
    const { content, address, manifest } = patch.complete();
    if (address.kind === 'extents') {
      await putNamed(this.#repository.objects, manifestKey(content), manifest);
    }
    this.#say(reading, reading.stamp.size, content, address);
  }

  #say(
    { tag, isQuiet, stamp }: Reading<T>,
    size: number,
    content: ContentId,
    address: Address,
  ): void {
    const stored = { kind: 'stored', tag, size, content, address } as const;
    this.#onOutcome(isQuiet ? { ...stored, stamp } : stored);
  }
}

/** The stamp once it is old enough; undefined when the file keeps changing. */
async function settledStamp(
  reader: StagedReader,
  signal: AbortSignal,
): Promise<StagedStamp | undefined> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const stamp = reader.stamp();
    // Only ctime counts, which programs cannot set. It may lie ahead where the clock was put back.
    const age = Math.abs(Date.now() - (stamp.ctimeSec * 1000 + stamp.ctimeNsec / 1e6));
    if (age >= STAMP_AGE_MS) return stamp;
    await delay(STAMP_AGE_MS - age + 1, undefined, { signal }).catch(() => undefined);
    throwIfAborted(signal);
  }
  return undefined;
}

function isUnchanged(reader: StagedReader, before: StagedStamp): boolean {
  const now = reader.stamp();
  return (
    now.size === before.size &&
    now.mtimeSec === before.mtimeSec &&
    now.mtimeNsec === before.mtimeNsec &&
    now.ctimeSec === before.ctimeSec &&
    now.ctimeNsec === before.ctimeNsec &&
    reader.isNamed
  );
}

/** Whether most of the file stays where it is, in few enough pieces. */
function isWorthIt(
  patch: ContentPatch,
  changed: readonly number[],
  size: number,
  areTogether: boolean,
): boolean {
  return (
    changed.length * BLOCK_BYTES * 2 <= size &&
    patch.extentCount(changed, areTogether) <= EXTENTS_MAX
  );
}

/** Each is valid until the next one is asked for. */
async function* blocksOf(
  indexes: readonly number[],
  read: (index: number) => Promise<Buffer>,
): AsyncGenerator<Uint8Array> {
  for (const index of indexes) yield await read(index);
}
