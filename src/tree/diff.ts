import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { WHOLE_SPAN } from '../model/span.js';
import type { FrozenCursor } from '../model/cursor.js';
import type { Nodes } from './nodes.js';
import { sharesSpan } from './shared-span.js';
import { Tree } from './tree.js';

/** How one key differs between two trees: absent on one side, or with another entry. */
export interface TreeChange {
  readonly key: Key;
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

const BATCH = 500;

/**
 * The keys of `span` whose entries differ (isSameEntry) between the trees `before` and `after`, in
 * key order, in batches that are never empty.
 * @throws TarnError not-found, corrupt, unsupported, aborted, and what the store throws
 */
export async function* diffTrees(
  nodes: Nodes,
  before: NodeId,
  after: NodeId,
  span: Span = WHOLE_SPAN,
  signal?: AbortSignal,
): AsyncGenerator<readonly TreeChange[], void, undefined> {
  if (before === after) return;
  const old = await Walk.open(nodes, before, span, signal);
  const now = await Walk.open(nodes, after, span, signal);
  let batch: TreeChange[] = [];
  while (old.key !== undefined || now.key !== undefined) {
    const key = lesser(old.key, now.key);
    const change = {
      key,
      before: await old.take(key),
      after: await now.take(key),
    };
    if (!isSameEntry(change.before, change.after)) batch.push(change);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Whether the trees have the same entries in `span`. @throws as diffTrees */
export async function isSameBetween(
  nodes: Nodes,
  a: NodeId,
  b: NodeId,
  span: Span,
  signal?: AbortSignal,
): Promise<boolean> {
  if (await sharesSpan(nodes, a, b, span, signal)) return true;
  const first = await diffTrees(nodes, a, b, span, signal).next();
  return first.done === true;
}

function lesser(a: Key | undefined, b: Key | undefined): Key {
  if (a === undefined) return b as Key;
  return b === undefined || a < b ? a : b;
}

class Walk {
  readonly #cursor: FrozenCursor;
  readonly #to: Key | undefined;
  /** Undefined past the end of the span. */
  key: Key | undefined;

  private constructor(cursor: FrozenCursor, to: Key | undefined) {
    this.#cursor = cursor;
    this.#to = to;
  }

  static async open(
    nodes: Nodes,
    root: NodeId,
    span: Span,
    signal: AbortSignal | undefined,
  ): Promise<Walk> {
    const tree = await Tree.open(nodes, root, signal);
    const walk = new Walk(tree.cursor(signal), span.to);
    walk.#settle(await walk.#cursor.seek(span.from));
    return walk;
  }

  /** The entry at `key`, which is passed, or undefined when this is not there. */
  async take(key: Key): Promise<Entry | undefined> {
    if (this.key !== key) return undefined;
    const entry = this.#cursor.entry();
    this.#settle(await this.#cursor.next());
    return entry;
  }

  #settle(found: boolean): void {
    const isInside = found && (this.#to === undefined || this.#cursor.key < this.#to);
    this.key = isInside ? this.#cursor.key : undefined;
  }
}
