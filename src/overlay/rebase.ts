import type { Key } from '../model/path.js';
import type { FrozenView } from '../repo/view.js';
import { hash52 } from '../vfs/inodes.js';
import type { StagedStat } from './bytes/staged-stat.js';
import type { FileTable } from './file-table.js';
import type { JournalChange } from './journal/change.js';
import type { NodeRow, NumberRow } from './journal/rows.js';
import type { NodeMemory } from './node-memory.js';
import {
  hasXattrs,
  isPassing,
  type Node,
  type NodeState,
  type OwnName,
  type StagedStamp,
} from './nodes.js';
import type { Absorbed } from './snapshot.js';

/** Where less than one node in so many stays, the journal is written anew. */
const STAYING_SHARE = 4;

/**
 * Puts a new base below the overlay, which has what was absorbed: in one step, the names and nodes
 * that are as they were absorbed leave the overlay, and the rest is related to the new base.
 * @throws TarnError no-space, io, corrupt; then nothing has changed
 */
export function rebase(
  memory: NodeMemory,
  files: FileTable,
  view: FrozenView,
  absorbed: Absorbed | undefined,
): void {
  if (absorbed === undefined) memory.setBase(view);
  else new Rebase(memory, files, absorbed).run(view);
}

class Rebase {
  readonly #memory: NodeMemory;
  readonly #files: FileTable;
  readonly #absorbed: Absorbed;
  /** Where the new base has the nodes; directories end with `/`. */
  readonly #keys = new Map<Node, Key>();
  readonly #leavingNames: { readonly own: OwnName; readonly path: Key | undefined }[] = [];
  /** With the name in whose place each is from now on. */
  readonly #leavingNodes = new Map<Node, OwnName>();
  readonly #states = new Map<Node, NodeState>();
  readonly #leaves = new Map<Node, boolean>();
  readonly #putNumbers = new Map<Key, NumberRow>();
  readonly #dropNumbers = new Set<Key>();

  constructor(memory: NodeMemory, files: FileTable, absorbed: Absorbed) {
    this.#memory = memory;
    this.#files = files;
    this.#absorbed = absorbed;
    for (const [{ node }, key] of absorbed.names) {
      if (node !== undefined && !this.#keys.has(node)) this.#keys.set(node, key);
    }
  }

  run(view: FrozenView): void {
    const { root } = this.#memory;
    this.#visit(root, '' as Key);
    const own = root.directory?.own.size ?? 0;
    const leavingOfRoot = this.#leavingNames.filter(({ own: { directory } }) => directory === root);
    const isRootAsBefore =
      root.state !== undefined && root.state === this.#absorbed.snapshot.stateOf(root);
    const dropsRoot = isRootAsBefore && leavingOfRoot.length === own && !hasXattrs(root.state);
    this.#memory.journal.write(this.#journalChange(dropsRoot ? root : undefined));
    if (dropsRoot) {
      root.state = undefined;
      root.row = 0;
    }
    this.#apply();
    this.#memory.setBase(view);
    this.#tell();
  }

  /** Decides about all below `directory`; true when nothing of it stays. */
  #visit(directory: Node, prefix: Key | undefined): boolean {
    let isAllLeaving = true;
    for (const own of directory.directory?.own.values() ?? []) {
      if (!this.#visitName(own, prefix)) isAllLeaving = false;
    }
    return isAllLeaving;
  }

  #visitName(own: OwnName, prefix: Key | undefined): boolean {
    const { node, name } = own;
    const isAbsorbed = this.#absorbed.names.has(own);
    if (node === undefined) {
      if (isAbsorbed) this.#leavingNames.push({ own, path: undefined });
      return isAbsorbed;
    }
    if (node.kind !== 'directory') {
      if (this.#leafLeaves(node)) {
        this.#leave(own, prefix === undefined ? undefined : (`${prefix}${name}` as Key));
        return true;
      }
      this.#relate(node);
      return false;
    }
    const passes = isPassing(own);
    const below = passes && prefix !== undefined ? (`${prefix}${name}/` as Key) : undefined;
    const key = below ?? this.#keys.get(node) ?? node.state?.prefix;
    const isAsBefore =
      node.state === this.#absorbed.snapshot.stateOf(node) && !hasXattrs(node.state);
    const isEmptied = this.#visit(node, key);
    if (isEmptied && isAsBefore && (passes || isAbsorbed)) {
      this.#leave(own, key);
      return true;
    }
    if (node.state !== undefined && key !== undefined && key !== node.state.prefix) {
      this.#states.set(node, { ...node.state, prefix: key });
    }
    return false;
  }

