import type { Key } from '../model/path.js';
import type { FileEntry } from '../model/entry.js';
import type { Node, NodeState, OwnName, StagedStamp } from './nodes.js';

/**
 * An overlay as it was at one version, to be staged while programs go on: what is changed since is
 * kept as it was. States and own names are never changed but replaced, so what it gives out tells by
 * identity what is as it was. While a snapshot is open, removing a name always leaves a whiteout.
 */
export class OverlaySnapshot {
  readonly version: number;
  readonly root: Node;
  readonly #states = new Map<Node, NodeState | undefined>();
  readonly #names = new Map<Node, Map<Key, OwnName | undefined>>();
  readonly #end: () => void;

  constructor(version: number, root: Node, end: () => void) {
    this.version = version;
    this.root = root;
    this.#end = end;
  }

  /** Undefined when nobody had changed the node. */
  stateOf(node: Node): NodeState | undefined {
    return this.#states.has(node) ? this.#states.get(node) : node.state;
  }

  /** The own names that a directory had, in no order. */
  namesOf(directory: Node): OwnName[] {
    const kept = this.#names.get(directory);
    const names: OwnName[] = [];
    for (const own of directory.directory?.own.values() ?? []) {
      if (kept?.has(own.name) !== true) names.push(own);
    }
    for (const own of kept?.values() ?? []) if (own !== undefined) names.push(own);
    return names;
  }

  /** Before nodes and names change. */
  keep(
    nodes: Iterable<Node>,
    names: ReadonlyMap<Node, ReadonlyMap<Key, OwnName | undefined>>,
  ): void {
    for (const node of nodes) if (!this.#states.has(node)) this.#states.set(node, node.state);
    for (const [directory, changed] of names) {
      const kept = this.#names.get(directory) ?? new Map<Key, OwnName | undefined>();
      this.#names.set(directory, kept);
      for (const name of changed.keys()) {
        if (!kept.has(name)) kept.set(name, directory.directory?.own.get(name));
      }
    }
  }

  end(): void {
    this.#end();
  }
}

/** What of a snapshot the new base has, for the rebase onto it. */
export interface Absorbed {
  readonly snapshot: OverlaySnapshot;
  /** Each own name of the snapshot that was staged (whiteouts too), with its key there; directories end with `/`. */
  readonly names: ReadonlyMap<OwnName, Key>;
  /** Each file that was staged with bytes of its own. */
  readonly files: ReadonlyMap<Node, AbsorbedFile>;
}

export interface AbsorbedFile {
  /** As it was staged. */
  readonly entry: FileEntry;
  /** Of the staged file, whose bytes the entry has. */
  readonly stamp: StagedStamp;
}
