import { ROOT_KEY, type Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { FrozenView } from '../repo/view.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { Base, type BaseName } from './base.js';
import type { Inode } from './filesystem.js';
import { hash52, ROOT_INODE } from './inodes.js';
import type { Timestamp } from './writable.js';

/**
 * What was at a path of a branch. A file or symlink never becomes another: where a commit changes it, a
 * new node takes its name, and the old one goes on showing what it showed, for as long as it is held.
 */
export class FollowedNode {
  readonly inode: Inode;
  readonly parent: FollowedNode | undefined;
  /** As it shows. */
  readonly name: Key;
  /** In the tree; of a directory it ends with `/`, of the root it is empty. */
  readonly key: Key;
  /** Of a directory: its nodes in memory, by the names they show as. */
  readonly children = new Map<Key, FollowedNode>();
  /** The newest in which it was seen to be; of what is gone the last. */
  base: Base;
  look: BaseName;
  /** By kernels and open handles. */
  holds = 0;
  /** Its name leads to another node, or to none. */
  isGone = false;

  constructor(
    inode: Inode,
    parent: FollowedNode | undefined,
    name: Key,
    key: Key,
    base: Base,
    look: BaseName,
  ) {
    this.inode = inode;
    this.parent = parent;
    this.name = name;
    this.key = key;
    this.base = base;
    this.look = look;
  }

  get isDirectory(): boolean {
    return this.look.kind === 'directory';
  }
}

/**
 * The nodes of a branch that somebody holds. Numbers follow from paths: that of a key is hash52 of it,
 * hashed again while another node has that number.
 */
export class FollowingNodes {
  readonly root: FollowedNode;
  readonly #nodes = new Map<Inode, FollowedNode>();
  /** Of directories that no marker describes: that of the first commit, so that the later ones change none of them. */
  readonly #date: Timestamp;
  #base: Base;

  constructor(view: FrozenView) {
    const { dateMs } = view.source.commit;
    const sec = Math.floor(dateMs / 1000);
    this.#date = { sec, nsec: Math.round((dateMs - sec * 1000) * 1e6) };
    this.#base = new Base(view, 1, this.#date);
    const { root } = this.#base;
    this.root = new FollowedNode(ROOT_INODE, undefined, '' as Key, ROOT_KEY, this.#base, root);
    this.#nodes.set(ROOT_INODE, this.root);
  }

  get base(): Base {
    return this.#base;
  }

  /** How many are in memory, the root among them. */
  get size(): number {
    return this.#nodes.size;
  }

  moveTo(view: FrozenView): void {
    this.#base = new Base(view, this.#base.generation + 1, this.#date);
    this.root.base = this.#base;
  }

  node(inode: Inode): FollowedNode | undefined {
    return this.#nodes.get(inode);
  }

  /** The base that a directory shows: of one that is gone the last that had it. */
  baseOf(directory: FollowedNode): Base {
    return directory.isGone ? directory.base : this.#base;
  }

  /** Sees to it that what is known of a directory is of the present base; it may be gone then. */
  refresh(node: FollowedNode, signal: AbortSignal): MaybePromise<void> {
    const { parent } = node;
    if (!node.isDirectory || node.isGone || node.base === this.#base) return;
    if (parent === undefined) return;
    return andThen(this.refresh(parent, signal), () => {
      // It stays the child of what is gone, for those who stand there.
      if (parent.isGone) node.isGone = true;
      else return this.confirm(node, signal);
    });
  }

  /** Asks the present base for the name of a node. */
  confirm({ parent, name }: FollowedNode, signal: AbortSignal): MaybePromise<void> {
    if (parent === undefined) return;
    return andThen(this.child(parent, name, signal), (found) => {
      if (found !== undefined) this.tidy(found);
    });
  }

  /** What the directory shows as `name`. */
  child(
    directory: FollowedNode,
    name: Key,
    signal: AbortSignal,
  ): MaybePromise<FollowedNode | undefined> {
    const base = this.baseOf(directory);
    const known = directory.children.get(name);
    if (known?.base === base) return known;
    return andThen(base.find(directory.key, name, signal), (found) => {
      if (base !== this.baseOf(directory)) return this.child(directory, name, signal);
      if (found === undefined) {
        const gone = directory.children.get(name);
        if (gone !== undefined) this.#detach(gone);
        return undefined;
      }
      return andThen(this.adopt(directory, name, base, found, signal), (node) =>
        node === 'moved' ? this.child(directory, name, signal) : node,
      );
    });
  }

  /** The node of what `base` shows; 'moved' where that is not the directory's base any more. */
  adopt(
    directory: FollowedNode,
    name: Key,
    base: Base,
    found: BaseName,
    signal: AbortSignal,
  ): MaybePromise<FollowedNode | 'moved'> {
    if (base !== this.baseOf(directory)) return 'moved';
    const known = directory.children.get(name);
    if (known === undefined) return this.#make(directory, name, base, found);
    if (known.base === base) return known;
    return andThen(isAsBefore(known, directory, base, found, signal), (same) => {
      const isMoved = base !== this.baseOf(directory) || directory.children.get(name) !== known;
      if (isMoved) return 'moved';
      if (!same) {
        this.#detach(known);
        return this.#make(directory, name, base, found);
      }
      known.base = base;
      known.look = found;
      return known;
    });
  }

  hold(node: FollowedNode, times = 1): void {
    node.holds += times;
  }

  letGo(node: FollowedNode, times = 1): void {
    node.holds -= times;
    this.tidy(node);
  }

  /** Forgets a node that nobody holds. */
  tidy(node: FollowedNode): void {
    const { parent } = node;
    if (node.holds > 0 || node.children.size > 0 || parent === undefined) return;
    this.#nodes.delete(node.inode);
    if (parent.children.get(node.name) === node) parent.children.delete(node.name);
    this.tidy(parent);
  }

  #make(directory: FollowedNode, name: Key, base: Base, found: BaseName): FollowedNode {
    const key = keyOf(directory, found);
    const node = new FollowedNode(this.#numberFor(key), directory, name, key, base, found);
    this.#nodes.set(node.inode, node);
    directory.children.set(name, node);
    return node;
  }

  #numberFor(key: Key): Inode {
    let number = hash52(key);
    while (number <= ROOT_INODE || this.#nodes.has(number)) number = hash52(`${number}\0${key}`);
    return number;
  }

  #detach(node: FollowedNode): void {
    node.isGone = true;
    const { parent } = node;
    if (parent?.children.get(node.name) === node) parent.children.delete(node.name);
    this.tidy(node);
  }
}

function keyOf(directory: FollowedNode, { kind, baseName }: BaseName): Key {
  return `${directory.key}${baseName}${kind === 'directory' ? '/' : ''}` as Key;
}

/** Whether the node is what the base now shows under its name. */
function isAsBefore(
  node: FollowedNode,
  directory: FollowedNode,
  base: Base,
  found: BaseName,
  signal: AbortSignal,
): MaybePromise<boolean> {
  if (node.look.kind !== found.kind || node.key !== keyOf(directory, found)) return false;
  if (found.kind === 'directory') return true;
  const { size, mtimeSec, mtimeNsec, mode } = node.look;
  if (size !== found.size || mode !== found.mode) return false;
  if (mtimeSec !== found.mtimeSec || mtimeNsec !== found.mtimeNsec) return false;
  const before = node.base.view.get(node.key, signal);
  return andThen(before, (old) =>
    andThen(base.view.get(node.key, signal), (now) => isSameEntry(old, now)),
  );
}