  /** A node with several names leaves with all of them or not at all. */
  #leafLeaves(node: Node): boolean {
    const known = this.#leaves.get(node);
    if (known !== undefined) return known;
    const { snapshot, names, files } = this.#absorbed;
    const staged = files.get(node);
    const leaves =
      node.state === snapshot.stateOf(node) &&
      node.names.every((own) => names.has(own)) &&
      (node.state?.isStaged !== true ||
        (staged !== undefined &&
          !this.#files.isOpen(node) &&
          !this.#files.isMapped(node) &&
          isOf(staged.stamp, this.#files.stat(node))));
    this.#leaves.set(node, leaves);
    return leaves;
  }

  /** What stays differs from what the new base has of it now. */
  #relate(node: Node): void {
    const key = this.#keys.get(node);
    const { state } = node;
    if (key === undefined || state === undefined) return;
    const entry = this.#absorbed.files.get(node)?.entry ?? state.origin?.entry;
    if (entry !== undefined) this.#states.set(node, { ...state, origin: { key, entry } });
  }

  #leave(own: OwnName, path: Key | undefined): void {
    const node = own.node as Node;
    this.#leavingNames.push({ own, path });
    if (this.#leavingNodes.has(node)) return;
    this.#leavingNodes.set(node, own);
    if (path !== undefined) this.#keepNumber(own, node, path);
  }

  /** The node's number, and those of what is below it, stay what they are. */
  #keepNumber(own: OwnName, node: Node, path: Key): void {
    const { numbers } = this.#memory;
    const isDirectory = node.kind === 'directory';
    const above = numbers.numberingOf(own.directory);
    const plain = `${above}${own.name}${isDirectory ? '/' : ''}` as Key;
    const number = hash52(plain) === node.inode ? undefined : node.inode;
    const ownNumbering = isDirectory ? numbers.numberingOf(node) : plain;
    const numbering = ownNumbering === plain ? undefined : ownNumbering;
    const before = node.state?.prefix ?? node.state?.origin?.key;
    if (before !== undefined && before !== path) this.#freeNumber(before, node);
    const row = numbers.row(path);
    if (number !== undefined || numbering !== undefined) {
      if (row?.number === number && row?.numbering === numbering) return;
      this.#putNumbers.set(path, { path, number, numbering });
    } else if (row !== undefined) {
      this.#dropNumbers.add(path);
    }
  }

  /** A path that the node was at has no claim to its number any more. */
  #freeNumber(path: Key, node: Node): void {
    const row = this.#memory.numbers.row(path);
    if (row?.number !== node.inode || this.#putNumbers.has(path)) return;
    if (row.numbering === undefined) this.#dropNumbers.add(path);
    else this.#putNumbers.set(path, { ...row, number: undefined });
  }

