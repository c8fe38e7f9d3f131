import { ITEM_WEIGHT } from './boundary.js';
import { FORM } from './format.js';
import type { LeafSums } from './leaf-item.js';
import { LeafWalker } from './leaf-walker.js';
import type { LeafNode } from './node.js';
import { sourceWeight } from './sources.js';

/** Every use is over before anyone else can start one. */
const item = new LeafWalker();

/** Undefined for a leaf with extents, which are not worth the trouble. */
export function sumsOf(leaf: LeafNode): LeafSums | undefined {
  const { count } = leaf;
  const weights = new Uint32Array(count + 1);
  const bytes = new Float64Array(count + 1);
  const packs = new Uint16Array(count + 1);
  const sources = new Uint16Array(count + 1);
  for (let i = 0; i < count; i++) {
    item.moveTo(leaf, i);
    const { form, size, row, pinWeight, extras } = item;
    if (form === FORM.extents) return undefined;
    let weight = item.keyLength + ITEM_WEIGHT + extras.end - extras.start;
    let [packsUsed, sourcesUsed] = [packs[i] as number, sources[i] as number];
    if (form === FORM.symlink) weight += size;
    else if (form === FORM.packed) packsUsed = Math.max(packsUsed, row + 1);
    else if (form === FORM.imported || form === FORM.pinned) {
      weight += sourceWeight(leaf.source(row)) + pinWeight;
      sourcesUsed = Math.max(sourcesUsed, row + 1);
    }
    weights[i + 1] = (weights[i] as number) + weight;
    bytes[i + 1] = (bytes[i] as number) + size;
    packs[i + 1] = packsUsed;
    sources[i + 1] = sourcesUsed;
  }
  return { weights, bytes, packs, sources };
}
