import { keyFromText } from '../model/path.js';
import type { Change, StateUpdate } from './change.js';
import type { Facts } from './facts.js';
import type { NodeMemory } from './node-memory.js';
import type { Node } from './nodes.js';

/** Gives a node a state that holds wherever it is moved, and the time of the change. */
export function claim(memory: NodeMemory, facts: Facts, change: Change, node: Node): void {
  const key = memory.keyOf(node);
  const isOfBase = node.state === undefined && node.kind !== 'directory';
  const entry = isOfBase ? facts.entry(node) : undefined;
  const update: StateUpdate = { ctime: change.now };
  if (entry !== undefined && key !== undefined) {
    update.origin = { key, entry };
    if (entry.kind === 'symlink') update.target = keyFromText(entry.target);
  }
  change.update(node, update);
}
