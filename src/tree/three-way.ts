import { isDeepStrictEqual } from 'node:util';
import { isPromise } from '../util/async.js';
import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { isSameEntry } from '../model/same-entry.js';
import type { Span } from '../model/span.js';
import { spanOfKey } from '../model/span.js';
import { identicalRun } from './equal-run.js';
import type { Nodes } from './nodes.js';
import { SubtreeCursor } from './subtree-cursor.js';

export interface ThreeTrees {
  readonly base: NodeId;
  readonly ours: NodeId;
  readonly theirs: NodeId;
}

/** What a merge finds, in key order. What is left out stays as ours has it. */
export type Finding =
  /** What theirs has in the span is taken: ours has there what base has. */
  | {
      readonly kind: 'take';
      readonly span: Span;
      /** A key that ours has, in the span or behind it, if one is known. */
      readonly known?: Key | undefined;
    }
  /** A key that theirs changed, in a node that ours changed too. */
  | { readonly kind: 'edit'; readonly key: Key; readonly entries: ThreeEntries }
  /** A key that both changed, each in its own way. */
  | { readonly kind: 'conflict'; readonly key: Key; readonly entries: ThreeEntries };

export interface ThreeEntries {
  readonly base: Entry | undefined;
  readonly ours: Entry | undefined;
  readonly theirs: Entry | undefined;
}

/**
 * Three trees side by side: finds what theirs changed since base in a span, and where ours did too.
 * A subtree that two of the three share decides its range unread; only what all three have in
 * versions of their own is entered.
 */
export class ThreeWay {
  readonly #base: SubtreeCursor;
  readonly #ours: SubtreeCursor;
  readonly #theirs: SubtreeCursor;
  readonly #all: readonly SubtreeCursor[];
  readonly #to: Key | undefined;
  /**
   * All before it is done. What is in front of a cursor may still begin before it. Undefined while it
   * is where the cursors have come to, which costs something to say.
   */
  #low: Key | undefined;
  #findings: Finding[] = [];

  private constructor(all: readonly SubtreeCursor[], span: Span) {
    [this.#base, this.#ours, this.#theirs] = all as [SubtreeCursor, SubtreeCursor, SubtreeCursor];
    this.#all = all;
    this.#low = span.from;
    this.#to = span.to;
    for (const cursor of all) cursor.pass(span.from);
  }

  /** @throws TarnError not-found, corrupt, unsupported, aborted */
  static async open(
    nodes: Nodes,
    { base, ours, theirs }: ThreeTrees,
    span: Span,
    signal?: AbortSignal,
  ): Promise<ThreeWay> {
    const loads = [base, ours, theirs].map(async (id) => nodes.load(id, signal));
    const roots = await Promise.all(loads);
    const cursors = roots.map((root) => new SubtreeCursor(nodes, root, signal));
    return new ThreeWay(cursors, span);
  }

  /** The next findings, `count` of them or all that are left. @throws as open */
  async next(count: number): Promise<readonly Finding[]> {
    while (this.#findings.length < count) {
      const entered = this.#run(count);
      if (entered === undefined) break;
      await entered;
    }
    const findings = this.#findings;
    this.#findings = [];
    return findings;
  }

  /** Goes on until there are so many findings, or to the end, or to a node that must be loaded. */
  #run(count: number): Promise<unknown> | undefined {
    while (this.#findings.length < count) {
      for (const cursor of this.#all) this.#trim(cursor);
      if (this.#base.atEnd && this.#theirs.atEnd) return undefined;
      if (this.#passShared() || this.#passLone()) continue;
      if (this.#all.some(({ height }) => height > 0)) {
        const entered = this.#enterHighest();
        if (entered !== undefined) return entered;
      } else if (!this.#passIdentical()) {
        this.#compareEntries();
      }
    }
    return undefined;
  }

  /** Ends behind the span. */
  #trim(cursor: SubtreeCursor): void {
    const to = this.#to;
    if (to !== undefined && !cursor.atEnd && cursor.startsAt(to)) cursor.end();
  }

  /** Passes a subtree that two of the trees share. */
  #passShared(): boolean {
    const [base, ours, theirs] = [this.#base, this.#ours, this.#theirs];
    if (base.isSameSubtree(theirs)) {
      if (base.isSameSubtree(ours)) this.#skipAll();
      else this.#passTo(base.lastKey);
    } else if (ours.isSameSubtree(theirs)) this.#passTo(ours.lastKey);
    else if (base.isSameSubtree(ours)) this.#takeTo(base.lastKey, base.lastKey);
    else return false;
    return true;
  }

  /** Passes a subtree in whose range the other two trees are known to have nothing. */
  #passLone(): boolean {
    const lone = this.#all.find((cursor) => cursor.height > 0 && this.#isLone(cursor));
    if (lone === undefined) return false;
    if (lone === this.#theirs) this.#takeTo(lone.lastKey);
    else this.#passTo(lone.lastKey);
    return true;
  }

  #isLone(cursor: SubtreeCursor): boolean {
    return this.#all.every(
      (other) =>
        other === cursor || other.atEnd || (other.height === 0 && cursor.lastKey < other.lastKey),
    );
  }

