import { throwIfAborted } from '../util/abort.js';
import type { Entry } from '../model/entry.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import type { Span } from '../model/span.js';
import { spanOfPrefix, WHOLE_SPAN } from '../model/span.js';
import type { Edit } from './edit.js';
import type { Nesting } from './nesting.js';
import { Nestings } from './nesting.js';
import type { Nodes } from './nodes.js';
import type { Finding, ThreeEntries } from './three-way.js';
import { ThreeWay } from './three-way.js';
import type { WrittenTree } from './write.js';
import { editTree } from './write.js';

export interface MergeInput {
  readonly base: NodeId;
  /** The side that is merged into. */
  readonly ours: NodeId;
  readonly theirs: NodeId;
  /** Only what lies here is taken from theirs; everything without it. */
  readonly span?: Span;
  /** Which side wins a conflict; undefined leaves it one. */
  readonly prefer?: (key: Key) => 'ours' | 'theirs' | undefined;
  /** A path may become both a file and a directory, which is a conflict without it. */
  readonly mayNest?: boolean;
  readonly onChanges?: ChangesHeard;
}

/**
 * Told how many changes of theirs were found, and the last one's key: a subtree that is taken whole
 * is one. They are told twice, each time from the first one on, where they are too many to keep.
 */
export type ChangesHeard = (count: number, last: Key) => void;

/** A path that both sides changed since the base, each in its own way; undefined where absent. */
export interface MergeConflict {
  readonly key: Key;
  readonly base: Entry | undefined;
  readonly ours: Entry | undefined;
  readonly theirs: Entry | undefined;
}

export type MergeOutcome =
  /** `tree` is ours with the changes of theirs; its nodes are durable. */
  | { readonly kind: 'merged'; readonly tree: WrittenTree; readonly settled: number }
  /** In key order, CONFLICTS_LISTED_MAX of them at most; `count` is of all. Nothing was written. */
  | {
      readonly kind: 'conflicts';
      readonly conflicts: readonly MergeConflict[];
      readonly count: number;
    };

export const CONFLICTS_LISTED_MAX = 10_000;

/**
 * Merges two trees by what each changed since `base`, key by key. Where only one side changed a key
 * its entry is taken, also when that is none; where both made the same change (isSameEntry), ours.
 * What only theirs changed is taken in whole subtrees unread, so the cost follows what both changed
 * in common, and the number of places where theirs differs.
 *
 * A path where one side adds a file while the other adds entries below it, as in a directory, is a
 * conflict too, in which the side with the directory has no entry; `prefer` keeps the file or what is
 * below it. It is none where one of the three trees has both already.
 * @throws TarnError not-found, corrupt, unsupported, aborted, no-space, and what the store throws
 */
export async function mergeTrees(
  nodes: Nodes,
  input: MergeInput,
  signal?: AbortSignal,
): Promise<MergeOutcome> {
  const plan = new MergePlan(nodes, input, signal);
  await plan.make();
  if (plan.count > 0) {
    return { kind: 'conflicts', conflicts: plan.conflicts(), count: plan.count };
  }
  const merged = await editTree(nodes, input.ours, plan.edits(), signal);
  const unnested = plan.unnesting();
  const tree =
    unnested.length === 0 ? merged : await editTree(nodes, merged.id, [unnested], signal);
  return { kind: 'merged', tree, settled: plan.settled };
}

const BATCH = 500;
/** Edits that are kept while conflicts are looked for; if there are more they are found twice. */
const EDITS_KEPT_MAX = 100_000;

class MergePlan {
  readonly #nodes: Nodes;
  readonly #input: MergeInput;
  readonly #span: Span;
  readonly #signal: AbortSignal | undefined;
  /** Undefined when there are too many to keep. */
  #kept: Edit[] | undefined = [];
  #conflicts: MergeConflict[] = [];
  readonly #nested = new Set<Key>();
  readonly #unnesting: Edit[] = [];
  /** Of the conflicts that are left. */
  count = 0;
  settled = 0;

