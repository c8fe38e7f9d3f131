import { TarnError } from '../util/errors.js';
import type { NodeId } from '../model/ids.js';
import { HASH_BYTES } from '../model/ids.js';
import { asBuffer, ByteReader, fromZigzag, NodeFault } from './bytes.js';
import { EntryChecker } from './entry-checker.js';
import { LEVEL_MAX, MAGIC, MTIME_SEC_MAX, NODE_BYTES_MAX, VERSION } from './format.js';
import { KeyChecker } from './key-checker.js';
import type { NodeWhere, TreeNode } from './node.js';
import { InnerNode, LeafNode } from './node.js';
import { readSources } from './sources.js';

/**
 * Decodes a node whose bytes hash to `id`, and checks it whole: only the canonical bytes of entries
 * that keep the rules are accepted, so reading the node cannot fail. What is left to verifyTree is
 * where nodes end, which depends on the tree around them.
 * @param where what the store knows of where the node and its children lie
 * @throws TarnError corrupt naming the node; unsupported when a newer tarn wrote it
 */
export function decodeNode(id: NodeId, bytes: Uint8Array, where: NodeWhere = {}): TreeNode {
  const buffer = asBuffer(bytes);
  try {
    return readNode(id, buffer, where);
  } catch (error) {
    if (!(error instanceof NodeFault)) throw error;
    throw error.newer ? newerNode(id, error.message) : corruptNode(id, error.message);
  }
}

export function corruptNode(id: NodeId, problem: string): TarnError {
  return new TarnError('corrupt', `tree node ${id} is corrupt: ${problem}`, {
    hint: 'restore this object from a copy of the repository',
  });
}

function newerNode(id: NodeId, problem: string): TarnError {
  return new TarnError('unsupported', `tree node ${id} was written by a newer tarn: ${problem}`, {
    hint: 'install a newer tarn to read it',
  });
}

interface NodeOrigin extends NodeWhere {
  readonly id: NodeId;
}

interface Header {
  readonly level: number;
  readonly packs: number;
  readonly sources: number;
  readonly count: number;
  readonly entries: number;
  readonly totalBytes: number;
}

function readNode(id: NodeId, bytes: Buffer, where: NodeWhere): TreeNode {
  if (bytes.length > NODE_BYTES_MAX) throw new NodeFault(`it is ${bytes.length} bytes long`);
  const reader = new ByteReader(bytes);
  const header = readHeader(reader);
  const origin = { id, place: where.place, places: where.places };
  const node =
    header.level === 0 ? readLeaf(origin, reader, header) : readInner(origin, reader, header);
  if (reader.position !== bytes.length) {
    throw new NodeFault(`${bytes.length - reader.position} bytes follow its last item`);
  }
  return node;
}

function readHeader(reader: ByteReader): Header {
  if (reader.u32() !== MAGIC) throw new NodeFault('it does not start as a tree node does');
  const version = reader.u8();
  if (version > VERSION) throw new NodeFault(`its format version is ${version}`, true);
  if (version !== VERSION) throw new NodeFault(`its format version is ${version}`);
  const level = reader.u8();
  if (level > LEVEL_MAX) throw new NodeFault(`its level is ${level}`);
  const packs = reader.u16();
  const sources = reader.u16();
  const count = reader.u32();
  const entries = reader.u53();
  const totalBytes = reader.u53();
  if (count > reader.bytes.length) throw new NodeFault(`it claims ${count} items`);
  return { level, packs, sources, count, entries, totalBytes };
}

function readInner(origin: NodeOrigin, reader: ByteReader, header: Header): InnerNode {
  const { level, packs, sources, count } = header;
  if (packs + sources !== 0) throw new NodeFault('an inner node has packs or sources');
  if (count === 0) throw new NodeFault('an inner node has no children');
  const offsets = new Uint32Array(count);
  const entriesBefore = new Float64Array(count + 1);
  const bytesBefore = new Float64Array(count + 1);
  const keys = new KeyChecker(reader);
  let entries = 0;
  let totalBytes = 0;
  for (let i = 0; i < count; i++) {
    offsets[i] = reader.position;
    keys.next(i);
    reader.skip(HASH_BYTES);
    const childEntries = reader.uvarint();
    if (childEntries === 0) throw new NodeFault('it points at an empty node');
    entries += childEntries;
    totalBytes += reader.uvarint();
    entriesBefore[i + 1] = entries;
    bytesBefore[i + 1] = totalBytes;
  }
  checkTotals(header, entries, totalBytes);
  const known = origin.places?.count ?? count;
  if (known !== count)
    throw new NodeFault(`${packOf(origin)} has places for ${known} of its ${count} children`);
  const { id, place, places } = origin;
  const { bytes } = reader;
  const parts = { id, place, places, bytes, level, entries, totalBytes, offsets };
  return new InnerNode(parts, entriesBefore, bytesBefore);
}

function packOf({ place }: NodeOrigin): string {
  return `tree pack ${place?.pack.id ?? 'that is being written'}`;
}

function checkTotals(header: Header, entries: number, totalBytes: number): void {
  if (header.entries !== entries || header.totalBytes !== totalBytes) {
    throw new NodeFault(
      `it claims ${header.entries} entries of ${header.totalBytes} bytes, ` +
        `but holds ${entries} of ${totalBytes}`,
    );
  }
}

function readLeaf(origin: NodeOrigin, reader: ByteReader, header: Header): LeafNode {
  const { packs, count } = header;
  const mtimeBase = fromZigzag(reader.u53());
  if (Math.abs(mtimeBase) > MTIME_SEC_MAX) {
    throw new NodeFault('its base of modification times is out of range');
  }
  const packIds = new Set<string>();
  for (let i = 0; i < packs; i++) {
    const start = reader.skip(HASH_BYTES);
    packIds.add(reader.bytes.toString('latin1', start, start + HASH_BYTES));
  }
  if (packIds.size !== packs) throw new NodeFault('it names a pack twice');
  const sources = readSources(reader, header.sources);
  const offsets = new Uint32Array(count);
  const keys = new KeyChecker(reader);
  const values = new EntryChecker(reader, keys, { packs, sources, mtimeBase });
  for (let i = values.pass(0, offsets); i < count; i = values.pass(i + 1, offsets)) {
    offsets[i] = reader.position;
    keys.next(i);
    values.next(i);
  }
  values.end();
  const { totalBytes } = values;
  checkTotals(header, count, totalBytes);
  if (origin.places !== undefined)
    throw new NodeFault(`${packOf(origin)} has places for children of this leaf`);
  const { id, place } = origin;
  const { bytes } = reader;
  const parts = { id, place, bytes, level: 0, entries: count, totalBytes, offsets };
  return new LeafNode(parts, { packs, sources, mtimeBase });
}