  /** What theirs has up to `last` takes the place of what ours has. */
  #takeTo(last: Key, known?: Key): void {
    const from = this.#reached();
    this.#passTo(last);
    const end = this.#reached();
    const to = this.#to !== undefined && this.#to < end ? this.#to : end;
    const before = this.#findings.at(-1);
    if (before?.kind === 'take' && before.span.to === from) {
      this.#findings[this.#findings.length - 1] = {
        kind: 'take',
        span: { from: before.span.from, to },
        known: known ?? before.known,
      };
    } else {
      this.#findings.push({ kind: 'take', span: { from, to }, known });
    }
  }

  #passTo(last: Key): void {
    const low = spanOfKey(last).to as Key;
    this.#low = low;
    for (const cursor of this.#all) cursor.pass(low);
  }

  /** Passes what is in front of all three, which is the same. */
  #skipAll(): void {
    this.#low = undefined;
    for (const cursor of this.#all) cursor.skip();
  }

  #reached(): Key {
    this.#low ??= this.#base.passed;
    return this.#low;
  }

  /** Enters the highest subtree in front, or those that are as high. */
  #enterHighest(): Promise<unknown> | undefined {
    const low = this.#reached();
    const highest = Math.max(...this.#all.map(({ height }) => height));
    const entered = this.#all
      .filter(({ height }) => height === highest)
      .map((cursor) => cursor.enter());
    const pass = (): void => this.#all.forEach((cursor) => cursor.pass(low));
    const waits = entered.filter(isPromise);
    if (waits.length > 0) return Promise.all(waits).then(pass);
    pass();
    return undefined;
  }

  /** Passes entries that are the same in all three. */
  #passIdentical(): boolean {
    const [base, ours, theirs] = [this.#base, this.#ours, this.#theirs];
    if (base.atEnd || ours.atEnd || theirs.atEnd) return false;
    const { leaf, index } = base;
    const run = identicalRun(leaf, index, ours.leaf, ours.index);
    if (run === 0) return false;
    const common = Math.min(run, identicalRun(leaf, index, theirs.leaf, theirs.index));
    if (common === 0) return false;
    this.#low = spanOfKey(leaf.keyAt(index + common - 1)).to;
    for (const cursor of this.#all) cursor.skipTo(cursor.index + common);
    return true;
  }

  /** Decides the least key in front. */
  #compareEntries(): void {
    const keys = this.#all.filter(({ atEnd }) => !atEnd).map(({ lastKey }) => lastKey);
    const key = keys.reduce((least, other) => (other < least ? other : least));
    const entries = {
      base: takeAt(this.#base, key),
      ours: takeAt(this.#ours, key),
      theirs: takeAt(this.#theirs, key),
    };
    this.#low = spanOfKey(key).to;
    const side = sideOf(entries);
    if (side === 'both') this.#findings.push({ kind: 'conflict', key, entries });
    if (side === 'theirs') this.#findings.push({ kind: 'edit', key, entries });
  }
}

/** The entry at `key`, which is passed; undefined when the cursor has another one in front. */
function takeAt(cursor: SubtreeCursor, key: Key): Entry | undefined {
  if (cursor.atEnd || cursor.lastKey !== key) return undefined;
  const entry = cursor.entry();
  cursor.skip();
  return entry;
}

/**
 * Whose entry a merge has. It takes the same whether entries are looked at one by one or in shared
 * subtrees: so a side that did not even move the content never wins against one that did.
 */
function sideOf({ base, ours, theirs }: ThreeEntries): 'ours' | 'theirs' | 'both' {
  if (isIdentical(ours, theirs) || isIdentical(base, theirs)) return 'ours';
  if (isIdentical(base, ours)) return 'theirs';
  if (isSameEntry(ours, theirs)) return 'ours';
  if (isSameEntry(base, ours)) return 'theirs';
  return isSameEntry(base, theirs) ? 'ours' : 'both';
}

/** The same also in where the content lies. */
function isIdentical(a: Entry | undefined, b: Entry | undefined): boolean {
  if (!isSameEntry(a, b)) return false;
  if (a?.kind !== 'file' || b?.kind !== 'file') return true;
  return isDeepStrictEqual(a.address, b.address);
}
