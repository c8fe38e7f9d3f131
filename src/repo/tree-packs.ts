import { LRUCache } from 'lru-cache';
import type { Hash, NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import type { GetOptions, ObjectStore } from '../store/object-store.js';
import type { NodeAt, NodeBatch, NodeStore, PlacedNode, StoredNode } from '../tree/nodes.js';
import type { Place, TreePack } from '../tree/place.js';
import type { MaybePromise } from '../util/async.js';
import type { Saves } from '../util/saves.js';
import { TarnError } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import { treePackKey } from './layout.js';
import { putNamed, readChecked } from './objects.js';
import type { TreePackRecord } from './tree-pack.js';
import {
  corruptPack,
  decodeRecord,
  decodeTrailer,
  decodeTreePack,
  OpenPack,
  TREE_PACK_TRAILER_BYTES,
} from './tree-pack.js';

/** A root's record is mostly shorter, so that one read finds it together with the trailer. */
const ROOT_READ_BYTES = 16_384;
/** How long reads that are over when they return keep other events waiting. */
const TURN_MS_MAX = 50;
/** Roots that are remembered. */
const ROOTS_MAX = 4_096;
/** Full packs on their way to the store before writers wait. */
const UPLOADS_MAX = 2;

/**
 * Tree nodes in packs (tree-pack.ts). A pack that ends with the root of a tree has the root's id as
 * its name, so that a root is found by its id; another one has the hash of its bytes. What is
 * loaded is verified by the tree, which decodes it.
 */
export class TreePackStore implements NodeStore {
  readonly #objects: ObjectStore;
  /** When the thread's other events last had their turn, in milliseconds. */
  #turnAtMs = Date.now();
  /** Trees that are durable: each is found by its root. */
  readonly #roots = new LRUCache<NodeId, true>({ max: ROOTS_MAX });
  /** Trees that others need not wait for; none of these rejects. */
  readonly #underWay = new Map<NodeId, Promise<void>>();
  readonly loadRun?: (nodes: readonly PlacedNode[], signal?: AbortSignal) => Promise<StoredNode[]>;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
    // Reading ahead gains nothing where a read is over when it returns.
    if (objects.getNow === undefined) this.loadRun = (nodes, signal) => this.#run(nodes, signal);
  }

  load(id: NodeId, place: Place | undefined, signal?: AbortSignal): MaybePromise<StoredNode> {
    if (place === undefined) {
      // What is in a pack under its name may be laid out otherwise than what is being put there.
      const saving = this.#underWay.get(id);
      return saving === undefined
        ? this.loadRoot(id, signal)
        : saving.then(() => this.loadRoot(id, signal));
    }
    const held = place.pack instanceof OpenPack ? place.pack.record(place) : undefined;
    if (held !== undefined) return decodeRecord(held, place, id);
    const key = keyOf(place.pack);
    const range = { offset: place.offset, length: place.length };
    const now = this.#objects.getNow?.(key, range);
    if (now !== undefined) return this.#inTurn(decodeRecord(now, place, id));
    return readChecked(this.#objects, key, withSignal({ range }, signal), (bytes) =>
      this.#judged(id, decodeRecord(bytes, place, id)),
    );
  }

  batch(signal?: AbortSignal, saves?: Saves): NodeBatch {
    return new TreePackBatch(this, this.#objects, signal, saves);
  }

  /** The tree is being saved: whoever asks for its root waits until that has ended. */
  noteSaving(root: NodeId, saving: Promise<void>): void {
    const ended: Promise<void> = saving
      .catch(() => undefined)
      .then(() => {
        if (this.#underWay.get(root) === ended) this.#underWay.delete(root);
      });
    this.#underWay.set(root, ended);
  }

  /** Whether a pack that ends with this root was seen, or put. */
  hasRoot(id: NodeId): boolean {
    return this.#roots.has(id);
  }

  noteRoot(id: NodeId): void {
    this.#roots.set(id, true);
  }

  /**
   * All nodes in a pack, for checking a repository.
   * @throws TarnError not-found, corrupt (all name the object), unsupported, io, aborted
   */
  async readPack(id: Hash, signal?: AbortSignal): Promise<TreePackRecord[]> {
    return decodeTreePack(await this.#objects.get(treePackKey(id), withSignal({}, signal)), id);
  }

  /** As the store has it by now. @throws as load */
  loadRoot(id: NodeId, signal: AbortSignal | undefined): MaybePromise<StoredNode> {
    const key = treePackKey(id);
    const range = { last: ROOT_READ_BYTES };
    const now = this.#objects.getNow?.(key, range);
    if (now !== undefined) return this.#cutRoot(id, now, signal);
    return readChecked(this.#objects, key, withSignal({ range }, signal), async (end) =>
      this.#judged(id, await this.#cutRoot(id, end, signal)),
    );
  }

  /** Where a cache may have given damaged bytes they are found out here, to be read again. */
  #judged(id: NodeId, stored: StoredNode): StoredNode {
    if (this.#objects.forget === undefined || sha256(stored.bytes) === id) return stored;
    throw corruptPack(
      stored.place === undefined ? treePackKey(id) : keyOf(stored.place.pack),
      `the bytes of node ${id} are others`,
    );
  }

  #cutRoot(id: NodeId, end: Uint8Array, signal: AbortSignal | undefined): MaybePromise<StoredNode> {
    const place = decodeTrailer(end, { id, isDurable: true });
    const start = end.length - TREE_PACK_TRAILER_BYTES - place.length;
    if (start < 0) return this.load(id, place, signal);
    return decodeRecord(end.subarray(start, start + place.length), place, id);
  }

  /** Now and then by way of the event loop, so that a thread that reads on and on hears of an abort. */
  #inTurn(stored: StoredNode): MaybePromise<StoredNode> {
    const nowMs = Date.now();
    if (nowMs - this.#turnAtMs < TURN_MS_MAX) return stored;
    this.#turnAtMs = nowMs;
    return giveWay().then(() => stored);
  }

  async #run(nodes: readonly PlacedNode[], signal: AbortSignal | undefined): Promise<StoredNode[]> {
    const first = nodes[0]?.place;
    const last = nodes.at(-1)?.place;
    if (first === undefined || last === undefined) return [];
    const range = { offset: first.offset, length: last.offset + last.length - first.offset };
    const bytes = await this.#objects.get(keyOf(first.pack), withSignal({ range }, signal));
    return nodes.map(({ id, place }) => {
      const at = place.offset - first.offset;
      // A copy, so that a node that stays in memory does not keep the whole run there.
      return decodeRecord(copyOf(bytes, at, place.length), place, id);
    });
  }
}

function copyOf(bytes: Uint8Array, at: number, length: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(length);
  copy.set(bytes.subarray(at, at + length));
  return copy;
}

function keyOf({ id }: TreePack): string {
  if (id === undefined) throw new TarnError('internal', 'a tree node was given up with its pack');
  return treePackKey(id);
}

function withSignal(options: GetOptions, signal: AbortSignal | undefined): GetOptions {
  return signal === undefined ? options : { ...options, signal };
}

/** The nodes of one tree, gathered into packs; the last one ends with the root. */
class TreePackBatch implements NodeBatch {
  readonly #store: TreePackStore;
  readonly #objects: ObjectStore;
  readonly #signal: AbortSignal | undefined;
  readonly #saves: Saves | undefined;
  readonly #uploads = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #open: OpenPack | undefined;
  #last: NodeId | undefined;

  constructor(
    store: TreePackStore,
    objects: ObjectStore,
    signal: AbortSignal | undefined,
    saves: Saves | undefined,
  ) {
    this.#store = store;
    this.#objects = objects;
    this.#signal = signal;
    this.#saves = saves;
  }

  get full(): boolean {
    return this.#uploads.size >= UPLOADS_MAX || this.#failure !== undefined;
  }

  add(id: NodeId, bytes: Uint8Array, children: readonly Place[]): Place {
    if (this.#open?.fits(bytes.length, children.length) === false) this.#close(this.#open);
    this.#open ??= new OpenPack();
    this.#last = id;
    return this.#open.add(bytes, children);
  }

  async room(): Promise<void> {
    while (this.#uploads.size >= UPLOADS_MAX) await Promise.race(this.#uploads);
    this.#check();
  }

  async finish(root: NodeAt): Promise<void> {
    const isOldRoot = root.place?.pack.id === root.id && root.place.pack.isDurable;
    if (this.#last !== root.id && !isOldRoot) await this.#copy(root);
    const saving = this.#finish(root.id);
    if (this.#saves === undefined) return saving;
    this.#store.noteSaving(root.id, saving);
    this.#saves.add(saving);
  }

  /** A pack that ends with a root is put after those that it leads to: whoever finds it has the tree. */
  async #finish(root: NodeId): Promise<void> {
    await this.abort();
    this.#check();
    if (this.#last !== root || this.#open === undefined) return;
    if (this.#store.hasRoot(root)) this.#open.release();
    else await this.#putRoot(root, this.#open);
    this.#store.noteRoot(root);
  }

  /** Uploads that are under way end by themselves; they are of no use, and do no harm. */
  async abort(): Promise<void> {
    await Promise.all(this.#uploads);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** A root that lies inside of a pack is saved once more, at the end of the new one. */
  async #copy({ id, place }: NodeAt): Promise<void> {
    const { bytes, places } = await this.#store.load(id, place, this.#signal);
    const children = Array.from({ length: places?.count ?? 0 }, (_, i) => places?.at(i) as Place);
    this.add(id, bytes, children);
  }

  /** A full pack has no root at its end. */
  #close(pack: OpenPack): void {
    const bytes = pack.seal();
    const id = sha256(bytes);
    pack.id = id;
    this.#open = undefined;
    const upload = async (): Promise<void> => {
      try {
        await putNamed(this.#objects, treePackKey(id), bytes, this.#signal);
        pack.isDurable = true;
        pack.release();
      } catch (error) {
        this.#failure ??= { error };
      }
    };
    const running: Promise<void> = upload().then(() => {
      this.#uploads.delete(running);
    });
    this.#uploads.add(running);
  }

  async #putRoot(id: NodeId, pack: OpenPack): Promise<void> {
    const key = treePackKey(id);
    const bytes = pack.seal();
    const options = withSignal({}, this.#signal);
    try {
      await this.#objects.put(key, bytes, { ...options, ifNoneMatch: '*' });
    } catch (error) {
      if (!(error instanceof TarnError) || error.kind !== 'conflict') throw error;
      if (await this.#isRootThere(id)) return pack.release();
      const kept = await this.#objects.get(key, options);
      if (!isBeginning(kept, bytes)) throw corruptPack(key, 'its last node is not its root');
      await this.#objects.put(key, bytes, options);
    }
    pack.id = id;
    pack.isDurable = true;
    pack.release();
  }

  /** Whoever saved the same tree before may have packed other nodes with it: theirs will do. */
  async #isRootThere(id: NodeId): Promise<boolean> {
    try {
      const { bytes } = await this.#store.loadRoot(id, this.#signal);
      return sha256(bytes) === id;
    } catch (error) {
      if (error instanceof TarnError && error.kind === 'corrupt') return false;
      throw error;
    }
  }
}

/** What a disk that lost its last writes leaves of an object. */
function isBeginning(kept: Uint8Array, whole: Uint8Array): boolean {
  return Buffer.compare(kept, whole.subarray(0, kept.length)) === 0;
}
