import type { NodeId } from '../model/ids.js';
import type { Span } from '../model/span.js';
import type { InnerNode } from './node.js';
import type { Nodes } from './nodes.js';

/**
 * Whether two trees have `span` in nodes that they share: then it is the same in both. False says
 * nothing. Reads a node or two of each: only while one child of each holds all of the span.
 * @throws TarnError not-found, corrupt, unsupported, aborted, and what the store throws
 */
export async function sharesSpan(
  nodes: Nodes,
  a: NodeId,
  b: NodeId,
  span: Span,
  signal?: AbortSignal,
): Promise<boolean> {
  let [left, right] = [await nodes.load(a, signal), await nodes.load(b, signal)];
  while (left.id !== right.id) {
    if (left.kind === 'leaf' || right.kind === 'leaf') return false;
    const [first, last] = childrenIn(left, span);
    const [from, to] = childrenIn(right, span);
    if (last - first !== to - from) return false;
    let index = 0;
    while (first + index <= last && left.idAt(first + index) === right.idAt(from + index)) index++;
    if (first + index > last) return true;
    if (first !== last) return false;
    [left, right] = [
      await nodes.child(left, first, signal),
      await nodes.child(right, from, signal),
    ];
  }
  return true;
}

/** The first and the last child that may hold keys of the span; none when the first is behind. */
function childrenIn(node: InnerNode, { from, to }: Span): [number, number] {
  const last = to === undefined ? node.count - 1 : Math.min(node.lowerBound(to), node.count - 1);
  return [node.lowerBound(from), last];
}
