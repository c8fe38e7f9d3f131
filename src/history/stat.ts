import type { Entry } from '../model/entry.js';
import { entrySize } from '../model/entry.js';
import type { Key } from '../model/path.js';
import { ROOT_KEY } from '../model/path.js';
import type { Difference, DifferenceKind } from './difference.js';

export type DifferenceCounts = Readonly<Record<DifferenceKind, number>>;

/** What differs at or below a folder; a renamed file counts where it is now. */
export interface Totals {
  readonly counts: DifferenceCounts;
  /** Of the files that differ, as they were and as they are. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface FolderTotals extends Totals {
  /** Without a final `/`; empty for the root, which has what lies in no folder of its own line. */
  readonly folder: Key;
}

/** Adds up differences. */
export class TotalsSum {
  readonly #counts: Record<DifferenceKind, number> = {
    added: 0,
    removed: 0,
    changed: 0,
    'type-changed': 0,
    'metadata-changed': 0,
    renamed: 0,
  };
  #bytesBefore = 0;
  #bytesAfter = 0;

  add({ kind, before, after }: Difference): void {
    this.#counts[kind] += 1;
    this.#bytesBefore += sizeOf(before);
    this.#bytesAfter += sizeOf(after);
  }

  get totals(): Totals {
    const counts = this.#counts;
    return { counts, bytesBefore: this.#bytesBefore, bytesAfter: this.#bytesAfter };
  }
}

/** Adds up differences by folder, `depth` levels deep; memory grows with those folders alone. */
export class FolderSums {
  readonly #depth: number;
  readonly #sums = new Map<Key, TotalsSum>();

  constructor(depth: number) {
    this.#depth = depth;
  }

  add(difference: Difference): void {
    const folder = this.#folderOf(difference.key);
    let sum = this.#sums.get(folder);
    if (sum === undefined) this.#sums.set(folder, (sum = new TotalsSum()));
    sum.add(difference);
  }

  /** In path order. */
  rows(): FolderTotals[] {
    return [...this.#sums]
      .map(([folder, sum]) => ({ folder, ...sum.totals }))
      .sort((a, b) => (a.folder < b.folder ? -1 : 1));
  }

  #folderOf(key: Key): Key {
    let end = -1;
    for (let level = 0; level < this.#depth; level += 1) {
      const slash = key.indexOf('/', end + 1);
      if (slash < 0) break;
      end = slash;
    }
    return end < 0 ? ROOT_KEY : (key.slice(0, end) as Key);
  }
}

function sizeOf(entry: Entry | undefined): number {
  return entry === undefined ? 0 : entrySize(entry);
}
