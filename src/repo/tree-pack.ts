import type { Hash, NodeId } from '../model/ids.js';
import { sha256 } from '../model/ids.js';
import { asBuffer, ByteWriter, NodeFault } from '../tree/bytes.js';
import { NODE_BYTES_MAX } from '../tree/format.js';
import type { StoredNode } from '../tree/nodes.js';
import type { Place, TreePack } from '../tree/place.js';
import { decodePlaces, encodePlaces, placesBytesMax, RECORD_BYTES_MAX } from '../tree/place.js';
import { TarnError } from '../util/errors.js';
import { CORRUPT_HINT } from './corrupt.js';
import { treePackKey } from './layout.js';

/** Many tree nodes in one object: header, a record for each node, trailer; repo/FORMAT.md. */

/** Bytes of the records of a pack, at most; writers close a pack before it would hold more. */
export const TREE_PACK_BYTES_MAX = 8_388_608;
export const TREE_PACK_TRAILER_BYTES = 16;
const HEADER_BYTES = 8;
const RECORD_HEADER_BYTES = 8;
const MAGIC = Buffer.from('tarntre\x01', 'latin1');

const FIRST_BUFFER_BYTES = 65_536;

/** A pack that is being filled; its nodes can be read at any time until it is released. */
export class OpenPack implements TreePack {
  id: Hash | undefined;
  isDurable = false;
  readonly #writer = new ByteWriter(FIRST_BUFFER_BYTES);
  #released = false;
  #last: { readonly offset: number; readonly length: number } | undefined;

  constructor() {
    this.#append(MAGIC);
  }

  /** Whether a node of `bytes` bytes and so many children still has room. */
  fits(bytes: number, children: number): boolean {
    const record = RECORD_HEADER_BYTES + bytes + placesBytesMax(children);
    return this.#writer.length + record <= HEADER_BYTES + TREE_PACK_BYTES_MAX;
  }

  add(node: Uint8Array, children: readonly Place[]): Place {
    const writer = this.#writer;
    const offset = writer.length;
    writer.reserve(RECORD_HEADER_BYTES + node.length + placesBytesMax(children.length));
    writer.length += RECORD_HEADER_BYTES;
    this.#append(node);
    const placesAt = writer.length;
    encodePlaces(writer, children, this, offset);
    writer.bytes.writeUInt32BE(node.length, offset);
    writer.bytes.writeUInt32BE(writer.length - placesAt, offset + 4);
    const length = writer.length - offset;
    this.#last = { offset, length };
    return { pack: this, offset, length };
  }

  /** All bytes of the pack; nothing can be added afterwards. */
  seal(): Buffer {
    const { offset, length } = this.#last ?? { offset: 0, length: 0 };
    const writer = this.#writer;
    writer.reserve(TREE_PACK_TRAILER_BYTES);
    const at = writer.length;
    writer.bytes.writeUInt32BE(offset, at);
    writer.bytes.writeUInt32BE(length, at + 4);
    writer.length += 8;
    this.#append(MAGIC);
    return writer.bytes.subarray(0, writer.length);
  }

