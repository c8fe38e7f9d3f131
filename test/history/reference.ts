import type { CommitId } from '../../src/model/ids.js';

/** Path to seed: what a commit holds, as a plain map. */
export type Files = ReadonlyMap<string, string>;

export interface ModelCommit {
  readonly files: Files;
  readonly parents: readonly number[];
  /** Of the product's commit: they say in which order several bases are merged. */
  readonly id: CommitId;
  readonly dateMs: number;
}

export type Prefer = (path: string) => 'ours' | 'theirs' | undefined;

/** What a version that equals no other is, where the bases of a merge conflict. */
const UNCLEAR = '\0unclear';

/** Three maps merged path by path; `conflicts` are the paths that no preference decides. */
export function mergeFiles(
  { base, ours, theirs }: { readonly base: Files; readonly ours: Files; readonly theirs: Files },
  prefer: Prefer,
): { files: Map<string, string>; conflicts: string[] } {
  const files = new Map<string, string>();
  const conflicts: string[] = [];
  for (const path of new Set([...base.keys(), ...ours.keys(), ...theirs.keys()])) {
    const [was, mine, other] = [base.get(path), ours.get(path), theirs.get(path)];
    let taken = mine;
    if (mine !== other && mine === was) taken = other;
    else if (mine !== other && other !== was) {
      const side = prefer(path);
      if (side === undefined) conflicts.push(path);
      if (side === 'theirs') taken = other;
    }
    if (taken !== undefined) files.set(path, taken);
  }
  return { files, conflicts: conflicts.sort() };
}

/** Branches, tags and what is staged, without trees, stores or sharing: everything is copied. */
export class ReferenceModel {
  readonly commits: ModelCommit[] = [];
  readonly branches = new Map<string, number>();
  readonly tags = new Map<string, number>();
  readonly #staged = new Map<string, Map<string, string | undefined>>();

  headOf(branch: string): ModelCommit {
    return this.commitAt(this.numberOf(branch));
  }

  numberOf(branch: string): number {
    return this.branches.get(branch) as number;
  }

  commitAt(number: number): ModelCommit {
    return this.commits[number] as ModelCommit;
  }

  /** Makes a commit the head of a branch. */
  add(branch: string, commit: ModelCommit): void {
    this.branches.set(branch, this.commits.push(commit) - 1);
  }

  /** Path to seed; undefined removes. */
  stagedOn(branch: string): Map<string, string | undefined> {
    const staged = this.#staged.get(branch) ?? new Map<string, string | undefined>();
    this.#staged.set(branch, staged);
    return staged;
  }

  seen(branch: string): Map<string, string> {
    const files = new Map(this.headOf(branch).files);
    for (const [path, seed] of this.stagedOn(branch)) {
      if (seed === undefined) files.delete(path);
      else files.set(path, seed);
    }
    return files;
  }

  /** What a commit of all that is staged holds; undefined when that is no change. */
  commitOf(branch: string): Files | undefined {
    const files = this.seen(branch);
    return isSame(files, this.headOf(branch).files) ? undefined : files;
  }

  ancestorsOf(numbers: readonly number[]): Set<number> {
    const found = new Set(numbers);
    for (const each of found) for (const parent of this.commitAt(each).parents) found.add(parent);
    return found;
  }

  /** By the definition; newest first. */
  basesOf(a: readonly number[], b: readonly number[]): number[] {
    const others = this.ancestorsOf(b);
    const common = [...this.ancestorsOf(a)].filter((each) => others.has(each));
    const best = common.filter(
      (each) => !common.some((other) => other !== each && this.ancestorsOf([other]).has(each)),
    );
    return best.sort((x, y) => {
      const [p, q] = [this.commitAt(x), this.commitAt(y)];
      return q.dateMs - p.dateMs || (p.id > q.id ? -1 : 1);
    });
  }

  /** What a merge of `bases` is: they are merged with each other, and conflicts equal nothing. */
  baseFiles(bases: readonly number[]): Files {
    const [first, ...rest] = bases;
    if (first === undefined) return new Map();
    let merged: { files: Files; of: number[] } = { files: this.commitAt(first).files, of: [first] };
    for (const next of rest) {
      const sides = {
        base: this.baseFiles(this.basesOf(merged.of, [next])),
        ours: merged.files,
        theirs: this.commitAt(next).files,
      };
      const { files, conflicts } = mergeFiles(sides, () => undefined);
      for (const path of conflicts) files.set(path, UNCLEAR);
      merged = { files, of: [...merged.of, next] };
    }
    return merged.files;
  }
}

export function isSame(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([path, seed]) => b.get(path) === seed);
}
