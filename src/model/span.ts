import type { Key } from './path.js';
import { prefixEnd, ROOT_KEY } from './path.js';

/** Keys with `from` <= key < `to`; to the end when `to` is undefined. */
export interface Span {
  readonly from: Key;
  readonly to: Key | undefined;
}

export const WHOLE_SPAN: Span = { from: ROOT_KEY, to: undefined };

export function spanOfPrefix(prefix: Key): Span {
  return { from: prefix, to: prefixEnd(prefix) };
}

export function spanOfKey(key: Key): Span {
  return { from: key, to: `${key}\0` as Key };
}

/**
 * What `paths` mean: each the file of that name and all that is below it as a directory; one that
 * ends with `/` only what is below. In key order, without overlaps.
 */
export function spansOfPaths(paths: readonly Key[]): Span[] {
  const spans = paths.flatMap((path) => {
    if (path === ROOT_KEY || path.endsWith('/')) return [spanOfPrefix(path)];
    return [spanOfKey(path), spanOfPrefix(`${path}/` as Key)];
  });
  spans.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const merged: Span[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    const overlaps = last !== undefined && (last.to === undefined || span.from < last.to);
    if (!overlaps) merged.push(span);
    else if (isLonger(span, last)) merged[merged.length - 1] = { from: last.from, to: span.to };
  }
  return merged;
}

/** @param spans in any order */
export function isInSpans(spans: readonly Span[], key: Key): boolean {
  return spans.some(({ from, to }) => from <= key && (to === undefined || key < to));
}

function isLonger(a: Span, b: Span): boolean {
  return b.to !== undefined && (a.to === undefined || a.to > b.to);
}