  /** The bytes of one record; undefined when they are no longer kept here. */
  record({ offset, length }: Place): Buffer | undefined {
    if (this.#released) return undefined;
    return Buffer.from(this.#writer.bytes.subarray(offset, offset + length));
  }

  release(): void {
    this.#released = true;
    this.#writer.bytes = MAGIC;
  }

  #append(bytes: Uint8Array): void {
    const writer = this.#writer;
    writer.reserve(bytes.length);
    writer.bytes.set(bytes, writer.length);
    writer.length += bytes.length;
  }
}

/**
 * A record that was read at its place. Whether the node's bytes are the right ones is for who knows
 * the node's id to check.
 * @throws TarnError corrupt, naming the pack and the node
 */
export function decodeRecord(record: Uint8Array, place: Place, id: NodeId): StoredNode {
  const bytes = asBuffer(record);
  try {
    if (bytes.length !== place.length || bytes.length < RECORD_HEADER_BYTES) {
      throw new NodeFault(`it ends after ${bytes.length} bytes of ${place.length}`);
    }
    const nodeLength = bytes.readUInt32BE(0);
    const placesLength = bytes.readUInt32BE(4);
    if (RECORD_HEADER_BYTES + nodeLength + placesLength !== bytes.length) {
      throw new NodeFault('it has another length than its place says');
    }
    const placesAt = RECORD_HEADER_BYTES + nodeLength;
    const places =
      placesLength === 0
        ? undefined
        : decodePlaces(bytes.subarray(placesAt), place.pack, place.offset);
    return { bytes: bytes.subarray(RECORD_HEADER_BYTES, placesAt), place, places };
  } catch (error) {
    if (!(error instanceof NodeFault)) throw error;
    const at = `the record of node ${id} at byte ${place.offset}`;
    throw corruptPack(packKeyOf(place.pack), `${at} is damaged: ${error.message}`);
  }
}

/**
 * Where the last record lies, as the trailer says.
 * @param end the last bytes of the object, the trailer included where it has one
 * @throws TarnError corrupt, unsupported, naming the object
 */
export function decodeTrailer(end: Uint8Array, pack: TreePack): Place {
  const key = packKeyOf(pack);
  const bytes = asBuffer(end);
  const at = bytes.length - TREE_PACK_TRAILER_BYTES;
  if (at < 0) throw corruptPack(key, `it has only ${bytes.length} bytes`);
  checkMagic(bytes.subarray(at + 8), key, 'it does not end as a tree pack does');
  const place = { pack, offset: bytes.readUInt32BE(at), length: bytes.readUInt32BE(at + 4) };
  if (place.length > RECORD_BYTES_MAX || place.offset < HEADER_BYTES) {
    throw corruptPack(key, 'its trailer tells of a last record that cannot be');
  }
  return place;
}

export interface TreePackRecord extends StoredNode {
  readonly id: NodeId;
  readonly place: Place;
}

/**
 * All records of a whole pack, each node's bytes hashed to give its id; for checking a repository.
 * @param id the pack's name
 * @throws TarnError corrupt, unsupported, naming the object
 */
export function decodeTreePack(object: Uint8Array, id: Hash): TreePackRecord[] {
  const pack: TreePack = { id, isDurable: true };
  const key = treePackKey(id);
  const bytes = asBuffer(object);
  checkMagic(bytes, key, 'it does not begin as a tree pack does');
  const root = decodeTrailer(bytes, pack);
  const end = bytes.length - TREE_PACK_TRAILER_BYTES;
  const records: TreePackRecord[] = [];
  for (let offset = HEADER_BYTES; offset < end;) {
    const left = end - offset;
    const length = left < RECORD_HEADER_BYTES ? 0 : recordLength(bytes, offset);
    if (length === 0 || length > left) {
      throw corruptPack(key, `the record at byte ${offset} does not end before the pack does`);
    }
    const place = { pack, offset, length };
    const node = bytes.subarray(offset + RECORD_HEADER_BYTES);
    const nodeId = sha256(node.subarray(0, bytes.readUInt32BE(offset))) as NodeId;
    const record = decodeRecord(bytes.subarray(offset, offset + length), place, nodeId);
    records.push({ ...record, id: nodeId, place });
    offset += length;
  }
  const last = records.at(-1);
  if (last?.place.offset !== root.offset || last.place.length !== root.length) {
    throw corruptPack(key, 'its trailer does not tell of its last record');
  }
  if (last.id !== id && sha256(bytes) !== id) {
    throw corruptPack(key, 'neither its bytes nor the node at its end hash to its name');
  }
  return records;
}

function recordLength(bytes: Buffer, offset: number): number {
  const node = bytes.readUInt32BE(offset);
  if (node > NODE_BYTES_MAX) return 0;
  return RECORD_HEADER_BYTES + node + bytes.readUInt32BE(offset + 4);
}

function checkMagic(bytes: Buffer, key: string, problem: string): void {
  if (bytes.length < MAGIC.length || !bytes.subarray(0, 7).equals(MAGIC.subarray(0, 7))) {
    throw corruptPack(key, problem);
  }
  if (bytes[7] === MAGIC[7]) return;
  throw new TarnError(
    'unsupported',
    `tree pack '${key}' has version ${bytes[7] ?? 0}, this tarn knows version 1`,
    { hint: 'install a newer tarn' },
  );
}

function packKeyOf({ id }: TreePack): string {
  return id === undefined ? 'that is being written' : treePackKey(id);
}

export function corruptPack(key: string, problem: string): TarnError {
  return new TarnError('corrupt', `tree pack '${key}' is corrupt: ${problem}`, {
    hint: CORRUPT_HINT,
  });
}
