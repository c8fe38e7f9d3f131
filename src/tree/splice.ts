import type { FrozenCursor } from '../model/cursor.js';
import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import type { Span } from '../model/span.js';
import type { Level, WriteContext } from './level.js';
import { Tree } from './tree.js';
import type { Edit, Graft } from './edit.js';

/** A span of a tree being written whose old entries were dropped, and what takes their place. */
export class Splice {
  readonly #context: WriteContext;
  readonly #leaves: Level<Entry>;
  readonly #span: Span;
  readonly #graft: Graft;
  readonly #donor: FrozenCursor;
  /** Where the entry of the donor goes; undefined when none is left. */
  #key: Key | undefined;

  private constructor(
    context: WriteContext,
    leaves: Level<Entry>,
    span: Span,
    graft: Graft,
    donor: FrozenCursor,
  ) {
    this.#context = context;
    this.#leaves = leaves;
    this.#span = span;
    this.#graft = graft;
    this.#donor = donor;
  }

  /** Drops the old entries of the span; undefined when nothing takes their place. */
  static async begin(
    context: WriteContext,
    leaves: Level<Entry>,
    { span, with: graft }: Edit & { readonly kind: 'replace' },
  ): Promise<Splice | undefined> {
    if (isEmpty(span)) return undefined;
    await leaves.advance(span.from);
    await leaves.dropUntil(span.to);
    if (graft === undefined) return undefined;
    const start = startIn(graft, span);
    if (start === undefined) return undefined;
    const tree = await Tree.open(context.nodes, graft.tree, context.signal);
    const donor = tree.cursor(context.signal);
    const splice = new Splice(context, leaves, span, graft, donor);
    splice.#settle(await donor.seek(start));
    if (splice.#key === ROOT_KEY) splice.#settle(await donor.next());
    return splice;
  }

  /** Copies the entries in front of `key`, and drops the one at it. */
  async passTo(key: Key): Promise<void> {
    await this.#copyUntil(key);
    if (this.#key === key) this.#settle(await this.#donor.next());
  }

  copyRest(): Promise<void> {
    return this.#copyUntil(undefined);
  }

  async #copyUntil(end: Key | undefined): Promise<void> {
    while (this.#key !== undefined && (end === undefined || this.#key < end)) {
      this.#leaves.append(this.#key, this.#donor.entry());
      if (this.#context.saves.full) await this.#context.saves.room();
      this.#settle(await this.#donor.next());
    }
  }

  #settle(found: boolean): void {
    const { source, target } = this.#graft;
    this.#key = undefined;
    if (!found || !this.#donor.key.startsWith(source)) return;
    const key = (target + this.#donor.key.slice(source.length)) as Key;
    if (this.#span.to === undefined || key < this.#span.to) this.#key = key;
  }
}

function isEmpty(span: Span): boolean {
  return span.to !== undefined && span.to <= span.from;
}

/** The least key of the donor that may go into the span; undefined when none can. */
function startIn({ source, target }: Graft, { from }: Span): Key | undefined {
  if (from <= target) return source;
  return from.startsWith(target) ? ((source + from.slice(target.length)) as Key) : undefined;
}
