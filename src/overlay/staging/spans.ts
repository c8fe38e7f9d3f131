import type { Key } from '../../model/path.js';
import { spanOfPrefix } from '../../model/span.js';
import type { Edit, Graft } from '../../tree/edit.js';

type KeyEdit = Exclude<Edit, { readonly kind: 'replace' }>;
type Replacement = Extract<Edit, { readonly kind: 'replace' }>;

interface Open {
  readonly to: Key | undefined;
  readonly graft: Graft | undefined;
  /** Where what is not written yet begins. */
  at: Key;
}

/**
 * Edits in the order in which a tree takes them.
 * @param prefixes what lies at each prefix, nothing where undefined; the innermost counts
 * @param keys edits of single keys, on top of that
 */
export function orderedEdits(
  prefixes: ReadonlyMap<Key, Graft | undefined>,
  keys: ReadonlyMap<Key, KeyEdit>,
): Edit[] {
  const replaced = replacements(prefixes);
  const single = [...keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const edits: Edit[] = [];
  let at = 0;
  for (const edit of single) {
    for (; at < replaced.length; at += 1) {
      const next = replaced[at] as Replacement;
      if (next.span.from > edit.key) break;
      edits.push(next);
    }
    edits.push(edit);
  }
  return [...edits, ...replaced.slice(at)];
}

/** Prefixes that lie in each other, as spans that do not. */
function replacements(prefixes: ReadonlyMap<Key, Graft | undefined>): Replacement[] {
  const edits: Replacement[] = [];
  const open: Open[] = [];
  const write = ({ at, graft }: Open, to: Key | undefined): void => {
    if (to !== undefined && to <= at) return;
    const span = { from: at, to };
    edits.push(
      graft === undefined ? { kind: 'replace', span } : { kind: 'replace', span, with: graft },
    );
  };
  const close = (): void => {
    const inner = open.pop() as Open;
    write(inner, inner.to);
    const outer = open.at(-1);
    if (outer !== undefined && inner.to !== undefined) outer.at = inner.to;
  };
  const sorted = [...prefixes].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [prefix, graft] of sorted) {
    const { from, to } = spanOfPrefix(prefix);
    for (let top = open.at(-1); top?.to !== undefined && top.to <= from; top = open.at(-1)) close();
    const outer = open.at(-1);
    if (outer !== undefined) write(outer, from);
    open.push({ at: from, to, graft });
  }
  while (open.length > 0) close();
  return edits;
}
