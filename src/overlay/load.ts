import { TarnError } from '../util/errors.js';
import type { Inode } from '../vfs/filesystem.js';
import { ROOT_INODE } from '../vfs/inodes.js';
import type { JournalChange } from './journal/change.js';
import type { JournalContents } from './journal/journal.js';
import { Node, type OwnName } from './nodes.js';

export interface LoadedNodes {
  readonly root: Node;
  readonly nodes: Map<Inode, Node>;
  readonly version: number;
  readonly lastNodeRow: number;
  readonly lastNameRow: number;
  /** Takes out rows that nothing leads to; undefined when there are none. */
  readonly garbage: JournalChange | undefined;
}

/**
 * Nodes and names as the journal has them. What is below a removed directory may still be in it.
 * @throws TarnError corrupt
 */
export function loadNodes(contents: JournalContents): LoadedNodes {
  const root = new Node(ROOT_INODE, 'directory');
  const nodes = new Map<Inode, Node>([[ROOT_INODE, root]]);
  let version = 0;
  let lastNodeRow = 0;
  let lastNameRow = 0;
  for (const { row, inode, kind, state } of contents.nodes) {
    const node = inode === ROOT_INODE ? root : new Node(inode, kind);
    node.row = row;
    node.state = state;
    nodes.set(inode, node);
    version = Math.max(version, state.version);
    lastNodeRow = Math.max(lastNodeRow, row);
  }
  for (const { inode, stored } of contents.stored) {
    const node = nodes.get(inode);
    if (node !== undefined) node.stored = stored;
  }
  for (const { row, directory, name, node, version: changed } of contents.names) {
    version = Math.max(version, changed);
    lastNameRow = Math.max(lastNameRow, row);
    const parent = nodes.get(directory);
    const child = node === undefined ? undefined : nodes.get(node);
    if (parent?.directory === undefined) continue;
    if (node !== undefined && child === undefined) {
      throw new TarnError('corrupt', `the journal names the node ${node} and does not have it`, {
        hint: 'restore the journal from a copy, or delete the folder it is in and give up what programs changed since',
      });
    }
    const own: OwnName = { row, directory: parent, name, node: child, version: changed };
    parent.directory.own.set(name, own);
  }
  const reached = reach(root);
  const garbage = garbageOf(contents, nodes, reached);
  for (const node of nodes.values()) if (!reached.has(node)) nodes.delete(node.inode);
  return { root, nodes, version, lastNodeRow, lastNameRow, garbage };
}

/** Counts live names and notes where nodes are named, of all that can be reached. */
function reach(root: Node): Set<Node> {
  const reached = new Set<Node>([root]);
  for (const { directory } of reached) {
    if (directory === undefined) continue;
    for (const own of directory.own.values()) {
      if (own.node === undefined) continue;
      directory.live += 1;
      if (own.node.kind === 'directory') directory.directories += 1;
      own.node.names.push(own);
      reached.add(own.node);
    }
  }
  return reached;
}

function garbageOf(
  contents: JournalContents,
  nodes: ReadonlyMap<Inode, Node>,
  reached: ReadonlySet<Node>,
): JournalChange | undefined {
  const isReached = (inode: Inode): boolean => {
    const node = nodes.get(inode);
    return node !== undefined && reached.has(node);
  };
  const dropNodes = contents.nodes.filter(({ inode }) => !isReached(inode)).map(({ row }) => row);
  const dropNames = contents.names
    .filter(({ directory }) => !isReached(directory))
    .map(({ row }) => row);
  const dropStored = contents.stored
    .filter(({ inode }) => !isReached(inode))
    .map(({ inode }) => inode);
  const isNone = dropNodes.length + dropNames.length + dropStored.length === 0;
  return isNone ? undefined : { dropNodes, dropNames, dropStored };
}
