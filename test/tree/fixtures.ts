import type { Entry, KeyedEntry } from '../../src/model/entry.js';
import type { Hash, NodeId, PackId } from '../../src/model/ids.js';
import { contentIdOf, EMPTY_CONTENT, sha256 } from '../../src/model/ids.js';
import type { Key } from '../../src/model/path.js';
import type { TreeShape } from '../../src/tree/boundary.js';
import type { NodeBatch, NodeStore, StoredNode } from '../../src/tree/nodes.js';
import { NodeCache, Nodes } from '../../src/tree/nodes.js';

/** Nodes of a few items, so that some hundred entries make a tree of several levels. */
export const SMALL: TreeShape = { weightMin: 150, weightTarget: 350, weightMax: 900 };

/** Leaves of several restart points. */
export const MEDIUM: TreeShape = { weightMin: 1_500, weightTarget: 3_500, weightMax: 9_000 };

/** Keeps nodes in memory and counts what is asked of it. */
export class MemoryNodes implements NodeStore {
  readonly nodes = new Map<NodeId, Uint8Array>();
  readonly loaded: NodeId[] = [];
  readonly saved: NodeId[] = [];
  /** Batches that were neither finished nor given up. */
  saving = 0;
  /** Answer load at once instead of by a promise. */
  synchronous = false;

  load(id: NodeId): StoredNode | Promise<StoredNode> {
    this.loaded.push(id);
    const bytes = this.nodes.get(id);
    if (bytes === undefined) throw new Error(`no node ${id}`);
    return this.synchronous ? { bytes } : Promise.resolve({ bytes });
  }

  save(id: NodeId, bytes: Uint8Array): void {
    this.saved.push(id);
    this.nodes.set(id, bytes);
  }

  batch(): NodeBatch {
    this.saving++;
    const end = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      this.saving--;
    };
    return {
      full: false,
      add: (id, bytes) => {
        this.save(id, bytes);
        return undefined;
      },
      room: async () => undefined,
      finish: end,
      abort: end,
    };
  }

  forgetCounts(): void {
    this.loaded.length = 0;
    this.saved.length = 0;
  }
}

export function nodesOver(store: NodeStore, shape?: TreeShape, cacheBytes = 64 << 20): Nodes {
  return new Nodes(store, new NodeCache(cacheBytes), shape);
}

export const key = (bytes: string): Key => bytes as Key;

export const hashOf = (text: string): Hash => sha256(Buffer.from(text));

export const packOf = (text: string): PackId => hashOf(text) as PackId;

/** A file of its own object, whose content follows from `seed`. */
export function file(seed: number, size = 1 + (seed % 5000)): Entry {
  return {
    kind: 'file',
    size,
    mtimeSec: 1_700_000_000 + seed,
    mtimeNsec: 0,
    mode: 0o644,
    content: size === 0 ? EMPTY_CONTENT : contentIdOf(size, hashOf(`content ${seed}`)),
    address: size === 0 ? { kind: 'none' } : { kind: 'whole' },
  };
}

/** In order, so that ordinal i is item i. */
export function sorted(entries: ReadonlyMap<Key, Entry>): KeyedEntry[] {
  return [...entries]
    .map(([k, entry]) => ({ key: k, entry }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}
