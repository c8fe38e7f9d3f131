import type { ChangeKind } from '../model/change.js';
import type { Entry } from '../model/entry.js';
import type { Key } from '../model/path.js';

export type DifferenceKind = ChangeKind | 'renamed';

/** One line of a diff. */
export interface Difference {
  readonly kind: DifferenceKind;
  readonly key: Key;
  /** Of a renamed file: where it was. */
  readonly from?: Key;
  readonly before?: Entry;
  readonly after?: Entry;
}
