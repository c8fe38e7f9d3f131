import type { Key } from '../model/path.js';
import type { RequestId, Timestamp } from '../vfs/writable.js';
import type { JournalChange } from './journal/change.js';
import type { NameRow, NodeRow, NumberRow } from './journal/rows.js';
import type { Node, NodeState, OwnName } from './nodes.js';
import { prefixOf } from './nodes.js';
import type { NodeMemory } from './node-memory.js';

/** Rows of a removed directory that its removal takes out of the journal. */
const WHITEOUTS_DROPPED_MAX = 1000;

/** What a new state differs in from the one before; the version is the change's. */
export type StateUpdate = { -readonly [K in keyof NodeState]?: NodeState[K] | undefined };

/**
 * One change of an overlay: collected, then written to the journal, then made in memory, so that one
 * that cannot be written has changed nothing.
 */
export class Change {
  readonly version: number;
  readonly now: Timestamp;
  readonly #overlay: NodeMemory;
  readonly #states = new Map<Node, NodeState>();
  /** Undefined: the name is not its directory's own any more. */
  readonly #names = new Map<Node, Map<Key, OwnName | undefined>>();
  readonly #numbers: NumberRow[] = [];
  readonly #request: RequestId | undefined;

  /** @param request whose change it is, so that it is known to be done once it is */
  constructor(overlay: NodeMemory, request?: RequestId) {
    this.#overlay = overlay;
    this.#request = request;
    this.version = overlay.version + 1;
    this.now = currentTime();
  }

  stateOf(node: Node): NodeState {
    return this.#states.get(node) ?? node.state ?? this.#overlay.initialState(node);
  }

  /** @param update what is undefined in it is taken out */
  update(node: Node, update: StateUpdate): void {
    const merged = { ...this.stateOf(node), ...update, version: this.version };
    for (const name of Object.keys(update) as (keyof NodeState)[]) {
      if (merged[name] === undefined) delete merged[name];
    }
    this.#states.set(node, merged as NodeState);
  }

  /** Its names changed. */
  touchDirectory(directory: Node): void {
    this.update(directory, { mtime: this.now, ctime: this.now });
    this.reach(directory);
  }

