import { keyToText, NAME_BYTES_MAX, PATH_BYTES_MAX, keyFromText, type Key } from '../model/path.js';
import type { MaybePromise } from '../util/async.js';
import type { Errno, NodeKind } from '../vfs/filesystem.js';
import type { NewOwner, RenameHow } from '../vfs/writable.js';
import { Change, type StateUpdate } from './change.js';
import { claim } from './claim.js';
import { atomically, type Facts } from './facts.js';
import type { Caller, NodeMemory, Slot } from './node-memory.js';
import { parentOf, pathOfDirectory, prefixOf, type Node } from './nodes.js';

/** Names that one node may have, as on ext4. */
const LINKS_MAX = 65_000;
const TARGET_BYTES_MAX = 4095;
/** Longest path that a program can name. What a commit cannot have is told by `status`. */
const SHOWN_PATH_BYTES_MAX = 4095;
const SET_GID = 0o2000;

/** What is to be made. */
export interface NewNode {
  readonly kind: NodeKind;
  readonly owner: NewOwner;
  /** Of a symlink. */
  readonly target?: Key;
  /** Of a device. */
  readonly device?: number;
}

/** What must be done before a new node is in the journal, and undone where it does not get there. */
export interface Preparation {
  before(node: Node): StateUpdate;
  undo(node: Node): void;
}

/** The calls that change names, as POSIX has them; each is atomic, and in the journal when it returns. */
export class NameOperations {
  readonly #memory: NodeMemory;

  constructor(memory: NodeMemory) {
    this.#memory = memory;
  }

  /**
   * @param by whose mount need not be told
   */
  make(
    parent: Node,
    name: Key,
    what: NewNode,
    by: Caller,
    signal: AbortSignal,
    prepare?: Preparation,
  ): MaybePromise<Node | Errno> {
    return atomically(this.#memory, signal, (facts) => {
      const slot = facts.slot(parent, name);
      const isDirectory = what.kind === 'directory';
      const refused = this.#whyNotNamed(facts, slot, isDirectory) ?? whyNotMade(what);
      if (refused !== undefined) return refused;
      if (facts.nodeIn(slot) !== undefined) return 'EEXIST';
      const { numbers } = this.#memory;
      const change = new Change(this.#memory, by.request);
      const number = numbers.numberFor(parent, isDirectory ? `${name}/` : name);
      const node = this.#memory.newNode(number, what.kind);
      try {
        change.update(node, {
          ...this.#newState(change, parent, name, what),
          ...prepare?.before(node),
        });
        change.setName(parent, name, node);
        change.touchDirectory(parent);
        change.commit(node);
      } catch (error) {
        prepare?.undo(node);
        this.#memory.dropNew(node);
        throw error;
      }
      this.#tell(by, [slot], []);
      return node;
    });
  }

