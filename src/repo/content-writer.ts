import { stat } from 'node:fs/promises';
import { BLOCK_BYTES } from '../model/ids.js';
import type { Hash, PackId } from '../model/ids.js';
import type { ObjectStore, Upload } from '../store/object-store.js';
import { throwIfAborted, unlessAborted } from '../util/abort.js';
import type { MaybePromise } from '../util/async.js';
import { asTarnError, TarnError } from '../util/errors.js';
import type { Saves } from '../util/saves.js';
import type { ContentIndex, IndexedContent } from './content-index.js';
import { readLarge, RING_BLOCKS } from './content-large.js';
import type { LargeContent, LargeSource } from './content-large.js';
import { fileIdentity } from './content-stamps.js';
import type { VerifiedStamps } from './content-stamps.js';
import { manifestKey, packKey, wholeKey } from './layout.js';
import { putNamed } from './objects.js';
import { PackBuilder } from './pack-builder.js';
import type { SealedPack, StoredContent } from './pack-builder.js';
import { isPackIntact } from './pack-reader.js';

export type { StoredContent } from './pack-builder.js';

/** Packs that are on their way while one more is filled. */
const STORING_PACKS_MAX = 3;
/** Large objects whose last sync goes on while others are read. */
const FINISHING_MAX = 4;
/** Small contents between two turns of the event loop, without which nothing waiting gets on. */
const TURN_CONTENTS = 64;

/**
 * Stores files' bytes: small ones in packs in the order they come, each larger one as an object of
 * its own. Contents are announced only when they are durable, or will be when the saves that were given
 * are. Meant for a worker thread: it hashes on the calling thread. A fault of the store ends the writer:
 * every later call throws it, then call abort(). A fault of a source is thrown by its own call alone.
 */
export class ContentWriter<T> {
  readonly #objects: ObjectStore;
  readonly #index: ContentIndex | undefined;
  readonly #onStored: (batch: StoredContent<T>[]) => Promise<void> | void;
  readonly #stamps: VerifiedStamps | undefined;
  readonly #saves: Saves | undefined;

  readonly #stop = new AbortController();
  /** Fires when nobody wants a pack any more. */
  readonly #unwanted: AbortSignal;
  #failure: TarnError | undefined;
  /** Announces what is stored, one after the other; never rejects. */
  #queue: Promise<void> = Promise.resolve();
  /** Settles when the last full pack is sealed. */
  #sealing: Promise<unknown> = Promise.resolve();
  /** Contents of packs that are on their way: announced before what is packed later. */
  readonly #underWay = new Map<Hash, IndexedContent>();
  readonly #finishing = new Set<Promise<void>>();
  /** Of packs that are full. */
  readonly #storing = new Set<Promise<void>>();
  #sinceTurn = 0;

  #pack: PackBuilder<T>;
  readonly #freeBuffers: Buffer[] = [];
  readonly #freeRings: Buffer[][] = [];
  /** Of packs that the index names: whether they are there as it says. */
  readonly #present = new Map<PackId, Promise<boolean>>();

  /**
   * @param index without one, equal contents are stored once only within a pack
   * @param onStored called with stored contents, never twice at a time
   * @param stamps told of local object files whose bytes were hashed as they were written
   * @param saves are given the packs, so that nobody here waits until they are there
   */
  constructor(
    objects: ObjectStore,
    index: ContentIndex | undefined,
    onStored: (batch: StoredContent<T>[]) => Promise<void> | void,
    stamps?: VerifiedStamps,
    saves?: Saves,
  ) {
    this.#objects = objects;
    this.#index = index;
    this.#onStored = onStored;
    this.#stamps = stamps;
    this.#saves = saves;
    const { signal } = this.#stop;
    this.#unwanted = saves?.signal === undefined ? signal : AbortSignal.any([signal, saves.signal]);
    this.#pack = this.#newPack();
  }

