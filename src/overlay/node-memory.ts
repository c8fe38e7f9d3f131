import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import type { FrozenView } from '../repo/view.js';
import { andThen, type MaybePromise } from '../util/async.js';
import { TarnError } from '../util/errors.js';
import { Base, type BaseName } from '../vfs/base.js';
import type { Inode } from '../vfs/filesystem.js';
import type { RequestId, Timestamp } from '../vfs/writable.js';
import type { Journal } from './journal/journal.js';
import { loadNodes } from './load.js';
import { Node, prefixOf, type BasePlace, type NodeState, type OwnName } from './nodes.js';
import { Numbers } from './numbers.js';
import { OverlaySnapshot } from './snapshot.js';

/** What a mount hears of changes that others made. */
export interface OverlayListener {
  /** `name` in the directory is another node by now, or none. */
  entryChanged(parent: Inode, name: Key): void;
  /** Attributes and, with `bytes`, the contents of the node are others by now. */
  nodeChanged(inode: Inode, bytes: boolean): void;
  /** The node has another name, or another directory, by now; or none any more. */
  nodeMoved(node: Node): void;
  /** As NodeNotes. */
  telling(): void;
  told(): void;
}

/** Who changes something. */
export interface Caller {
  /** That need not be told. */
  readonly mount: OverlayListener;
  readonly request?: RequestId | undefined;
}

/** A name in a directory, and what the base shows there. */
export interface Slot {
  readonly directory: Node;
  readonly name: Key;
  readonly prefix: Key | undefined;
  readonly generation: number;
  readonly base: BaseName | undefined;
}

/**
 * The nodes and names of an overlay: what was changed, and what the base shows of the rest.
 *
 * What the base says may have to be waited for; what is changed is changed in one step afterwards,
 * when it has been seen that what was waited for still holds.
 */
export abstract class NodeMemory {
  readonly root: Node;
  readonly journal: Journal;
  readonly numbers: Numbers;
  /** Of the last change. */
  version: number;
  /** Names the base: two of one name are equal. */
  baseName = '';
  readonly #nodes: Map<Inode, Node>;
  readonly #listeners = new Set<OverlayListener>();
  readonly #snapshots = new Set<OverlaySnapshot>();
  readonly #outcomes: ReadonlyMap<RequestId, Inode>;
  readonly #directoryDate: Timestamp;
  #base: Base;
  #lastNodeRow: number;
  #lastNameRow: number;

