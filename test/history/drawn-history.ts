import fc from 'fast-check';
import type { Commit } from '../../src/model/commit.js';
import type { CommitId, NodeId } from '../../src/model/ids.js';
import { sha256 } from '../../src/model/ids.js';

/** Commit n of a drawn history: its parents are among those before it. */
export interface Drawn {
  readonly parents: readonly number[];
  readonly dateMs: number;
}

const TREE = sha256(Buffer.from('tree')) as NodeId;

export const idOf = (n: number): CommitId => sha256(Buffer.from(`commit ${n}`)) as CommitId;

/** Counts how many commits were read. */
export class DrawnHistory {
  readonly #commits: Map<CommitId, Commit>;
  readonly #numbers: Map<CommitId, number>;
  reads = 0;

  constructor(readonly drawn: readonly Drawn[]) {
    this.#numbers = new Map(drawn.map((_, n) => [idOf(n), n]));
    this.#commits = new Map(
      drawn.map(({ parents, dateMs }, n) => {
        const rest = { author: 'rosa', message: String(n), metadata: {} };
        return [idOf(n), { tree: TREE, parents: parents.map(idOf), dateMs, ...rest }];
      }),
    );
  }

  readonly read = async (id: CommitId): Promise<Commit> => {
    this.reads += 1;
    return this.#commits.get(id) as Commit;
  };

  numbersOf(ids: readonly CommitId[]): number[] {
    return ids.map((id) => this.#numbers.get(id) as number);
  }

  /** The commit itself among them. */
  ancestorsOf(n: number): Set<number> {
    const found = new Set([n]);
    for (const each of found)
      for (const parent of this.drawn[each]?.parents ?? []) found.add(parent);
    return found;
  }
}

/** Histories that fork and meet often, with dates in order or of no meaning at all. */
export const histories: fc.Arbitrary<Drawn[]> = fc
  .record({
    rows: fc.array(fc.tuple(fc.array(fc.nat(), { maxLength: 3 }), fc.nat({ max: 40 })), {
      minLength: 1,
      maxLength: 30,
    }),
    isHonest: fc.boolean(),
    width: fc.integer({ min: 2, max: 6 }),
  })
  .map(({ rows, isHonest, width }) =>
    rows.map(([picks, dateMs], n): Drawn => {
      const near = picks.map((pick) => n - 1 - (pick % width)).filter((parent) => parent >= 0);
      return { parents: [...new Set(near)], dateMs: isHonest ? n : dateMs };
    }),
  );
