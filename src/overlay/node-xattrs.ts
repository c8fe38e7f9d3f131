import type { Key } from '../model/path.js';
import type { Errno } from '../vfs/filesystem.js';
import { directoryXattrs, entryXattrs, isOurs, rootXattrs, type Xattrs } from '../vfs/xattrs.js';
import type { Facts } from './facts.js';
import type { NodeMemory } from './node-memory.js';
import { prefixOf, type Node } from './nodes.js';

/** Of Linux, bytes. */
const NAME_BYTES_MAX = 255;
/** Names and values of one node together, what an entry can hold as metadata; bytes. */
const ALL_BYTES_MAX = 16_384;
/** What tarn says of a node, which nobody can change. */
const PROVENANCE = 'user.tarn.';

/** All attributes of a node, its own and tarn's. */
export function xattrsOf(memory: NodeMemory, facts: Facts, node: Node): Xattrs {
  const given = givenXattrs(memory, facts, node);
  const own = node.state?.xattrs;
  if (own === undefined) return given;
  const all = new Map<Key, Uint8Array>();
  for (const [name, value] of given) if (name.startsWith(PROVENANCE)) all.set(name, value);
  for (const [name, value] of own) all.set(name, value);
  return all;
}

/** The node's own ones after `name` was set to `value`, or removed; an errno where that cannot be. */
export function changedXattrs(
  before: Xattrs,
  name: Key,
  value: Uint8Array | undefined,
  how: 'set' | 'create' | 'replace',
): Map<Key, Uint8Array> | Errno {
  if (!isOurs(name)) return 'ENOTSUP';
  if (name.startsWith(PROVENANCE)) return 'EPERM';
  if (name.length > NAME_BYTES_MAX) return 'ERANGE';
  if (how === 'create' && before.has(name)) return 'EEXIST';
  if ((how === 'replace' || value === undefined) && !before.has(name)) return 'ENODATA';
  const after = new Map<Key, Uint8Array>();
  for (const [key, bytes] of before) if (!key.startsWith(PROVENANCE)) after.set(key, bytes);
  if (value === undefined) after.delete(name);
  else after.set(name, Uint8Array.from(value));
  let bytes = 0;
  for (const [key, kept] of after) bytes += key.length + kept.length;
  return bytes > ALL_BYTES_MAX ? 'ENOSPC' : after;
}

/** What the base says of a node whose bytes are still the base's. */
function givenXattrs(memory: NodeMemory, facts: Facts, node: Node): Xattrs {
  const { source } = memory.base.view;
  if (node.isRoot) return rootXattrs(source);
  const { state } = node;
  if (node.kind === 'directory') {
    const prefix = prefixOf(node);
    return prefix === undefined ? new Map() : directoryXattrs(source, prefix);
  }
  if (node.kind !== 'file') return new Map();
  if (state === undefined) {
    const entry = facts.entry(node);
    const key = memory.keyOf(node);
    return entry === undefined || key === undefined ? new Map() : entryXattrs(source, key, entry);
  }
  const { origin, isStaged } = state;
  if (origin === undefined) return new Map();
  const ofOrigin = entryXattrs(source, origin.key, origin.entry);
  if (isStaged !== true) return ofOrigin;
  return new Map([...ofOrigin].filter(([name]) => !name.startsWith(PROVENANCE)));
}