  /** Where little stays, that is written anew: taking out row by row takes longer than all at once. */
  #journalChange(root: Node | undefined): JournalChange {
    const numbers = {
      putNumbers: [...this.#putNumbers.values()],
      dropNumbers: [...this.#dropNumbers],
    };
    const leaving = [...this.#leavingNodes.keys(), ...(root === undefined ? [] : [root])];
    const staying = this.#staying(new Set(leaving));
    if (staying.length * STAYING_SHARE <= leaving.length) {
      return { clears: true, frees: true, ...this.#rowsOf(staying), ...numbers };
    }
    return {
      frees: true,
      dropNames: this.#leavingNames.map(({ own }) => own.row),
      dropNodes: leaving.map((node) => node.row),
      dropStored: leaving.filter((node) => node.stored !== undefined).map((node) => node.inode),
      putNodes: [...this.#states.keys()].map((node) => this.#rowOf(node)),
      ...numbers,
    };
  }

  #staying(leaving: ReadonlySet<Node>): Node[] {
    const staying: Node[] = [];
    for (const node of this.#memory.changedNodes()) if (!leaving.has(node)) staying.push(node);
    return staying;
  }

  #rowsOf(nodes: readonly Node[]): JournalChange {
    const left = new Set(this.#leavingNames.map(({ own }) => own));
    const names = nodes.flatMap((node) => [...(node.directory?.own.values() ?? [])]);
    const stored = nodes.flatMap(({ inode, stored }) =>
      stored === undefined ? [] : [{ inode, stored }],
    );
    return {
      putNodes: nodes.map((node) => this.#rowOf(node)),
      putNames: names
        .filter((own) => !left.has(own))
        .map(({ row, directory, name, node, version }) => ({
          row,
          directory: directory.inode,
          name,
          node: node?.inode,
          version,
        })),
      putStored: stored,
    };
  }

  #rowOf(node: Node): NodeRow {
    const state = this.#states.get(node) ?? node.state ?? this.#memory.initialState(node);
    return { row: node.row, inode: node.inode, kind: node.kind, state };
  }

  #apply(): void {
    const { numbers } = this.#memory;
    for (const path of this.#dropNumbers) numbers.drop(path);
    for (const row of this.#putNumbers.values()) numbers.put(row);
    for (const [node, state] of this.#states) this.#memory.setState(node, state);
    const doomed: Node[] = [];
    for (const [node, own] of this.#leavingNodes) {
      if (node.state?.isStaged === true) doomed.push(node);
      const look = this.#lookOf(node);
      const { directory: parent, name } = own;
      node.place = { parent, name, baseName: name, ...look, generation: 0 };
    }
    for (const { own } of this.#leavingNames) {
      this.#memory.setOwnName(own.directory, own.name, undefined);
    }
    for (const [node, { directory, name }] of this.#leavingNodes) {
      node.state = undefined;
      node.row = 0;
      node.stored = undefined;
      directory.directory?.unchanged.set(name, node);
      this.#memory.moved(node);
    }
    for (const node of this.#leavingNodes.keys()) this.#memory.tidy(node);
    this.#files.discardLater(doomed);
  }

  #lookOf(node: Node): { mode: number; size: number; mtimeSec: number; mtimeNsec: number } {
    const state = node.state ?? this.#memory.initialState(node);
    const { mode, mtime, target, origin } = state;
    const stat = state.isStaged === true ? this.#files.stat(node) : undefined;
    const entry = origin?.entry;
    const size = stat?.size ?? target?.length ?? (entry?.kind === 'file' ? entry.size : 0);
    const { mtimeSec, mtimeNsec } = stat ?? { mtimeSec: mtime.sec, mtimeNsec: mtime.nsec };
    return { mode, size, mtimeSec, mtimeNsec };
  }

  #tell(): void {
    const first = new Set(this.#leavingNodes.values());
    this.#memory.tell(undefined, (listener) => {
      for (const node of this.#leavingNodes.keys()) listener.nodeChanged(node.inode, false);
      for (const { own } of this.#leavingNames) {
        const isSplitOff = own.node !== undefined && !first.has(own);
        if (isSplitOff) listener.entryChanged(own.directory.inode, own.name);
      }
    });
  }
}

function isOf(stamp: StagedStamp, stat: StagedStat): boolean {
  return (
    stamp.size === stat.size &&
    stamp.mtimeSec === stat.mtimeSec &&
    stamp.mtimeNsec === stat.mtimeNsec &&
    stamp.ctimeSec === stat.ctimeSec &&
    stamp.ctimeNsec === stat.ctimeNsec
  );
}
