import type { FrozenCursor } from '../../src/model/cursor.js';
import type { Entry, KeyedEntry, Totals } from '../../src/model/entry.js';
import type { Key } from '../../src/model/path.js';
import { ROOT_KEY } from '../../src/model/path.js';
import type { Content } from '../../src/repo/content.js';
import type { FrozenView } from '../../src/repo/view.js';
import type { TreeShape } from '../../src/tree/boundary.js';
import { NodeCache, Nodes } from '../../src/tree/nodes.js';
import { Tree } from '../../src/tree/tree.js';
import { buildTree } from '../../src/tree/write.js';
import type { MaybePromise } from '../../src/util/async.js';
import { MemoryNodes } from '../tree/fixtures.js';
import type { MemoryView } from './memory-view.mjs';

/** Nodes of some three entries, so that few entries make a high tree. */
const SMALL: TreeShape = { weightMin: 100, weightTarget: 200, weightMax: 400 };

/** The entries of a memory view in a real tree, whose nodes are loaded anew all the time. */
export class TreeView implements FrozenView {
  readonly source: FrozenView['source'];
  readonly #memory: MemoryView;
  readonly #tree: Tree;

  static async over(memory: MemoryView): Promise<TreeView> {
    const nodes = new Nodes(new MemoryNodes(), new NodeCache(4000), SMALL);
    const entries: KeyedEntry[] = [];
    const cursor = memory.cursor();
    for (let more = await cursor.seek(ROOT_KEY); more; more = await cursor.next()) {
      entries.push({ key: cursor.key, entry: cursor.entry() });
    }
    const { id } = await buildTree(nodes, [entries]);
    return new TreeView(memory, await Tree.open(nodes, id));
  }

  private constructor(memory: MemoryView, tree: Tree) {
    this.source = memory.source;
    this.#memory = memory;
    this.#tree = tree;
  }

  get(key: Key): MaybePromise<Entry | undefined> {
    return this.#tree.get(key);
  }

  cursor(signal?: AbortSignal): FrozenCursor {
    return this.#tree.cursor(signal);
  }

  totals(prefix: Key): MaybePromise<Totals> {
    return this.#tree.totalsOf(prefix);
  }

  rank(key: Key): MaybePromise<number> {
    return this.#tree.rank(key);
  }

  select(ordinal: number): MaybePromise<KeyedEntry | undefined> {
    return this.#tree.select(ordinal);
  }

  open(key: Key, entry: Entry): MaybePromise<Content> {
    return this.#memory.open(key, entry);
  }
}
