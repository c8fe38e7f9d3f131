import type { FileEntry } from '../../model/entry.js';
import type { Key } from '../../model/path.js';
import { ROOT_KEY } from '../../model/path.js';
import { giveWay } from '../../util/give-way.js';
import type { Inode, SpecialKind } from '../../vfs/filesystem.js';
import type { FileTable } from '../file-table.js';
import type { Node, NodeState, Origin, OwnName, StoredBytes } from '../nodes.js';
import { hasXattrs } from '../nodes.js';
import type { OverlaySnapshot } from '../snapshot.js';

/**
 * What of an overlay is to be staged, as plain data for a job's thread: each directory that has names
 * of its own, in front of its names.
 */
export type PlanItem = PlanDirectory | PlanName;

export interface PlanDirectory {
  readonly is: 'directory';
  /** Empty for the root, else it ends with `/`. */
  readonly path: Key;
  /** Of the base's entries that it shows; none when it is new. */
  readonly prefix?: Key;
  /** What it shows is not what the base, or a moved directory above, has at its path. */
  readonly isMoved: boolean;
  /** It is staged as a marker whatever is in it. */
  readonly isMarked: boolean;
  /** A program gave it attributes, which are not staged. */
  readonly hasXattrs: boolean;
  readonly look: PlanLook;
}

/** A name in the directory before it. */
export interface PlanName {
  readonly is: 'name';
  /** Of the own name's row in the journal. */
  readonly row: number;
  readonly name: Key;
  readonly node: PlanNode;
}

export type PlanNode =
  | { readonly kind: 'whiteout' }
  | { readonly kind: 'directory'; readonly isNew: boolean }
  | { readonly kind: 'special'; readonly what: SpecialKind }
  | { readonly kind: 'symlink'; readonly target: Key; readonly look: PlanLook }
  | PlanFile;

export interface PlanFile {
  readonly kind: 'file';
  readonly inode: Inode;
  readonly look: PlanLook;
  readonly origin?: Origin;
  /** It has a staged file, which has its bytes and times. */
  readonly isStaged: boolean;
  /** Of a partial one. */
  readonly beneath?: FileEntry;
  readonly stored?: StoredBytes;
  /** A program has it open for writing. */
  readonly isOpen: boolean;
  /** A program may have it mapped, though it has closed it. */
  readonly isMapped: boolean;
  /** Values in base64; without it those of the origin. */
  readonly xattrs?: readonly (readonly [Key, string])[];
}

export interface PlanLook {
  /** Permission bits. */
  readonly mode: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** A plan, and what its rows and inodes stand for. */
export interface Plan {
  /** JSON of some items each: a thread takes text at once, and objects one by one. */
  readonly batches: readonly string[];
  readonly names: ReadonlyMap<number, OwnName>;
  readonly nodes: ReadonlyMap<Inode, Node>;
}

/** Items between two turns of the event loop. */
const BATCH_ITEMS = 250;

export async function planOf(snapshot: OverlaySnapshot, files: FileTable): Promise<Plan> {
  const batches: string[] = [];
  const names = new Map<number, OwnName>();
  const nodes = new Map<Inode, Node>();
  let batch: PlanItem[] = [];
  const add = async (item: PlanItem): Promise<void> => {
    batch.push(item);
    if (batch.length < BATCH_ITEMS) return;
    batches.push(JSON.stringify(batch));
    batch = [];
    await giveWay();
  };
  const waiting: { readonly node: Node; readonly path: Key; readonly shown: Key | undefined }[] = [
    { node: snapshot.root, path: ROOT_KEY, shown: ROOT_KEY },
  ];
  for (let at = 0; at < waiting.length; at += 1) {
    const { node, path, shown } = waiting[at] as (typeof waiting)[number];
    const state = snapshot.stateOf(node);
    const prefix = node.isRoot ? ROOT_KEY : state?.prefix;
    await add(directoryItem(path, prefix, shown, state));
    for (const own of snapshot.namesOf(node)) {
      const child = own.node;
      const childState = child === undefined ? undefined : snapshot.stateOf(child);
      names.set(own.row, own);
      if (child !== undefined) nodes.set(child.inode, child);
      const item = nodeItem(child, childState, files);
      if (item === undefined) continue;
      await add({ is: 'name', row: own.row, name: own.name, node: item });
      if (child?.kind !== 'directory') continue;
      const childShown = prefix === undefined ? undefined : (`${prefix}${own.name}/` as Key);
      waiting.push({ node: child, path: `${path}${own.name}/` as Key, shown: childShown });
    }
  }
  if (batch.length > 0) batches.push(JSON.stringify(batch));
  return { batches, names, nodes };
}

export function itemsOf(batches: readonly string[]): PlanItem[] {
  return batches.flatMap((batch) => JSON.parse(batch) as PlanItem[]);
}

/** @param shown the prefix of the base that lies at its path when nothing is staged */
function directoryItem(
  path: Key,
  prefix: Key | undefined,
  shown: Key | undefined,
  state: NodeState | undefined,
): PlanDirectory {
  return {
    is: 'directory',
    path,
    ...(prefix === undefined ? {} : { prefix }),
    isMoved: prefix !== shown,
    isMarked: state?.isMarked === true,
    hasXattrs: hasXattrs(state),
    look: lookOf(state),
  };
}

/** Undefined for a node that is not changed, which no own name has. */
function nodeItem(
  node: Node | undefined,
  state: NodeState | undefined,
  files: FileTable,
): PlanNode | undefined {
  if (node === undefined) return { kind: 'whiteout' };
  if (state === undefined) return undefined;
  switch (node.kind) {
    case 'directory':
      return { kind: 'directory', isNew: state.prefix === undefined };
    case 'symlink':
      return { kind: 'symlink', target: state.target ?? ROOT_KEY, look: lookOf(state) };
    case 'file':
      return fileItem(node, state, files);
    case 'fifo':
    case 'socket':
    case 'character':
    case 'block':
      return { kind: 'special', what: node.kind };
  }
}

function fileItem(node: Node, state: NodeState, files: FileTable): PlanFile {
  const { origin, beneath, xattrs } = state;
  const isStaged = state.isStaged === true;
  const isOpen = files.isWritten(node);
  const { stored } = node;
  const values = xattrs && [...xattrs].map(([name, value]) => [name, base64(value)] as const);
  return {
    kind: 'file',
    inode: node.inode,
    look: lookOf(state),
    ...(origin === undefined ? {} : { origin }),
    isStaged,
    ...(beneath === undefined ? {} : { beneath }),
    ...(stored === undefined ? {} : { stored }),
    isOpen,
    isMapped: isStaged && !isOpen && !node.isGone && files.isMapped(node),
    ...(values === undefined ? {} : { xattrs: values }),
  };
}

function lookOf(state: NodeState | undefined): PlanLook {
  const { mode = 0o755, mtime = { sec: 0, nsec: 0 } } = state ?? {};
  return { mode, mtimeSec: mtime.sec, mtimeNsec: mtime.nsec };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
