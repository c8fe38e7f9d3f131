import type { Key } from '../../model/path.js';
import type { StageRow } from '../jobs/stage-job.js';
import type { Node, OwnName } from '../nodes.js';
import type { Absorbed, AbsorbedFile } from '../snapshot.js';
import type { Kept } from './edits.js';
import type { Plan } from './plan.js';

/** What a job has staged of a plan. */
export class StagedPart {
  readonly kept: Kept[] = [];
  readonly #plan: Plan;
  readonly #names = new Map<OwnName, Key>();
  readonly #files = new Map<Node, AbsorbedFile>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  take(rows: readonly StageRow[]): void {
    for (const row of rows) {
      if (row.is === 'kept') {
        const { path, reason, why } = row;
        this.kept.push({ path, reason, why });
      } else if (row.is === 'name') {
        const own = this.#plan.names.get(row.row);
        if (own !== undefined) this.#names.set(own, row.key);
      } else {
        const node = this.#plan.nodes.get(row.inode);
        if (node !== undefined) this.#files.set(node, { entry: row.entry, stamp: row.stamp });
      }
    }
  }

  /** Those whose bytes were staged. */
  files(): Iterable<Node> {
    return this.#files.keys();
  }

  /** @param written files that somebody has opened for writing since: their bytes may be others */
  absorbed(written: ReadonlySet<Node>): Pick<Absorbed, 'names' | 'files'> {
    const files = [...this.#files].filter(([node]) => !written.has(node));
    return { names: this.#names, files: new Map(files) };
  }
}