  /** Sees to it that own names lead from the root to the node, which gets a state. */
  reach(node: Node): void {
    if (!this.#states.has(node) && node.state === undefined) this.update(node, {});
    const { place } = node;
    if (place === undefined) return;
    const names = this.#names.get(place.parent);
    if (names?.has(place.name) !== true) this.setName(place.parent, place.name, node);
    this.reach(place.parent);
  }

  setName(directory: Node, name: Key, node: Node | undefined): void {
    const row = directory.directory?.own.get(name)?.row ?? this.#overlay.nextNameRow();
    const own: OwnName = { row, directory, name, node, version: this.version };
    this.#namesOf(directory).set(name, own);
  }

  /** @param isShown whether the base shows the name, so that it must be hidden */
  removeName(directory: Node, name: Key, isShown: boolean): void {
    if (isShown || this.#overlay.keepsWhiteouts) this.setName(directory, name, undefined);
    else this.#namesOf(directory).set(name, undefined);
  }

  /** What is made at the path that a directory leaves gets other numbers than what goes with it. */
  vacate(directory: Node, parent: Node, name: Key): void {
    const { numbers } = this.#overlay;
    const prefix = prefixOf(parent);
    if (prefix === undefined) return;
    if (numbers.numberingOf(directory) !== numbers.numberingAt(parent, name)) return;
    const path = `${prefix}${name}/` as Key;
    const numbering = `\0${directory.inode}.${this.version}/` as Key;
    this.#numbers.push({ path, number: numbers.row(path)?.number, numbering });
  }

  /**
   * @param outcome what the request gives: the node that it made or named
   * @throws TarnError no-space, io, corrupt; then nothing has changed
   */
  commit(outcome?: Node): void {
    const overlay = this.#overlay;
    const unlinked = this.#unlinked();
    // Whoever changes something tells the other mounts of it before anything else is done.
    if (overlay.isShared) queueMicrotask(overlay.beginTelling());
    overlay.journal.write({ ...this.#journalChange(unlinked), ...this.#outcome(outcome) });
    overlay.keepForSnapshot(this.#states.keys(), this.#names);
    overlay.version = this.version;
    for (const row of this.#numbers) overlay.numbers.put(row);
    for (const [node, state] of this.#states) overlay.setState(node, state);
    for (const [directory, names] of this.#names) {
      for (const [name, own] of names) overlay.setOwnName(directory, name, own);
    }
    for (const node of unlinked) overlay.orphan(node);
  }

  #outcome(node: Node | undefined): Pick<JournalChange, 'outcome'> {
    const request = this.#request;
    if (request === undefined) return {};
    return { outcome: { request, inode: node?.inode ?? 0, place: this.version } };
  }

  #namesOf(directory: Node): Map<Key, OwnName | undefined> {
    const names = this.#names.get(directory) ?? new Map<Key, OwnName | undefined>();
    this.#names.set(directory, names);
    return names;
  }

  /** Nodes that had a name and now have none. */
  #unlinked(): Set<Node> {
    const unlinked = new Set<Node>();
    const named = new Set<Node>();
    for (const [directory, names] of this.#names) {
      for (const [name, own] of names) {
        const before = this.#overlay.nodeInMemory(directory, name);
        if (before !== undefined && before !== own?.node) unlinked.add(before);
        if (own?.node !== undefined) named.add(own.node);
      }
    }
    for (const node of unlinked) {
      const keeps = (own: OwnName): boolean =>
        this.#names.get(own.directory)?.has(own.name) !== true;
      if (named.has(node) || node.names.some(keeps)) unlinked.delete(node);
    }
    return unlinked;
  }

  #journalChange(unlinked: ReadonlySet<Node>): JournalChange {
    const putNodes: NodeRow[] = [];
    const dropNodes: number[] = [];
    const putNames: NameRow[] = [];
    const dropNames: number[] = [];
    for (const [node, state] of this.#states) {
      // An unlinked node is only in memory.
      if (unlinked.has(node) || node.isGone) continue;
      if (node.row === 0) node.row = this.#overlay.nextNodeRow();
      putNodes.push({ row: node.row, inode: node.inode, kind: node.kind, state });
    }
    for (const [directory, names] of this.#names) {
      for (const [name, own] of names) {
        if (own !== undefined) {
          const { row, node, version } = own;
          putNames.push({ row, directory: directory.inode, name, node: node?.inode, version });
          continue;
        }
        const before = directory.directory?.own.get(name);
        if (before !== undefined) dropNames.push(before.row);
      }
    }
    for (const node of unlinked) {
      if (node.row !== 0) dropNodes.push(node.row);
      // More of them are taken out when the journal is next opened.
      const whiteouts = node.directory?.own;
      if (whiteouts === undefined || whiteouts.size > WHITEOUTS_DROPPED_MAX) continue;
      for (const { row } of whiteouts.values()) dropNames.push(row);
    }
    const dropStored = [...unlinked].filter((node) => node.stored !== undefined);
    return {
      putNodes,
      dropNodes,
      putNames,
      dropNames,
      putNumbers: this.#numbers,
      dropStored: dropStored.map((node) => node.inode),
      frees: unlinked.size > 0,
    };
  }
}

/** The staged file holds all its bytes, or has none: its page map, if it has one, says nothing any more. */
export function takeFromBeneath(memory: NodeMemory, node: Node): void {
  const change = new Change(memory);
  change.update(node, { beneath: undefined });
  change.commit();
}

export function currentTime(): Timestamp {
  const ms = Date.now();
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: (ms - sec * 1000) * 1_000_000 };
}
