import { isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import { throwIfAborted } from '../util/abort.js';
import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { WHOLE_SPAN } from '../model/span.js';
import { equalRun } from './equal-run.js';
import type { InnerNode, TreeNode } from './node.js';
import type { Nodes } from './nodes.js';
import { SubtreeCursor } from './subtree-cursor.js';

/** How one key differs between two trees: absent on one side, or with another entry. */
export interface TreeChange {
  readonly key: Key;
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

const BATCH = 500;

/**
 * The keys of `span` whose entries differ (isSameEntry) between the trees `before` and `after`, in
 * key order, in batches that are never empty. What both trees share is not read: the cost follows
 * the changes, and the depth of the trees.
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
  const comparison = await Comparison.open(nodes, before, after, span, signal);
  for (;;) {
    throwIfAborted(signal);
    const changes = await comparison.next(BATCH);
    if (changes.length === 0) return;
    yield changes;
  }
}

/** Whether the trees have the same entries (isSameEntry) in `span`. @throws as diffTrees */
export async function isSameBetween(
  nodes: Nodes,
  a: NodeId,
  b: NodeId,
  span: Span,
  signal?: AbortSignal,
): Promise<boolean> {
  if (a === b) return true;
  let [mine, its] = await both(nodes.load(a, signal), nodes.load(b, signal));
  for (;;) {
    const children = childrenIn(mine, its, span);
    if (children === undefined) break;
    const parted = partedOf(children);
    if (parted.length === 0) return true;
    if (children.count > 1) break;
    [mine, its] = await childrenAt(nodes, children, 0, signal);
  }
  const comparison = new Comparison(nodes, mine, its, span, signal);
  return (await comparison.next(1)).length === 0;
}

/**
 * Whether the trees are known to have the same entries in `span`, from the nodes that they share: it
 * loads no leaf, and of each level at most two nodes of each tree. @throws as diffTrees
 */
export async function sharesSpan(
  nodes: Nodes,
  a: NodeId,
  b: NodeId,
  span: Span,
  signal?: AbortSignal,
): Promise<boolean> {
  if (a === b) return true;
  const [mine, its] = await both(nodes.load(a, signal), nodes.load(b, signal));
  return shareBetween(nodes, mine, its, span, signal);
}

async function shareBetween(
  nodes: Nodes,
  a: TreeNode,
  b: TreeNode,
  span: Span,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const children = childrenIn(a, b, span);
  if (children === undefined) return false;
  for (const k of partedOf(children)) {
    // Only what lies at an end of the span may differ elsewhere.
    if ((k > 0 && k < children.count - 1) || a.level === 1) return false;
    const [mine, its] = await childrenAt(nodes, children, k, signal);
    if (!(await shareBetween(nodes, mine, its, span, signal))) return false;
  }
  return true;
}

/** Children of two nodes of one level which hold all that these have in a span: as many of each. */
interface Children {
  readonly a: InnerNode;
  readonly b: InnerNode;
  readonly i: number;
  readonly j: number;
  readonly count: number;
}

/** Undefined where the nodes are not cut alike there. */
function childrenIn(a: TreeNode, b: TreeNode, span: Span): Children | undefined {
  if (a.kind === 'leaf' || b.kind === 'leaf' || a.level !== b.level) return undefined;
  const [i, j] = [a.lowerBound(span.from), b.lowerBound(span.from)];
  const count = childrenUntil(a, i, span.to) - i;
  if (count < 1 || childrenUntil(b, j, span.to) - j !== count) return undefined;
  return { a, b, i, j, count };
}

/** Behind the last child that may have something before `to`. */
function childrenUntil(node: InnerNode, from: number, to: Key | undefined): number {
  if (to === undefined) return node.count;
  const end = node.lowerBound(to);
  // Nothing lies between a key and the one that follows it next.
  const isNext = end > from && to.endsWith('\0') && node.keyAt(end - 1) === to.slice(0, -1);
  return isNext ? end : Math.min(end + 1, node.count);
}

/** Which of them differ. */
function partedOf({ a, b, i, j, count }: Children): number[] {
  const parted: number[] = [];
  for (let k = 0; k < count; k++) if (!a.hasSameChild(i + k, b, j + k)) parted.push(k);
  return parted;
}

function childrenAt(
  nodes: Nodes,
  { a, b, i, j }: Children,
  k: number,
  signal: AbortSignal | undefined,
): MaybePromise<[TreeNode, TreeNode]> {
  return both(nodes.child(a, i + k, signal), nodes.child(b, j + k, signal));
}

/** Nodes that are at hand are not waited for. */
function both(
  a: MaybePromise<TreeNode>,
  b: MaybePromise<TreeNode>,
): MaybePromise<[TreeNode, TreeNode]> {
  return isPromise(a) || isPromise(b) ? Promise.all([a, b]) : [a, b];
}

/** Two trees side by side, entered only where they differ. */
class Comparison {
  readonly #before: SubtreeCursor;
  readonly #after: SubtreeCursor;
  readonly #span: Span;
  #changes: TreeChange[] = [];
  /** The entries passed last had the same key, so front-coded keys go on alike. */
  #inStep = false;

  constructor(
    nodes: Nodes,
    before: TreeNode,
    after: TreeNode,
    span: Span,
    signal: AbortSignal | undefined,
  ) {
    this.#before = new SubtreeCursor(nodes, before, signal);
    this.#after = new SubtreeCursor(nodes, after, signal);
    this.#span = span;
    this.#passBefore();
  }

  static async open(
    nodes: Nodes,
    before: NodeId,
    after: NodeId,
    span: Span,
    signal: AbortSignal | undefined,
  ): Promise<Comparison> {
    const [old, now] = await Promise.all([nodes.load(before, signal), nodes.load(after, signal)]);
    return new Comparison(nodes, old, now, span, signal);
  }

  /** The next changes, `count` of them or all that are left. */
  async next(count: number): Promise<readonly TreeChange[]> {
    while (this.#changes.length < count) {
      const entered = this.#run(count);
      if (entered === undefined) break;
      await entered;
    }
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** Goes on until there are so many changes, or to the end, or to a node that must be loaded. */
  #run(count: number): Promise<unknown> | undefined {
    const [before, after] = [this.#before, this.#after];
    while (this.#changes.length < count) {
      this.#trim(before);
      this.#trim(after);
      if (before.atEnd && after.atEnd) return undefined;
      if (before.isSameSubtree(after)) {
        before.skip();
        after.skip();
      } else if (before.height > 0 || after.height > 0) {
        const entered = this.#enterHigher();
        if (entered !== undefined) return entered;
      } else {
        this.#compareEntries();
      }
    }
    return undefined;
  }

  /** Passes what lies before the span, as far as it is known. */
  #passBefore(): void {
    const { from } = this.#span;
    if (from === ROOT_KEY) return;
    this.#before.pass(from);
    this.#after.pass(from);
  }

  /** Ends behind the span. */
  #trim(cursor: SubtreeCursor): void {
    const { to } = this.#span;
    if (to !== undefined && !cursor.atEnd && cursor.startsAt(to)) cursor.end();
  }

  /** Enters the higher subtree in front, or both where they are as high. */
  #enterHigher(): Promise<unknown> | undefined {
    this.#inStep = false;
    const [before, after] = [this.#before, this.#after];
    const [old, now] = [before.height, after.height];
    const first = old >= now ? before.enter() : undefined;
    const second = now >= old ? after.enter() : undefined;
    if (isPromise(first) || isPromise(second)) {
      return Promise.all([first, second]).then(() => this.#passBefore());
    }
    this.#passBefore();
    return undefined;
  }

  #compareEntries(): void {
    const [before, after] = [this.#before, this.#after];
    if (before.atEnd) return this.#note(undefined, after);
    if (after.atEnd) return this.#note(before, undefined);
    const equal = equalRun(before.leaf, before.index, after.leaf, after.index, this.#inStep);
    if (equal > 0) {
      before.skipTo(before.index + equal);
      after.skipTo(after.index + equal);
      this.#inStep = true;
      return;
    }
    const [old, now] = [before.lastKey, after.lastKey];
    this.#inStep = old === now;
    if (old < now) this.#note(before, undefined);
    else if (now < old) this.#note(undefined, after);
    else this.#note(before, after);
  }

  /** Passes the entries of one key, and notes how they differ. */
  #note(old: SubtreeCursor | undefined, now: SubtreeCursor | undefined): void {
    const key = (old ?? now)?.lastKey as Key;
    const before = old?.entry();
    const after = now?.entry();
    if (!isSameEntry(before, after)) this.#changes.push({ key, before, after });
    old?.skip();
    now?.skip();
  }
}
