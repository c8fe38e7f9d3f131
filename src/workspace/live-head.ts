import type { Repository } from '../repo/repository.js';
import type { FrozenView } from '../repo/view.js';
import { TarnError } from '../util/errors.js';
import type { RemovedPrefix, StagedRow, Staging, StagingState } from './staging.js';
import type { Span } from '../model/span.js';

/** A branch's head, and the count of clearings that was read before it. */
export interface HeadAt {
  readonly view: FrozenView;
  readonly clearings: number;
}

/**
 * Reads what is staged on a branch together with the head that it lies on. A commit moves the head
 * and then clears staging; whoever sees that rows were cleared reads the head anew, so that nothing
 * is missing in between.
 */
export class LiveHead {
  readonly #repository: Repository;
  readonly #staging: Staging;
  readonly branch: string;
  #head: HeadAt | undefined;
  #prefixes: { readonly version: number; readonly rows: readonly RemovedPrefix[] } | undefined;

  constructor(repository: Repository, staging: Staging, branch: string) {
    this.#repository = repository;
    this.#staging = staging;
    this.branch = branch;
  }

  /** The head as of now. @throws TarnError not-found when the branch is gone */
  async load(signal?: AbortSignal): Promise<HeadAt> {
    const { clearings } = this.#staging.state(this.branch);
    const id = await this.#repository.refs.get('branch', this.branch, signal);
    if (id === undefined) {
      throw new TarnError(
        'not-found',
        `repository '${this.#repository.name}' has no branch '${this.branch}'`,
        { hint: `see 'tarn branch list ${this.#repository.name}'` },
      );
    }
    const known = this.#head?.view;
    const view =
      known?.source.commitId === id
        ? known
        : await this.#repository.commitView(this.branch, id, signal);
    this.#head = { view, clearings };
    return this.#head;
  }

  /** Staged rows of the span, the first page of them, and a head that goes with them. */
  async page(
    span: Span,
    signal?: AbortSignal,
  ): Promise<{ rows: StagedRow[]; isLast: boolean; head: FrozenView }> {
    let head = this.#head ?? (await this.load(signal));
    for (;;) {
      const { state, rows, isLast } = this.#staging.page(this.branch, span.from, span.to);
      if (state.clearings === head.clearings) return { rows, isLast, head: head.view };
      head = await this.load(signal);
    }
  }

  removedPrefixes(): readonly RemovedPrefix[] {
    const { version } = this.state();
    if (this.#prefixes?.version !== version) {
      this.#prefixes = { version, rows: this.#staging.removedPrefixes(this.branch) };
    }
    return this.#prefixes.rows;
  }

  state(): StagingState {
    return this.#staging.state(this.branch);
  }
}
