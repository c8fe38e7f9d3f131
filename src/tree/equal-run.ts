import { HASH_BYTES } from '../model/ids.js';
import { LEAF_HEADER_BYTES, RESTART_INTERVAL } from './format.js';
import type { LeafNode } from './node.js';
import { haveSameSources } from './sources.js';

/**
 * How many items of `a` from `i` on are byte for byte those of `b` from `j` on, and so the same to a
 * user (isSameEntry): what the bytes leave to the leaf is the base of modification times and the
 * sources of imported files, which must agree, and where other content lies, which does not matter.
 * May be fewer than there are.
 * @param inStep whether the items in front of them have the same key
 */
export function equalRun(a: LeafNode, i: number, b: LeafNode, j: number, inStep: boolean): number {
  if (a.mtimeBase !== b.mtimeBase || !haveSameSources(a, b)) return 0;
  const most = Math.min(a.count - i, b.count - j);
  let equal = 0;
  while (equal < most) {
    const isRestart = (i + equal) % RESTART_INTERVAL === 0;
    if (isRestart !== ((j + equal) % RESTART_INTERVAL === 0)) break;
    if (!isRestart && equal === 0 && !inStep) break;
    const block = isRestart ? Math.min(RESTART_INTERVAL, most - equal) : 1;
    if (block > 1 && isEqual(a, i + equal, b, j + equal, block)) equal += block;
    else if (isEqual(a, i + equal, b, j + equal, 1)) equal++;
    else break;
  }
  return equal;
}

/**
 * How many items of `a` from `i` on are those of `b` from `j` on in every respect, also in where the
 * content lies. May be fewer than there are.
 */
export function identicalRun(a: LeafNode, i: number, b: LeafNode, j: number): number {
  if (i % RESTART_INTERVAL !== 0 || j % RESTART_INTERVAL !== 0 || !haveSameTables(a, b)) return 0;
  const most = Math.min(a.count - i, b.count - j);
  let identical = 0;
  while (identical < most) {
    const block = Math.min(RESTART_INTERVAL, most - identical);
    if (!isEqual(a, i + identical, b, j + identical, block)) break;
    identical += block;
  }
  return identical;
}

/** Whether a row that both leaves have means the same in both. */
function haveSameTables(a: LeafNode, b: LeafNode): boolean {
  if (a.mtimeBase !== b.mtimeBase || !haveSameSources(a, b)) return false;
  const end = LEAF_HEADER_BYTES + Math.min(a.packs, b.packs) * HASH_BYTES;
  const start = LEAF_HEADER_BYTES;
  return a.bytes.compare(b.bytes, start, end, start, end) === 0;
}

function isEqual(a: LeafNode, i: number, b: LeafNode, j: number, count: number): boolean {
  const [from, to] = [a.offsetOf(i), a.offsetOf(i + count)];
  const [at, end] = [b.offsetOf(j), b.offsetOf(j + count)];
  if (to - from !== end - at) return false;
  if (count > 1) return a.bytes.compare(b.bytes, at, end, from, to) === 0;
  for (let k = 0; k < to - from; k++) {
    if (a.bytes[from + k] !== b.bytes[at + k]) return false;
  }
  return true;
}
