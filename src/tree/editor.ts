import { andThen, isPromise } from '../util/async.js';
import type { MaybePromise } from '../util/async.js';
import type { NodeId } from '../model/ids.js';
import type { Key } from '../model/path.js';
import { Copier } from './copier.js';
import type { Edit } from './edit.js';
import type { Nodes } from './nodes.js';
import { SubtreeCursor } from './subtree-cursor.js';
import type { TreeWriter } from './tree-writer.js';

/** A span that is being replaced. The base stands at its end already. */
interface Splice {
  readonly to: Key | undefined;
  readonly donor: Copier | undefined;
}

type KeyEdit = Exclude<Edit, { readonly kind: 'replace' }>;
type Replacement = Extract<Edit, { readonly kind: 'replace' }>;

/**
 * Applies edits, which come in order, to a tree. One call at a time: a promise must settle before
 * the next call.
 */
export class Editor {
  readonly #nodes: Nodes;
  readonly #writer: TreeWriter;
  readonly #base: Copier;
  readonly #signal: AbortSignal | undefined;
  #splice: Splice | undefined;

  constructor(
    nodes: Nodes,
    writer: TreeWriter,
    base: SubtreeCursor,
    signal: AbortSignal | undefined,
  ) {
    this.#nodes = nodes;
    this.#writer = writer;
    this.#base = new Copier(base, writer);
    this.#signal = signal;
  }

  apply(edit: Edit): MaybePromise<void> {
    if (edit.kind === 'replace') return this.#replace(edit);
    const splice = this.#splice;
    if (splice?.to !== undefined && edit.key >= splice.to) {
      return andThen(this.#endSplice(), () => this.#edit(this.#base, edit));
    }
    return this.#edit(splice === undefined ? this.#base : splice.donor, edit);
  }

  /** Copies what follows the last edit. */
  async finish(): Promise<void> {
    await this.#endSplice();
    await this.#base.copyRest();
  }

  #edit(source: Copier | undefined, edit: KeyEdit): MaybePromise<void> {
    const put = (): MaybePromise<void> => {
      if (edit.kind !== 'put') return;
      this.#writer.append(edit.key, edit.entry);
      if (this.#writer.full) return this.#writer.room();
    };
    if (source === undefined) return put();
    const copied = source.copyUntil(edit.key);
    if (isPromise(copied)) return copied.then(() => source.drop(edit.key)).then(put);
    const dropped = source.drop(edit.key);
    return isPromise(dropped) ? dropped.then(put) : put();
  }

  async #replace({ span, with: graft }: Replacement): Promise<void> {
    await this.#endSplice();
    if (span.to !== undefined && span.to <= span.from) return;
    await this.#base.copyUntil(span.from);
    await this.#base.dropUntil(span.to);
    if (graft === undefined) {
      this.#splice = { to: span.to, donor: undefined };
      return;
    }
    const donor = new Copier(await this.#open(graft.tree), this.#writer, graft);
    this.#splice = { to: span.to, donor };
    await donor.dropUntil(span.from);
  }

  async #open(tree: NodeId): Promise<SubtreeCursor> {
    return new SubtreeCursor(this.#nodes, await this.#nodes.load(tree, this.#signal), this.#signal);
  }

  async #endSplice(): Promise<void> {
    const splice = this.#splice;
    this.#splice = undefined;
    if (splice?.donor === undefined) return;
    await splice.donor.copyUntil(splice.to);
    splice.donor.close();
  }
}
