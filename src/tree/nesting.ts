import type { FrozenCursor } from '../model/cursor.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import type { Span } from '../model/span.js';
import { spanOfKey, spanOfPrefix } from '../model/span.js';
import { diffTrees, sharesSpan } from './diff.js';
import type { Nodes } from './nodes.js';
import type { Finding, ThreeEntries, ThreeTrees } from './three-way.js';
import { Tree } from './tree.js';

const SLASH = 0x2f;
/** Paths that are remembered as looked at. */
const SEEN_MAX = 10_000;

interface Side {
  readonly id: NodeId;
  readonly tree: Tree;
  readonly cursor: FrozenCursor;
}

/** A path that a merge would make both a file and a directory. */
export interface Nesting {
  readonly key: Key;
  /** Which side has the file. */
  readonly file: 'ours' | 'theirs';
  readonly entries: ThreeEntries;
}

/**
 * Finds paths where one side of a merge adds a file and the other adds entries below it as a
 * directory. Looks only at findings of the merge: at keys that theirs added, and at the ends of spans
 * that are taken whole, where alone a span's files and directories can meet those of ours.
 */
export class Nestings {
  readonly #nodes: Nodes;
  readonly #span: Span;
  readonly #base: Tree;
  readonly #ours: Side;
  readonly #theirs: Side;
  readonly #signal: AbortSignal | undefined;
  readonly #seen = new Set<Key>();

  private constructor(
    nodes: Nodes,
    span: Span,
    base: Tree,
    ours: Side,
    theirs: Side,
    signal: AbortSignal | undefined,
  ) {
    this.#nodes = nodes;
    this.#span = span;
    this.#base = base;
    this.#ours = ours;
    this.#theirs = theirs;
    this.#signal = signal;
  }

  /** @param span what of theirs is merged */
  static async open(
    nodes: Nodes,
    { base, ours, theirs }: ThreeTrees,
    span: Span,
    signal?: AbortSignal,
  ): Promise<Nestings> {
    const side = async (id: NodeId): Promise<Side> => {
      const tree = await Tree.open(nodes, id, signal);
      return { id, tree, cursor: tree.cursor(signal) };
    };
    const old = await Tree.open(nodes, base, signal);
    return new Nestings(nodes, span, old, await side(ours), await side(theirs), signal);
  }

  /** Those that the finding brings, each at most once in a while. */
  async of(finding: Finding): Promise<Nesting[]> {
    if (finding.kind === 'take') return this.#ofSpan(finding.span, finding.known);
    const { base, theirs } = finding.entries;
    if (base !== undefined || theirs === undefined) return [];
    const found = finding.key.endsWith('/') ? [] : await this.#below(finding.key);
    for (const path of ancestors(finding.key)) found.push(...(await this.#above(path)));
    return found;
  }

  /** @param known a key that ours has, and so nothing that ours newly made a file or a directory of */
  async #ofSpan({ from, to }: Span, known: Key | undefined): Promise<Nesting[]> {
    const found: Nesting[] = [];
    const above = [...cutBy(from)].filter((path) => {
      const below = `${path}/`;
      return (to === undefined || below < to) && known?.startsWith(below) !== true;
    });
    const [first] = above;
    // One look at all of them is mostly enough.
    if (first !== undefined && !(await this.#isShared(this.#ours, { from: first, to: from }))) {
      for (const path of above) found.push(...(await this.#above(path)));
    }
    if (to === undefined) return found;
    for (const path of cutBy(to)) {
      if (path < from || path === known) continue;
      const below = `${path}/` as Key;
      if (!(await this.#isShared(this.#ours, spanOfPrefix(below)))) {
        found.push(...(await this.#newFile(path)));
      } else if (to.startsWith(below)) {
        // All that follow lie there too.
        break;
      }
    }
    return found;
  }

  /** Ours may have a file at `path`, theirs something below it. */
  async #above(path: Key): Promise<Nesting[]> {
    if (this.#wasSeen(path) || (await this.#isShared(this.#ours, spanOfKey(path)))) return [];
    return this.#check(path, 'ours');
  }

  /** Theirs may have a file at `path`, ours something below it. */
  async #below(path: Key): Promise<Nesting[]> {
    if (await this.#isShared(this.#ours, spanOfPrefix(`${path}/` as Key))) return [];
    return this.#newFile(path);
  }

  /** Theirs may have a file at `path`, where ours changed something below. */
  async #newFile(path: Key): Promise<Nesting[]> {
    if (await this.#isShared(this.#theirs, spanOfKey(path))) return [];
    return this.#check(path, 'theirs');
  }

  async #check(path: Key, file: 'ours' | 'theirs'): Promise<Nesting[]> {
    const [has, other] = file === 'ours' ? [this.#ours, this.#theirs] : [this.#theirs, this.#ours];
    if ((await this.#base.get(path, this.#signal)) !== undefined) return [];
    if ((await this.#has(has, path)) === undefined) return [];
    if ((await this.#has(other, path)) !== undefined || (await hasBelow(has, path))) return [];
    if (!(await hasBelow(other, path)) || !(await this.#addsBelow(other, path))) return [];
    const [ours, theirs] = [await this.#has(this.#ours, path), await this.#has(this.#theirs, path)];
    return [{ key: path, file, entries: { base: undefined, ours, theirs } }];
  }

  /** Whether the side is known to have in the span what base has, as it mostly is. */
  #isShared(side: Side, span: Span): Promise<boolean> {
    return sharesSpan(this.#nodes, this.#base.id, side.id, span, this.#signal);
  }

  async #addsBelow(side: Side, path: Key): Promise<boolean> {
    const below = spanOfPrefix(`${path}/` as Key);
    const span = side === this.#theirs ? intersection(below, this.#span) : below;
    const changes = diffTrees(this.#nodes, this.#base.id, side.id, span, this.#signal);
    for await (const batch of changes) {
      if (batch.some(({ before }) => before === undefined)) return true;
    }
    return false;
  }

  async #has(side: Side, path: Key) {
    return side.tree.get(path, this.#signal);
  }

  #wasSeen(path: Key): boolean {
    if (this.#seen.has(path)) return true;
    if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
    this.#seen.add(path);
    return false;
  }
}

async function hasBelow({ cursor }: Side, path: Key): Promise<boolean> {
  const prefix = `${path}/` as Key;
  return (await cursor.seek(prefix)) && cursor.key.startsWith(prefix);
}

function* ancestors(key: Key): Generator<Key> {
  for (let at = key.indexOf('/', 1); at > 0 && at < key.length; at = key.indexOf('/', at + 1)) {
    if (key.charCodeAt(at - 1) !== SLASH) yield key.slice(0, at) as Key;
  }
}

/** Paths that sort before `key` while what lies below them may not. */
function* cutBy(key: Key): Generator<Key> {
  for (let at = 1; at < key.length; at++) {
    const isBefore = key.charCodeAt(at) <= SLASH;
    if (isBefore && key.charCodeAt(at - 1) !== SLASH) yield key.slice(0, at) as Key;
  }
}

function intersection(a: Span, b: Span): Span {
  const from = a.from < b.from ? b.from : a.from;
  if (a.to === undefined || b.to === undefined) return { from, to: a.to ?? b.to };
  return { from, to: a.to < b.to ? a.to : b.to };
}