  link(
    node: Node,
    parent: Node,
    name: Key,
    by: Caller,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return atomically(this.#memory, signal, (facts) => {
      if (node.kind === 'directory') return 'EPERM';
      const slot = facts.slot(parent, name);
      const refused = this.#whyNotNamed(facts, slot, false);
      if (refused !== undefined) return refused;
      if (facts.nodeIn(slot) !== undefined) return 'EEXIST';
      facts.fresh(node);
      if (node.isGone) return 'ENOENT';
      if (node.names.length >= LINKS_MAX) return 'EMLINK';
      const change = new Change(this.#memory, by.request);
      claim(this.#memory, facts, change, node);
      change.reach(node);
      change.setName(parent, name, node);
      change.touchDirectory(parent);
      change.commit(node);
      this.#tell(by, [slot], [node]);
      return undefined;
    });
  }

  /** @param isDirectory rmdir, else unlink */
  remove(
    parent: Node,
    name: Key,
    isDirectory: boolean,
    by: Caller,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return atomically(this.#memory, signal, (facts) => {
      if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
      const slot = facts.slot(parent, name);
      const node = facts.nodeIn(slot);
      if (node === undefined) return 'ENOENT';
      if (isDirectory && node.kind !== 'directory') return 'ENOTDIR';
      if (!isDirectory && node.kind === 'directory') return 'EISDIR';
      if (isDirectory && !facts.isEmpty(node)) return 'ENOTEMPTY';
      const change = new Change(this.#memory, by.request);
      if (isStillUsed(node)) claim(this.#memory, facts, change, node);
      change.removeName(parent, name, slot.base !== undefined);
      change.touchDirectory(parent);
      change.commit();
      this.#tell(by, [slot], [node]);
      return undefined;
    });
  }

  rename(
    parent: Node,
    name: Key,
    newParent: Node,
    newName: Key,
    how: RenameHow,
    by: Caller,
    signal: AbortSignal,
  ): MaybePromise<undefined | Errno> {
    return atomically(this.#memory, signal, (facts) => {
      if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
      const from = facts.slot(parent, name);
      const to = facts.slot(newParent, newName);
      const source = facts.nodeIn(from);
      if (source === undefined) return 'ENOENT';
      const target = facts.nodeIn(to);
      if (how === 'exchange') {
        if (target === undefined) return 'ENOENT';
        return this.#exchange(facts, from, source, to, target, by);
      }
      if (target !== undefined && how === 'no-replace') return 'EEXIST';
      const isDirectory = source.kind === 'directory';
      const refused =
        (isDirectory && isWithin(newParent, source) ? 'EINVAL' : undefined) ??
        this.#whyNotNamed(facts, to, isDirectory) ??
        whyNotMoved(source, to) ??
        whyNotReplaced(facts, source, target);
      if (refused !== undefined) return refused;
      if (source === target) return undefined;
      const change = new Change(this.#memory, by.request);
      claim(this.#memory, facts, change, source);
      if (isDirectory) change.vacate(source, parent, name);
      if (target !== undefined && isStillUsed(target)) claim(this.#memory, facts, change, target);
      change.removeName(parent, name, from.base !== undefined);
      change.setName(newParent, newName, source);
      change.touchDirectory(parent);
      if (newParent !== parent) change.touchDirectory(newParent);
      change.commit();
      this.#tell(by, [from, to], target === undefined ? [source] : [source, target]);
      return undefined;
    });
  }

  #exchange(
    facts: Facts,
    from: Slot,
    source: Node,
    to: Slot,
    target: Node,
    by: Caller,
  ): undefined | Errno {
    if (isWithin(to.directory, source) || isWithin(from.directory, target)) return 'EINVAL';
    const refused =
      this.#whyNotNamed(facts, to, source.kind === 'directory') ??
      this.#whyNotNamed(facts, from, target.kind === 'directory') ??
      whyNotMoved(source, to) ??
      whyNotMoved(target, from);
    if (refused !== undefined) return refused;
    if (source === target) return undefined;
    const change = new Change(this.#memory, by.request);
    claim(this.#memory, facts, change, source);
    claim(this.#memory, facts, change, target);
    change.setName(to.directory, to.name, source);
    change.setName(from.directory, from.name, target);
    change.touchDirectory(from.directory);
    if (to.directory !== from.directory) change.touchDirectory(to.directory);
    change.commit();
    this.#tell(by, [from, to], [source, target]);
    return undefined;
  }

  #newState(change: Change, parent: Node, name: Key, what: NewNode): StateUpdate {
    const { kind, owner, target, device } = what;
    const above = change.stateOf(parent);
    const inherits = (above.mode & SET_GID) !== 0;
    const isDirectory = kind === 'directory';
    return {
      mode: kind === 'symlink' ? 0o777 : owner.mode | (inherits && isDirectory ? SET_GID : 0),
      uid: owner.uid,
      gid: inherits ? above.gid : owner.gid,
      mtime: change.now,
      atime: change.now,
      ctime: change.now,
      prefix: undefined,
      numbering: isDirectory ? this.#memory.numbers.numberingAt(parent, name) : undefined,
      isMarked: isDirectory ? true : undefined,
      target,
      device,
    };
  }

  /** Why nothing can be made or moved there, whether or not something is there. */
  #whyNotNamed(facts: Facts, slot: Slot, isDirectory: boolean): Errno | undefined {
    const { directory, name, base } = slot;
    if (directory.kind !== 'directory') return 'ENOTDIR';
    if (name.length > NAME_BYTES_MAX) return 'ENAMETOOLONG';
    facts.fresh(directory);
    const above = pathOfDirectory(directory);
    if (directory.isGone || above === undefined) return 'ENOENT';
    const bytes = above.length + name.length + (isDirectory ? 1 : 0);
    if (bytes > SHOWN_PATH_BYTES_MAX) return 'ENAMETOOLONG';
    // The key belongs to a file that shows as `name~file`, which must not be lost.
    const isOwn = directory.directory?.own.get(name)?.node !== undefined;
    if (!isDirectory && base?.hidesFile === true && !isOwn) return 'EEXIST';
    return undefined;
  }

  #tell(by: Caller, slots: readonly Slot[], nodes: readonly Node[]): void {
    this.#memory.tell(by.mount, (listener) => {
      for (const { directory, name } of slots) {
        listener.entryChanged(directory.inode, name);
        listener.nodeChanged(directory.inode, false);
      }
      for (const node of nodes) listener.nodeChanged(node.inode, false);
    });
  }
}

function whyNotMade({ kind, target }: NewNode): Errno | undefined {
  if (kind !== 'symlink') return undefined;
  if (target === undefined || target.length === 0) return 'ENOENT';
  if (target.length > TARGET_BYTES_MAX) return 'ENAMETOOLONG';
  // Commits hold targets as text.
  return keyFromText(keyToText(target)) === target ? undefined : 'EINVAL';
}

/**
 * What lies in the base goes where a commit can have it: else the next one had it neither where it
 * was nor where it is.
 */
function whyNotMoved(source: Node, { directory, name }: Slot): Errno | undefined {
  const names = source.directory;
  if (names === undefined || (prefixOf(source) === undefined && names.directories === 0)) {
    return undefined;
  }
  const path = `${pathOfDirectory(directory) ?? ''}${name}/` as Key;
  if (path.length > PATH_BYTES_MAX) return 'ENAMETOOLONG';
  return keyFromText(keyToText(path)) === path ? undefined : 'EINVAL';
}

function whyNotReplaced(facts: Facts, source: Node, target: Node | undefined): Errno | undefined {
  if (target === undefined || target === source) return undefined;
  if (source.kind !== 'directory') return target.kind === 'directory' ? 'EISDIR' : undefined;
  if (target.kind !== 'directory') return 'ENOTDIR';
  return facts.isEmpty(target) ? undefined : 'ENOTEMPTY';
}

/** Somebody may look at the node after one of its names went. */
function isStillUsed(node: Node): boolean {
  return node.uses > 0 || node.names.length > 1;
}

/** Whether `directory` is `above` or lies in it. */
function isWithin(directory: Node, above: Node): boolean {
  for (let at: Node | undefined = directory; at !== undefined; at = parentOf(at)) {
    if (at === above) return true;
  }
  return false;
}
