import type { Entry } from './entry.js';
import { isSameEntry } from './same-entry.js';

/**
 * How a path differs between two moments. `type-changed` is a file that became a symbolic link or
 * the other way round; `changed` has other bytes, or a link another target; `metadata-changed` has
 * the same bytes and another mode, time, content type, ETag or user metadata.
 */
export type ChangeKind = 'added' | 'removed' | 'changed' | 'type-changed' | 'metadata-changed';

export const CHANGE_KINDS: readonly ChangeKind[] = [
  'added',
  'removed',
  'changed',
  'type-changed',
  'metadata-changed',
];

/** Undefined where both are the same, as isSameEntry has it. */
export function classifyChange(
  before: Entry | undefined,
  after: Entry | undefined,
): ChangeKind | undefined {
  if (isSameEntry(before, after)) return undefined;
  if (before === undefined) return 'added';
  if (after === undefined) return 'removed';
  if (before.kind === 'symlink') {
    if (after.kind !== 'symlink') return 'type-changed';
    return before.target === after.target ? 'metadata-changed' : 'changed';
  }
  if (after.kind !== 'file') return 'type-changed';
  const isSameContent = before.content === after.content && before.size === after.size;
  return isSameContent ? 'metadata-changed' : 'changed';
}
