import type { BranchRenaming, RefChange, RefKind } from '../../src/store/ref-store.js';

export type ModelChange = RefChange & { readonly renamed?: string };
type ModelMoment =
  | { kind: 'at'; target: string }
  | { kind: 'gone'; change: ModelChange }
  | { kind: 'unrecorded'; first: ModelChange | undefined };

/** What a RefStore says of the past, as a plain list of changes that is read from its start. */
export class RefModel {
  readonly #changes: ModelChange[] = [];

  append(change: ModelChange): void {
    this.#changes.push({ ...change, atMs: Math.max(change.atMs, this.#lastMs(change.name)) });
  }

  rename({ from, to, commit, by, atMs }: BranchRenaming): void {
    const lastMs = [from, to].map((name) => this.#lastMs(name));
    const why = 'branch rename';
    const both = { kind: 'branch', by, atMs: Math.max(atMs, ...lastMs), why } as const;
    this.append({ ...both, name: from, expected: commit, next: undefined, renamed: to });
    this.append({ ...both, name: to, expected: undefined, next: commit, renamed: from });
  }

  /** Newest first. */
  history(kind: RefKind, name: string): ModelChange[] {
    return this.#changes.filter((each) => each.kind === kind && each.name === name).reverse();
  }

  at(kind: RefKind, name: string, atMs: number): ModelMoment {
    return this.#at(kind, name, atMs, this.#changes);
  }

  #lastMs(name: string): number {
    return this.#changes.findLast((each) => each.name === name)?.atMs ?? 0;
  }

  #at(kind: RefKind, name: string, atMs: number, until: readonly ModelChange[]): ModelMoment {
    const own = until.filter((each) => each.kind === kind && each.name === name);
    const then = own.filter((each) => each.atMs <= atMs).at(-1);
    if (then?.next !== undefined) return { kind: 'at', target: then.next };
    const next = own.find((each) => each.atMs > atMs);
    const here: ModelMoment =
      then === undefined ? { kind: 'unrecorded', first: next } : { kind: 'gone', change: then };
    if (next?.next === undefined || next.renamed === undefined) return here;
    const earlier = until.slice(0, until.indexOf(next));
    const there = this.#at(kind, next.renamed, atMs, earlier);
    return there.kind === 'at' || here.kind === 'unrecorded' ? there : here;
  }
}
