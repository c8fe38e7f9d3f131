import type { Key } from '../model/path.js';
import { giveWay } from '../util/give-way.js';
import type { FileTable } from './file-table.js';
import type { NodeMemory } from './node-memory.js';
import type { Node } from './nodes.js';

/** Keys between two turns of the event loop. */
const KEYS_A_TURN = 500;

/**
 * Tells all mounts which of the names and nodes that their kernels may know are others since the
 * base was exchanged: those at `keys`, where the two bases differ. What is own of the overlay is as
 * it was.
 */
export async function follow(
  memory: NodeMemory,
  files: FileTable,
  keys: AsyncIterable<Key> | Iterable<Key>,
  signal: AbortSignal,
): Promise<void> {
  const origins = new Map<Key, Node>([['' as Key, memory.root]]);
  for (const node of memory.changedNodes()) {
    if (node.state?.prefix !== undefined) origins.set(node.state.prefix, node);
  }
  const passed = new Set<Node>();
  let seen = 0;
  for await (const key of keys) {
    tellOf(memory, files, origins, key, passed);
    seen += 1;
    if (seen % KEYS_A_TURN === 0) await giveWay();
  }
  // Directories are there as long as something is in them.
  for (const node of passed) {
    const { place } = node;
    if (place === undefined) continue;
    await memory.refresh(node, signal);
    if (!node.isGone) continue;
    memory.tell(undefined, (listener) => listener.entryChanged(place.parent.inode, place.name));
  }
}

function tellOf(
  memory: NodeMemory,
  files: FileTable,
  origins: ReadonlyMap<Key, Node>,
  key: Key,
  passed: Set<Node>,
): void {
  let cut = key.length;
  let found: Node | undefined;
  while (found === undefined) {
    cut = cut === 0 ? 0 : key.lastIndexOf('/', cut - 1);
    cut = Math.max(cut, 0);
    found = origins.get((cut === 0 ? '' : key.slice(0, cut + 1)) as Key);
  }
  let directory: Node = found;
  const names = key.slice(cut === 0 ? 0 : cut + 1).split('/') as Key[];
  for (const [i, name] of names.entries()) {
    const isLast = i === names.length - 1;
    if (isLast && name === '') {
      memory.tell(undefined, (listener) => listener.nodeChanged(directory.inode, false));
      return;
    }
    if (directory.directory?.own.has(name) === true) return;
    const node = directory.directory?.unchanged.get(name);
    if (isLast || node?.kind !== 'directory') {
      tellName(memory, files, directory, name, node);
      return;
    }
    passed.add(node);
    directory = node;
  }
}

function tellName(
  memory: NodeMemory,
  files: FileTable,
  directory: Node,
  name: Key,
  node: Node | undefined,
): void {
  // Who has it open goes on with what was opened; the name leads to another node from now on.
  if (node !== undefined && files.isOpen(node)) memory.orphan(node);
  memory.tell(undefined, (listener) => {
    listener.entryChanged(directory.inode, name);
    if (node !== undefined && !node.isGone) listener.nodeChanged(node.inode, true);
  });
}