  constructor(nodes: Nodes, input: MergeInput, signal: AbortSignal | undefined) {
    this.#nodes = nodes;
    this.#input = input;
    this.#span = input.span ?? WHOLE_SPAN;
    this.#signal = signal;
  }

  async make(): Promise<void> {
    const mayNest = this.#input.mayNest === true;
    const nestings = mayNest
      ? undefined
      : await Nestings.open(this.#nodes, this.#input, this.#span, this.#signal);
    for await (const findings of this.#findings()) {
      for (const finding of findings) {
        if (finding.kind === 'conflict') this.#note(finding.key, finding.entries);
        const edit = this.#editOf(finding);
        if (edit === undefined) continue;
        this.#keep(edit);
        for (const nesting of (await nestings?.of(finding)) ?? []) this.#noteNesting(nesting);
      }
    }
  }

  /** In key order, CONFLICTS_LISTED_MAX at most. */
  conflicts(): MergeConflict[] {
    const sorted = this.#conflicts.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    return sorted.slice(0, CONFLICTS_LISTED_MAX);
  }

  /** What makes the merged tree out of ours, but for paths that are both file and directory. */
  async *edits(): AsyncGenerator<readonly Edit[]> {
    if (this.#kept !== undefined) {
      yield this.#kept;
      return;
    }
    for await (const findings of this.#findings()) {
      yield findings.map((finding) => this.#editOf(finding)).filter((edit) => edit !== undefined);
    }
  }

  /** What leaves of each path that is both file and directory the one that is preferred. */
  unnesting(): Edit[] {
    const placeOf = (edit: Edit): Key => (edit.kind === 'replace' ? edit.span.from : edit.key);
    const sorted = this.#unnesting.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    let gone: Span | undefined;
    return sorted.filter((edit) => {
      if (gone?.to !== undefined && placeOf(edit) < gone.to) return false;
      if (edit.kind === 'replace') gone = edit.span;
      return true;
    });
  }

  async *#findings(): AsyncGenerator<readonly Finding[]> {
    const trees = await ThreeWay.open(this.#nodes, this.#input, this.#span, this.#signal);
    let count = 0;
    for (;;) {
      throwIfAborted(this.#signal);
      const findings = await trees.next(BATCH);
      const last = findings.at(-1);
      if (last === undefined) return;
      count += findings.length;
      this.#input.onChanges?.(count, last.kind === 'take' ? last.span.from : last.key);
      yield findings;
    }
  }

  #keep(edit: Edit): void {
    if (this.#kept?.length === EDITS_KEPT_MAX) this.#kept = undefined;
    this.#kept?.push(edit);
  }

  /** Undefined where ours stays. */
  #editOf(finding: Finding): Edit | undefined {
    if (finding.kind === 'take') {
      const graft = { tree: this.#input.theirs, source: ROOT_KEY, target: ROOT_KEY };
      return { kind: 'replace', span: finding.span, with: graft };
    }
    const { key } = finding;
    if (finding.kind === 'conflict' && this.#input.prefer?.(key) !== 'theirs') return undefined;
    const entry = finding.entries.theirs;
    return entry === undefined ? { kind: 'remove', key } : { kind: 'put', key, entry };
  }

  /** Counts a conflict as settled or left; returns the side that is preferred. */
  #note(key: Key, entries: ThreeEntries): 'ours' | 'theirs' | undefined {
    const side = this.#input.prefer?.(key);
    if (side !== undefined) {
      this.settled += 1;
      return side;
    }
    this.count += 1;
    this.#conflicts.push({ key, ...entries });
    if (this.#conflicts.length >= 2 * CONFLICTS_LISTED_MAX) this.#conflicts = this.conflicts();
    return undefined;
  }

  #noteNesting({ key, file, entries }: Nesting): void {
    if (this.#nested.has(key)) return;
    this.#nested.add(key);
    const side = this.#note(key, entries);
    if (side === undefined) return;
    if (side !== file) this.#unnesting.push({ kind: 'remove', key });
    else this.#unnesting.push({ kind: 'replace', span: spanOfPrefix(`${key}/` as Key) });
  }
}
