import type { Key } from '../model/path.js';

/** Weights (see FORMAT.md) that bound a node: part of the format, smaller only in tests. */
export interface TreeShape {
  /** A node never ends before it weighs this much. */
  readonly weightMin: number;
  /** Below it an end is four times rarer than at even odds, above it four times likelier. */
  readonly weightTarget: number;
  /** A node ends as soon as it weighs this much. */
  readonly weightMax: number;
}

export const TREE_SHAPE: TreeShape = {
  weightMin: 2_560,
  weightTarget: 6_144,
  weightMax: 20_480,
};

/** What an item weighs beside its key and its variable parts. */
export const ITEM_WEIGHT = 48;
/** What each extent adds to the weight of a file. */
export const EXTENT_WEIGHT = 48;

/** Fewest children of an inner node that is not the last of its level, so that levels shrink. */
const CHILDREN_MIN = 2;

/**
 * Decides where nodes end. The answer depends on nothing but the level and the (key, weight) pairs
 * since the last end, which is what makes equal contents give equal trees.
 */
export class BoundaryRule {
  readonly #level: number;
  readonly #shape: TreeShape;
  readonly #hardPerWeight: number;
  readonly #easyPerWeight: number;
  #weight = 0;
  #items = 0;

  constructor(level: number, shape: TreeShape) {
    this.#level = level;
    this.#shape = shape;
    this.#hardPerWeight = Math.floor(2 ** 30 / shape.weightTarget);
    this.#easyPerWeight = Math.floor(2 ** 34 / shape.weightTarget);
  }

  /** Takes the next item; true when the node ends behind it, and counting starts anew. */
  endsAfter(key: Key, weight: number): boolean {
    this.#weight += weight;
    this.#items++;
    if (!this.#ends(key, weight)) return false;
    this.reset();
    return true;
  }

  /** Of the items since the last end. */
  get weight(): number {
    return this.#weight;
  }

  /** Takes items of so much weight behind none of which a node ends. */
  pass(items: number, weight: number): void {
    this.#weight += weight;
    this.#items += items;
  }

  reset(): void {
    this.#weight = 0;
    this.#items = 0;
  }

  #ends(key: Key, weight: number): boolean {
    if (this.#weight < this.#shape.weightMin) return false;
    if (this.#level > 0 && this.#items < CHILDREN_MIN) return false;
    if (this.#weight >= this.#shape.weightMax) return true;
    const perWeight =
      this.#weight < this.#shape.weightTarget ? this.#hardPerWeight : this.#easyPerWeight;
    return boundaryHash(key, this.#level) < weight * perWeight;
  }
}

/** 32-bit FNV-1a over the level and the key's bytes, with MurmurHash3's finaliser. */
export function boundaryHash(key: Key, level: number): number {
  let hash = Math.imul(0x811c9dc5 ^ level, 0x01000193);
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}