  /** @throws TarnError corrupt, no-space, io */
  protected constructor(journal: Journal, view: FrozenView) {
    this.journal = journal;
    const contents = journal.read();
    const loaded = loadNodes(contents);
    this.#outcomes = contents.outcomes;
    this.#nodes = loaded.nodes;
    this.root = loaded.root;
    this.version = loaded.version;
    this.#lastNodeRow = loaded.lastNodeRow;
    this.#lastNameRow = loaded.lastNameRow;
    if (loaded.garbage !== undefined) journal.write(loaded.garbage);
    this.numbers = new Numbers(contents.numbers, (number) => this.#nodes.has(number));
    this.#directoryDate = contents.directoryDate ?? dateOf(view);
    if (contents.directoryDate === undefined) journal.write({ directoryDate: this.#directoryDate });
    this.#base = new Base(view, 1, this.#directoryDate);
  }

  protected abstract isOpen(node: Node): boolean;
  /** Nobody needs the staged file of the node any more. */
  protected abstract discardBytes(node: Node): void;

  get base(): Base {
    return this.#base;
  }

  node(inode: Inode): Node | undefined {
    return this.#nodes.get(inode);
  }

  /** What came of a request that an earlier process did; only the last ones are remembered. */
  outcomeOf(request: RequestId): Inode | undefined {
    return this.#outcomes.get(request);
  }

  /** Every node that was changed and still has a name. */
  *changedNodes(): Generator<Node> {
    for (const node of this.#nodes.values()) if (node.row !== 0 && !node.isGone) yield node;
  }

  /** Nothing differs from the base. */
  get isEmpty(): boolean {
    return this.root.state === undefined && this.root.directory?.own.size === 0;
  }

  // Finding nodes

  /** What the directory shows as `name`. */
  child(directory: Node, name: Key, signal: AbortSignal): MaybePromise<Node | undefined> {
    const own = directory.directory?.own.get(name);
    if (own !== undefined) return own.node;
    const known = directory.directory?.unchanged.get(name);
    if (known?.place?.generation === this.#base.generation) return known;
    return andThen(this.slot(directory, name, signal), (slot) =>
      this.isCurrent(slot) ? this.nodeIn(slot) : this.child(directory, name, signal),
    );
  }

  slot(directory: Node, name: Key, signal: AbortSignal): MaybePromise<Slot> {
    const prefix = prefixOf(directory);
    const { generation } = this.#base;
    if (prefix === undefined) return { directory, name, prefix, generation, base: undefined };
    const found = this.#base.find(prefix, name, signal);
    return andThen(found, (base) => ({ directory, name, prefix, generation, base }));
  }

  /** False once the base, or the part of it that the directory shows, is another. */
  isCurrent({ directory, prefix, generation }: Slot): boolean {
    return generation === this.#base.generation && prefixOf(directory) === prefix;
  }

  /** The node at a slot that is current. */
  nodeIn({ directory, name, base }: Slot): Node | undefined {
    const own = directory.directory?.own.get(name);
    if (own !== undefined) return own.node;
    if (base !== undefined) return this.adopt(directory, name, base);
    const gone = directory.directory?.unchanged.get(name);
    if (gone !== undefined) this.orphan(gone);
    return undefined;
  }

  /** The node of what the base shows. */
  adopt(directory: Node, name: Key, base: BaseName): Node {
    const place = placeOf(directory, name, base, this.#base.generation);
    const known = directory.directory?.unchanged.get(name);
    if (known !== undefined) {
      if (known.place?.generation === place.generation) return known;
      if (known.kind === base.kind && this.#staysSame(known, place)) {
        known.place = place;
        return known;
      }
      this.orphan(known);
    }
    const suffix = base.kind === 'directory' ? '/' : '';
    const inode = this.numbers.numberFor(directory, `${base.baseName}${suffix}`);
    const node = new Node(inode, base.kind);
    node.place = place;
    this.#nodes.set(inode, node);
    directory.directory?.unchanged.set(name, node);
    return node;
  }

  /** Sees to it that what is known of the node is of the present base; it may be gone then. */
  refresh(node: Node, signal: AbortSignal): MaybePromise<void> {
    const { place } = node;
    if (place === undefined || place.generation === this.#base.generation) return;
    return andThen(this.refresh(place.parent, signal), () => {
      if (node.place !== place) return this.refresh(node, signal);
      return andThen(this.child(place.parent, place.name, signal), () => undefined);
    });
  }

  /**
   * What the base has of a file or symlink that nobody changed, or had of one that was changed;
   * undefined when it is new or gone.
   */
  entryOf(node: Node, signal: AbortSignal): MaybePromise<Entry | undefined> {
    if (node.state !== undefined) return node.state.origin?.entry;
    return andThen(this.refresh(node, signal), () => {
      const key = this.keyOf(node);
      return key === undefined ? undefined : this.#base.view.get(key, signal);
    });
  }

  /** In the base, of a file or symlink. */
  keyOf(node: Node): Key | undefined {
    const { place, state } = node;
    if (state !== undefined) return state.origin?.key;
    const prefix = place === undefined ? undefined : prefixOf(place.parent);
    return prefix === undefined ? undefined : (`${prefix}${place?.baseName}` as Key);
  }

  // Use

  /** The node stays in memory until as many calls of unuse. */
  use(node: Node, times = 1): void {
    node.uses += times;
  }

  unuse(node: Node, times = 1): void {
    node.uses -= times;
    this.tidy(node);
  }

  /** Lets go of a node that nobody uses and that nothing is to be remembered of. */
  tidy(node: Node): void {
    if (node.uses > 0 || node.isRoot) return;
    if (node.isGone) {
      this.#nodes.delete(node.inode);
      if (node.state?.isStaged === true) this.discardBytes(node);
      return;
    }
    const { place } = node;
    if (place === undefined || (node.directory?.unchanged.size ?? 0) > 0) return;
    this.#nodes.delete(node.inode);
    place.parent.directory?.unchanged.delete(place.name);
    this.tidy(place.parent);
  }

  listen(listener: OverlayListener): void {
    this.#listeners.add(listener);
  }

  /** Nobody else could have changed what a mount shows. */
  get isShownOnce(): boolean {
    return this.#listeners.size === 1;
  }

  unlisten(listener: OverlayListener): void {
    this.#listeners.delete(listener);
  }

  /** Tells all mounts but the one that did it. */
  tell(by: OverlayListener | undefined, what: (listener: OverlayListener) => void): void {
    for (const listener of this.#listeners) if (listener !== by) what(listener);
  }

  /** Before a change that mounts are to be told of; the result is to be called when they have been. */
  beginTelling(): () => void {
    const listeners = [...this.#listeners];
    for (const listener of listeners) listener.telling();
    return () => {
      for (const listener of listeners) listener.told();
    };
  }

  get isShared(): boolean {
    return this.#listeners.size > 1;
  }

  // Changing, for Change and rebase

  get keepsWhiteouts(): boolean {
    return this.#snapshots.size > 0;
  }

  nextNodeRow(): number {
    this.#lastNodeRow += 1;
    return this.#lastNodeRow;
  }

  nextNameRow(): number {
    this.#lastNameRow += 1;
    return this.#lastNameRow;
  }

  /** Own names that were made by now have at most this row. */
  get lastNameRow(): number {
    return this.#lastNameRow;
  }

  /** A node that is new, to be named by a Change. */
  newNode(inode: Inode, kind: Node['kind']): Node {
    const node = new Node(inode, kind);
    this.#nodes.set(inode, node);
    return node;
  }

  /** A node that has no name any more, of an earlier process. */
  addUnnamed(inode: Inode, kind: Node['kind'], state: NodeState): Node | undefined {
    if (this.#nodes.has(inode)) return undefined;
    const node = this.newNode(inode, kind);
    node.state = state;
    node.isGone = true;
    return node;
  }

  /** A new node was not to be. */
  dropNew(node: Node): void {
    this.#nodes.delete(node.inode);
  }

  /** What a node that nobody changed has for a state; of a leaf without its origin. */
  initialState(node: Node): NodeState {
    const look = node.place ?? this.#base.root;
    const time = { sec: look.mtimeSec, nsec: look.mtimeNsec };
    const common = { version: 0, mode: look.mode, mtime: time, atime: time, ctime: time };
    if (node.kind !== 'directory') return common;
    const prefix = prefixOf(node);
    const numbering = this.numbers.numberingOf(node);
    return prefix === undefined ? { ...common, numbering } : { ...common, prefix, numbering };
  }

  setState(node: Node, state: NodeState): void {
    node.state = state;
    if (node.isGone) this.moved(node);
  }

  setOwnName(directory: Node, name: Key, own: OwnName | undefined): void {
    const names = directory.directory;
    if (names === undefined) throw new TarnError('internal', 'a name in what is no directory');
    const before = names.own.get(name);
    if (before?.node !== undefined) {
      names.live -= 1;
      if (before.node.kind === 'directory') names.directories -= 1;
      before.node.names.splice(before.node.names.indexOf(before), 1);
    }
    if (own === undefined) names.own.delete(name);
    else names.own.set(name, own);
    const unchanged = names.unchanged.get(name);
    if (unchanged !== undefined) {
      names.unchanged.delete(name);
      if (own?.node === unchanged || unchanged.state !== undefined) unchanged.place = undefined;
      else this.orphan(unchanged);
    }
    if (before?.node !== undefined && before.node.names.length > 0) this.moved(before.node);
    if (own?.node === undefined) return;
    names.live += 1;
    if (own.node.kind === 'directory') names.directories += 1;
    own.node.names.push(own);
    this.moved(own.node);
  }

  /** Tells of it, see OverlayListener.nodeMoved. */
  moved(node: Node): void {
    for (const listener of this.#listeners) listener.nodeMoved(node);
  }

  /** The node has no name any more. */
  orphan(node: Node): void {
    const { place } = node;
    if (place !== undefined) {
      node.state ??= this.initialState(node);
      if (place.parent.directory?.unchanged.get(place.name) === node) {
        place.parent.directory.unchanged.delete(place.name);
      }
      node.place = undefined;
    }
    node.isGone = true;
    node.row = 0;
    node.stored = undefined;
    this.moved(node);
    this.tidy(node);
    if (place !== undefined) this.tidy(place.parent);
  }

  nodeInMemory(directory: Node, name: Key): Node | undefined {
    const names = directory.directory;
    const own = names?.own.get(name);
    return own === undefined ? names?.unchanged.get(name) : own.node;
  }

  // Staging

  /** What the overlay is now, to be staged while it goes on changing; to be ended. */
  snapshot(): OverlaySnapshot {
    const snapshot = new OverlaySnapshot(this.version, this.root, () =>
      this.#snapshots.delete(snapshot),
    );
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  keepForSnapshot(
    nodes: Iterable<Node>,
    names: ReadonlyMap<Node, ReadonlyMap<Key, OwnName | undefined>>,
  ): void {
    for (const snapshot of this.#snapshots) snapshot.keep(nodes, names);
  }

  setBase(view: FrozenView): void {
    const { generation } = this.#base;
    this.#base = new Base(view, generation + 1, this.#directoryDate);
  }

  forgetNode(node: Node): void {
    this.#nodes.delete(node.inode);
  }

  /** A file that is open keeps the bytes it was opened with: then what is there now is another. */
  #staysSame(node: Node, place: BasePlace): boolean {
    const before = node.place;
    if (!this.isOpen(node) || before === undefined) return true;
    return (
      before.size === place.size &&
      before.mtimeSec === place.mtimeSec &&
      before.mtimeNsec === place.mtimeNsec
    );
  }
}

function placeOf(parent: Node, name: Key, base: BaseName, generation: number): BasePlace {
  const { baseName, mode, size, mtimeSec, mtimeNsec } = base;
  return { parent, name, baseName, mode, size, mtimeSec, mtimeNsec, generation };
}

function dateOf(view: FrozenView): Timestamp {
  const { dateMs } = view.source.commit;
  const sec = Math.floor(dateMs / 1000);
  return { sec, nsec: Math.round((dateMs - sec * 1000) * 1e6) };
}
