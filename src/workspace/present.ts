import type { ViewCursor } from '../model/cursor.js';
import type { Key } from '../model/path.js';
import { spanOfKey } from '../model/span.js';
import { isPromise } from '../util/async.js';
import type { Layers, PageAt } from './live-head.js';

/**
 * Those of `keys` that a branch shows with what is staged on it. Rows are read by the page and leaves
 * once, where a view asks for each path anew.
 * @throws TarnError not-found (the branch), and what reading throws
 */
export async function presentOf(
  layers: Layers,
  keys: readonly Key[],
  signal?: AbortSignal,
): Promise<Set<Key>> {
  const sorted = [...keys].sort();
  const last = sorted.at(-1);
  const present = new Set<Key>();
  if (last === undefined) return present;
  const { to } = spanOfKey(last);
  let page: PageAt | undefined;
  let cursor: ViewCursor | undefined;
  let row = 0;
  for (const key of sorted) {
    if (page === undefined || isBehind(page, key)) {
      const next: PageAt = await layers.page({ from: key, to }, signal);
      if (cursor === undefined || next.under !== page?.under) cursor = next.under.cursor(signal);
      page = next;
      row = 0;
    }
    while ((page.rows[row]?.key ?? key) < key) row += 1;
    const staged = page.rows[row];
    const isThere =
      staged?.key === key ? staged.entry !== undefined : await hasKey(cursor as ViewCursor, key);
    if (isThere) present.add(key);
  }
  return present;
}

/** Whether rows that the page does not have may come before the key, or at it. */
function isBehind({ rows, isLast }: PageAt, key: Key): boolean {
  return !isLast && (rows.at(-1)?.key ?? '') < key;
}

async function hasKey(cursor: ViewCursor, key: Key): Promise<boolean> {
  const moved = cursor.seek(key);
  return (isPromise(moved) ? await moved : moved) && cursor.key === key;
}
