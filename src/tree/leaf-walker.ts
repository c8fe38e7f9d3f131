import type { Entry } from '../model/entry.js';
import { HASH_BYTES } from '../model/ids.js';
import type { Key } from '../model/path.js';
import {
  FLAG_EXTRAS,
  FLAG_MODE,
  FLAG_NSEC,
  FLAG_PIN,
  FORM,
  FORM_MASK,
  PIN,
  RESTART_INTERVAL,
} from './format.js';
import type { ByteReader } from './bytes.js';
import type { Bytes, LeafItem } from './leaf-item.js';
import type { LeafNode } from './node.js';
import { KeyWalker } from './node.js';

const FIXED_BYTES = new Uint8Array(8);
FIXED_BYTES[FORM.whole] = HASH_BYTES;
FIXED_BYTES[FORM.packed] = HASH_BYTES;
FIXED_BYTES[FORM.imported] = HASH_BYTES;
FIXED_BYTES[FORM.extents] = HASH_BYTES;

/** Goes through the items of leaves without making entries of them. */
export class LeafWalker implements LeafItem {
  readonly #keys = new KeyWalker();
  #leaf: LeafNode | undefined;
  #index = 0;
  /** For each pack where its last file since the restart point ends. */
  #packEnds: number[] = [];
  flags = 0;
  form = 0;
  size = 0;
  mtimeSec = 0;
  readonly fixed: Bytes = { start: 0, end: 0 };
  row = 0;
  offset = 0;
  readonly pin: Bytes = { start: 0, end: 0 };
  pinWeight = 0;
  readonly extras: Bytes = { start: 0, end: 0 };

  get leaf(): LeafNode {
    return this.#leaf as LeafNode;
  }

  get key(): Key {
    return this.#keys.key();
  }

  get keyLength(): number {
    return this.#keys.keyLength;
  }

  get packEnds(): readonly number[] {
    return this.#packEnds;
  }

  entry(): Entry {
    return this.leaf.valueAt(this.#index);
  }

  /** To item `index` of `leaf`: a step from the item in front of it. */
  moveTo(leaf: LeafNode, index: number): void {
    const isStep = leaf === this.#leaf && index === this.#index + 1;
    if (!isStep) {
      this.#leaf = leaf;
      const restart = index - (index % RESTART_INTERVAL);
      this.#keys.moveTo(leaf, restart);
      this.#read(leaf, restart);
      for (let i = restart + 1; i <= index; i++) this.#step(leaf, i);
    } else {
      this.#step(leaf, index);
    }
    this.#index = index;
  }

  #step(leaf: LeafNode, index: number): void {
    this.#keys.stepTo(leaf.offsetOf(index));
    this.#read(leaf, index);
  }

  #read(leaf: LeafNode, index: number): void {
    if (index % RESTART_INTERVAL === 0) this.#packEnds.fill(0);
    const reader = leaf.reader;
    reader.position = this.#keys.valueOffset;
    const flags = reader.u8();
    const form = flags & FORM_MASK;
    const size = form === FORM.empty ? 0 : reader.uvarint();
    this.flags = flags;
    this.form = form;
    this.size = size;
    this.mtimeSec = leaf.mtimeBase + reader.zigzag();
    this.fixed.start = reader.position;
    reader.position +=
      ((flags & FLAG_MODE) !== 0 ? 2 : 0) +
      ((flags & FLAG_NSEC) !== 0 ? 4 : 0) +
      (form === FORM.symlink ? size : (FIXED_BYTES[form] as number));
    this.fixed.end = reader.position;
    if (form === FORM.packed) this.#readPacked(leaf, size);
    else if (form === FORM.imported || form === FORM.pinned) this.row = reader.uvarint();
    this.pin.start = reader.position;
    const isObject = (flags & FLAG_PIN) !== 0 && passPin(reader);
    this.pin.end = reader.position;
    this.pinWeight = isObject ? this.pin.end - this.pin.start : 0;
    this.extras.end = leaf.offsetOf(index + 1);
    this.extras.start = (flags & FLAG_EXTRAS) !== 0 ? reader.position : this.extras.end;
  }

  #readPacked(leaf: LeafNode, size: number): void {
    const row = leaf.reader.uvarint();
    this.row = row;
    this.offset = (this.#packEnds[row] ?? 0) + leaf.reader.zigzag();
    this.#packEnds[row] = this.offset + size;
  }
}

/** Steps over a pin; returns whether it is one of an object. */
function passPin(reader: ByteReader): boolean {
  const isObject = reader.u8() === PIN.object;
  if (isObject) {
    reader.skip(reader.uvarint());
    reader.skip(reader.uvarint());
  } else {
    reader.uvarint();
    reader.u32();
  }
  return isObject;
}