  /**
   * Takes a file of at most BLOCK_BYTES; the bytes are copied. A returned promise must be awaited
   * before the next call.
   */
  addSmall(bytes: Uint8Array, tag: T): MaybePromise<void> {
    this.#check();
    if (bytes.length > BLOCK_BYTES) {
      throw new TarnError('internal', `${bytes.length} bytes are not a small content`);
    }
    if (!this.#pack.fits(bytes.length)) this.#closePack();
    this.#pack.add(bytes, tag);
    if (this.#storing.size >= STORING_PACKS_MAX) return this.#untilPackStored();
    this.#sinceTurn += 1;
    if (this.#sinceTurn < TURN_CONTENTS) return;
    this.#sinceTurn = 0;
    if (this.#storing.size > 0 || this.#finishing.size > 0) return turn();
  }

  /**
   * Takes a file of any size in one pass; what is read until its end is its content. Resolves when
   * the source was read; the object's last sync may go on.
   */
  async addLarge(source: LargeSource, tag: T, signal?: AbortSignal): Promise<void> {
    this.#check();
    const stop = this.#stop.signal;
    const either = signal === undefined ? stop : AbortSignal.any([signal, stop]);
    throwIfAborted(either);
    while (this.#finishing.size >= FINISHING_MAX) {
      await unlessAborted(Promise.race(this.#finishing), either);
    }
    const ring = this.#freeRings.pop() ?? newRing();
    try {
      const read = await readLarge(source, ring, () => this.#upload(), either);
      if (read instanceof Uint8Array) await this.addSmall(read, tag);
      else if (this.#failure === undefined) this.#finishLater(read, tag);
      else await read.upload.abort();
      this.#check();
    } finally {
      this.#freeRings.push(ring);
    }
  }

  /** Resolves when everything added was announced. */
  async flush(signal?: AbortSignal): Promise<void> {
    this.#check();
    if (!this.#pack.isEmpty) this.#closePack();
    await unlessAborted(this.#announced(), signal);
    this.#check();
    this.#index?.flush();
  }

  /** Gives up what is not stored yet; resolves when nothing goes on any more. */
  async abort(): Promise<void> {
    this.#failure ??= new TarnError('aborted', 'interrupted before it was done');
    this.#stop.abort(this.#failure);
    await this.#settled();
  }

  async #announced(): Promise<void> {
    await Promise.all(this.#finishing);
    await this.#queue;
  }

  async #settled(): Promise<void> {
    await this.#announced();
    await Promise.all(this.#storing);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs `work` after all that was queued before it; its fault ends the writer. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(() => this.#attempt(work));
    return this.#queue;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return;
    await this.#orFail(work()).catch(() => undefined);
  }

  /** An upload whose faults end the writer. */
  async #upload(): Promise<Upload> {
    const { signal } = this.#stop;
    const upload = await this.#orFail(this.#objects.upload(signal));
    return {
      write: (bytes) => this.#orFail(upload.write(bytes)),
      finish: (key, options) => this.#orFail(upload.finish(key, options)),
      abort: () => upload.abort(),
    };
  }

  async #orFail<R>(work: Promise<R>): Promise<R> {
    try {
      return await work;
    } catch (error) {
      this.#failure ??= asTarnError(error, 'storing contents');
      throw this.#failure;
    }
  }

  #newPack(): PackBuilder<T> {
    return new PackBuilder<T>(this.#freeBuffers.pop());
  }

  /** Packs are put at once, and announced in their order. */
  #closePack(): void {
    const pack = this.#pack;
    this.#pack = this.#newPack();
    const sealing = this.#sealing.then(() => this.#seal(pack));
    this.#sealing = sealing.catch(() => undefined);
    const putting = sealing.then(async (sealed) => {
      await this.#put(sealed);
      return sealed;
    });
    this.#saves?.add(putting);
    const isWaitedFor = this.#saves === undefined;
    const announcing = this.#enqueue(async () => {
      const { known, made } = await (isWaitedFor ? putting : sealing);
      await this.#onStored(pack.stored(known, made));
    });
    const storing = Promise.allSettled([putting, announcing]).then(() => {
      this.#storing.delete(storing);
      this.#freeBuffers.push(pack.buffer);
    });
    this.#storing.add(storing);
  }

  async #untilPackStored(): Promise<void> {
    while (this.#storing.size >= STORING_PACKS_MAX) await Promise.race(this.#storing);
    this.#check();
  }

  async #seal(pack: PackBuilder<T>): Promise<Sealed> {
    this.#check();
    const known = await this.#known(pack.hashes);
    const made = pack.seal(known);
    for (const { hash, offset } of made?.contents ?? []) {
      const { id, bytes } = made as SealedPack;
      this.#underWay.set(hash, { pack: id, packBytes: bytes.length, offset });
    }
    return { known, made };
  }

  async #put({ made }: Sealed): Promise<void> {
    if (made === undefined) return;
    await putNamed(this.#objects, packKey(made.id), made.bytes, this.#unwanted);
    await this.#stamp(packKey(made.id));
    this.#present.set(made.id, Promise.resolve(true));
    this.#index?.add(made.id, made.bytes.length, made.contents);
    for (const { hash } of made.contents) this.#underWay.delete(hash);
    if (this.#saves !== undefined) this.#index?.flush();
  }

  /** Of these contents, those that lie in a pack which is there, and sound, or will be before this one. */
  async #known(hashes: readonly Hash[]): Promise<Map<Hash, IndexedContent>> {
    const found = this.#index?.find(hashes) ?? new Map<Hash, IndexedContent>();
    for (const [hash, place] of found) {
      if (!(await this.#isPresent(place))) found.delete(hash);
    }
    if (this.#index === undefined) return found;
    for (const hash of hashes) {
      const place = this.#underWay.get(hash);
      if (place !== undefined) found.set(hash, place);
    }
    return found;
  }

  #isPresent({ pack, packBytes }: IndexedContent): Promise<boolean> {
    let present = this.#present.get(pack);
    if (present === undefined) {
      present = this.#isSound(pack, packBytes).then((sound) => {
        if (!sound) this.#index?.drop(pack);
        return sound;
      });
      this.#present.set(pack, present);
    }
    return present;
  }

  /** Whether the pack is there and, where it is a local file, undamaged. */
  async #isSound(pack: PackId, packBytes: number): Promise<boolean> {
    const key = packKey(pack);
    const info = await this.#objects.head(key, this.#stop.signal);
    if (info?.size !== packBytes) return false;
    if ((await this.#isStamped(key)) !== false) return true;
    if (!(await isPackIntact(this.#objects, pack, this.#stop.signal))) return false;
    await this.#stamp(key);
    return true;
  }

  #finishLater(large: LargeContent, tag: T): void {
    const finishing = this.#attempt(() => this.#finishLarge(large, tag)).then(() => {
      this.#finishing.delete(finishing);
    });
    this.#finishing.add(finishing);
  }

  async #finishLarge(large: LargeContent, tag: T): Promise<void> {
    const { id, size, manifest, upload } = large;
    const key = wholeKey(id);
    // What is there already is kept only if nobody has touched it since it was verified.
    const replace = (await this.#isStamped(key)) === false;
    const [object] = await Promise.all([
      upload.finish(key, { replace }),
      putNamed(this.#objects, manifestKey(id), manifest, this.#stop.signal),
    ]);
    if (object.created) await this.#stamp(key);
    const stored = { tag, size, content: id, address: { kind: 'whole' } } as const;
    await this.#enqueue(async () => this.#onStored([stored]));
  }

  /** Whether nobody has touched the object's file since it was verified; undefined without one. */
  async #isStamped(key: string): Promise<boolean | undefined> {
    const file = await this.#localFile(key);
    return file && this.#stamps?.get(file.path) === file.identity;
  }

  async #stamp(key: string): Promise<void> {
    const file = await this.#localFile(key);
    if (file !== undefined) this.#stamps?.set(file.path, file.identity);
  }

  /** Undefined without stamps, and for an object that is no local file, or not there yet. */
  async #localFile(key: string): Promise<{ path: string; identity: string } | undefined> {
    const path = this.#objects.localPath?.(key);
    if (path === undefined || this.#stamps === undefined) return undefined;
    try {
      return { path, identity: fileIdentity(await stat(path, { bigint: true })) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}

/** A pack whose contents have their places; without `made` they all lie elsewhere. */
interface Sealed {
  readonly known: ReadonlyMap<Hash, IndexedContent>;
  readonly made: SealedPack | undefined;
}

function newRing(): Buffer[] {
  return Array.from({ length: RING_BLOCKS }, () => Buffer.allocUnsafeSlow(BLOCK_BYTES));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
